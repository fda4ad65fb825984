"""API keys: 256 random bits, shown once, stored hashed, with scopes, brand and expiry."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from features.errors import AccessError

Scope = Literal["predict", "ingest", "export", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_PREFIX: Final = "zc_"
_SECRET_BYTES: Final = 32


@dataclass(frozen=True)
class ApiKey:
    """What is stored of a key; the secret itself is not.

    Parameters
    ----------
    id
        Short public name of the key, used to revoke it.
    sha256
        Of the secret, hex.
    name
        Whom it was given to.
    scopes
        What it opens; ``admin`` opens everything.
    brand
        The only brand whose data it opens; None for all.
    created, expires
        Epoch seconds; None never expires.
    rate
        Requests a second that it may send; None for any number.
    """

    id: str
    sha256: str
    name: str
    scopes: tuple[Scope, ...]
    brand: str | None
    created: int
    expires: int | None
    rate: float | None = None

    def opens(self, scope: Scope, now: float) -> bool:
        """Whether the key has the scope and has not expired."""
        return not self.expired(now) and (scope in self.scopes or "admin" in self.scopes)

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


_KEYS: Final = TypeAdapter(tuple[ApiKey, ...])


class KeyRing:
    """The API keys of an installation, in one file that only its owner reads.

    A change of the file, such as a revoked key, is seen by the next request.

    Parameters
    ----------
    path
        JSON file; made by the first key.

    Examples
    --------
    >>> import tempfile
    >>> ring = KeyRing(Path(tempfile.mkdtemp()) / "access.json")
    >>> secret, key = ring.add("ad server", ["predict"])
    >>> ring.find(secret) == key, ring.find("zc_wrong"), key.opens("admin", now=0)
    (True, None, False)
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    def known(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first.

        Raises
        ------
        AccessError
            The file is not a key file, or others may read it.
        """
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._keys = None, ()
            return ()
        stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
        if stamp != self._stamp:
            if state.st_mode & 0o077:
                raise AccessError(
                    "others may read the file of API keys",
                    value=str(self._path),
                    next_step=f"run chmod 600 {self._path}",
                )
            try:
                self._keys = _KEYS.validate_json(self._path.read_bytes())
            except ValidationError as error:
                raise AccessError("not a file of API keys", value=str(self._path)) from error
            self._stamp = stamp
        return self._keys

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, expired or not; None where there is none."""
        digest = _digest(secret)
        found = None
        for key in self.known():
            # Every key is compared, in constant time, so that timing tells nothing.
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def add(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        brand: str | None = None,
        days: int | None = None,
        rate: float | None = None,
        now: float | None = None,
    ) -> tuple[str, ApiKey]:
        """Make a key.

        Parameters
        ----------
        name
            Whom it is for.
        scopes
            What it opens.
        brand
            The only brand it opens.
        days
            After how many days it expires.
        rate
            Requests a second that it may send.
        now
            Epoch seconds; the clock's by default.

        Returns
        -------
        tuple
            The secret, which cannot be shown again, and the key.
        """
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise AccessError("unknown scope of a key", value=unknown[0] if unknown else "", valid=SCOPES)
        created = int(time.time() if now is None else now)
        secret = _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(
            id=secrets.token_hex(4),
            sha256=_digest(secret),
            name=name,
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            brand=brand,
            created=created,
            expires=None if days is None else created + days * 86_400,
            rate=rate,
        )
        with self._alone():
            self._write((*self.known(), key))
        return secret, key

    def revoke(self, key_id: str) -> ApiKey:
        """Forget a key; requests with it are refused from now on.

        Raises
        ------
        AccessError
            No key has this id.
        """
        with self._alone():
            keys = self.known()
            gone = [key for key in keys if key.id == key_id]
            if not gone:
                raise AccessError(
                    "no API key has this id",
                    value=key_id,
                    valid=[key.id for key in keys],
                    next_step="`zhongcao keys list` shows them",
                )
            self._write(tuple(key for key in keys if key.id != key_id))
        return gone[0]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(key) for key in keys], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether an address or host name is this machine's own loopback.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_bind(host: str, ring: KeyRing, now: float, *, require_key: bool = False) -> None:
    """Refuse to listen where keys are needed and there is none.

    Parameters
    ----------
    host
        Address to listen on.
    ring
        The keys.
    now
        Epoch seconds.
    require_key
        Whether callers on loopback need a key too.

    Raises
    ------
    AccessError
        Callers need a key, and no valid one opens predictions.
    """
    free = is_loopback(host) and not require_key
    if not free and not any(key.opens("predict", now) and key.brand is None for key in ring.known()):
        otherwise = "leave out --require-key" if is_loopback(host) else "use --host 127.0.0.1"
        raise AccessError(
            "refusing to listen without an API key",
            value=host,
            next_step=f"run `zhongcao keys add --name WHO --scope predict` first, or {otherwise}",
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
