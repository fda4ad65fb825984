"""Pseudonyms: outside ids become keyed hashes at the reader's edge and never go further."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable
from hashlib import sha256

from features.errors import SettingsError
from features.settings import Settings

_KEY_BYTES = 32
_HEX_DIGITS = 32


def load_key(settings: Settings) -> bytes:
    """Return the installation's key, made on first use.

    The file is readable by its owner only (0600) in a home that only the owner enters (0700). Without it no
    account id can be matched to the log again: back it up, apart from the log.

    Raises
    ------
    SettingsError
        The file is not a key, or others may read it.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.key_file
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        settings.home.chmod(0o700)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    if path.stat().st_mode & 0o077:
        raise SettingsError("others may read the key file", value=str(path), next_step=f"run chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SettingsError(
            f"the key file holds {len(key)} bytes, not {_KEY_BYTES}",
            value=str(path),
            next_step="put the backed-up key back; a new key would split everybody's history",
        )
    return key


def _keyed(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()[:_HEX_DIGITS]


def account_key(key: bytes, platform: str, account: str) -> str:
    """Return the pseudonym of an account: HMAC-SHA-256 of platform and id, cut to 128 bits, in hex.

    Examples
    --------
    >>> account_key(b"k" * 32, "taobao", "user 1") == account_key(b"k" * 32, "jd", "user 1")
    False
    >>> len(account_key(b"k" * 32, "taobao", "user 1"))
    32
    """
    return _keyed(key, f"account\x1f{platform}\x1f{account}")


def person_key(key: bytes, person: str) -> str:
    """Return the pseudonym of a person whom an identities file names.

    Examples
    --------
    >>> person_key(b"k" * 32, "p1") == account_key(b"k" * 32, "p1", "")
    False
    """
    return _keyed(key, f"person\x1f{person}")


def _prepared(key: bytes, beginning: str) -> Callable[[str], str]:
    """Return what hashes texts of one beginning, as `_keyed` does, which takes more than three times as long.

    HMAC as in RFC 2104, with what all texts have in common hashed beforehand.
    """
    block = key.ljust(sha256().block_size, b"\0")
    inner, outer = (sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    inner.update(beginning.encode())

    def make(text: str) -> str:
        inside, outside = inner.copy(), outer.copy()
        inside.update(text.encode())
        outside.update(inside.digest())
        return outside.hexdigest()[:_HEX_DIGITS]

    return make


class _Known(dict[str, str]):
    """Word → pseudonym, made when it is first looked up."""

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make

    def __missing__(self, word: str) -> str:
        made = self[word] = self._make(word)
        return made


class Pseudonyms:
    """Keyed hashes of many ids, each computed once.

    Parameters
    ----------
    key
        The installation's key.
    limit
        How many to remember; the memory is emptied when it is full, results stay the same.
    """

    def __init__(self, key: bytes, limit: int = 1_000_000) -> None:
        self._key = key
        self._limit = limit
        self._accounts: dict[str, _Known] = {}
        self._persons = _Known(_prepared(key, "person\x1f"))

    def accounts(self, platform: str, accounts: list[str]) -> list[str]:
        """Return the pseudonyms of accounts on one platform."""
        known = self._accounts.get(platform)
        if known is None:
            known = self._accounts.setdefault(platform, _Known(_prepared(self._key, f"account\x1f{platform}\x1f")))
        return self._of(known, accounts)

    def persons(self, persons: list[str]) -> list[str]:
        """Return the pseudonyms of persons."""
        return self._of(self._persons, persons)

    def _of(self, known: _Known, words: list[str]) -> list[str]:
        if len(known) > self._limit:
            known.clear()
        return list(map(known.__getitem__, words))
