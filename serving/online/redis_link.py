"""The way to a Redis server: its address, its connections, its errors by name."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from features.errors import SettingsError, StoreError

_CONNECT_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 5.0
_SCHEMES: Final = ("redis", "rediss", "unix")
_VALID: Final = ("sqlite", "redis://127.0.0.1:6379/0", "rediss://user:password@host:6379/0", "unix:///path?db=0")


class RedisLink:
    """Connections to one database of a Redis server; any thread may use them.

    Parameters
    ----------
    url
        ``redis://`` on loopback, ``rediss://`` (TLS) anywhere, or ``unix://``; with user and password where the
        server wants them, and options of redis-py after the question mark, such as ``ssl_ca_certs``.

    Raises
    ------
    SettingsError
        The URL is none of these.
    StoreError
        The extra ``redis`` is not installed.
    """

    def __init__(self, url: str) -> None:
        self.shown = checked(url)
        try:
            import redis  # noqa: PLC0415  (an extra)
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.retry import Retry  # noqa: PLC0415
        except ImportError as error:
            raise StoreError(
                "the online store needs redis-py", next_step="install the extra: zhongcao[redis]"
            ) from error
        self._errors = redis.exceptions
        try:
            self.client: Any = redis.Redis.from_url(
                url,
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
                # Once more at once: a connection that was idle may be dead.
                retry=Retry(NoBackoff(), 1),
            )
        except (ValueError, TypeError):
            # Their texts quote the URL's options.
            raise _refused(self.shown) from None
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, *arguments: str | bytes | int) -> Any:
        """Run one of `serving.online.redis_scripts`."""
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(script)
        with self.named_errors():
            return self._scripts[script](args=arguments)

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Raise what Redis or the network says as a `StoreError` that names the server, without its password."""
        try:
            yield
        except (self._errors.AuthenticationError, self._errors.AuthorizationError) as error:
            raise self._named("refuses user or password", "see the setting `store`") from error
        except self._errors.TimeoutError as error:
            raise self._named("does not answer in time", "see whether it runs, and what else it does") from error
        except self._errors.ConnectionError as error:
            raise self._named(f"cannot be reached ({error})", "see whether it runs") from error
        except self._errors.OutOfMemoryError as error:
            raise self._named("is full", "give it more memory: a fill needs twice that of its rows") from error
        except self._errors.RedisError as error:
            raise self._named(f"cannot be used ({error})", "see the log of Redis") from error

    def close(self) -> None:
        """Close all connections."""
        self.client.close()

    def _named(self, problem: str, next_step: str) -> StoreError:
        return StoreError(f"the Redis of the online store {problem}", value=self.shown, next_step=next_step)


def checked(url: str) -> str:
    """Return a Redis URL as it may be shown: without user, password and options.

    Raises
    ------
    SettingsError
        It is no URL of Redis, or leads off this machine unencrypted.

    Examples
    --------
    >>> checked("rediss://shop:secret@cache.example:6380/1?ssl_ca_certs=ca.pem")
    'rediss://cache.example:6380/1'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        # Its text may quote a password that was not percent-encoded.
        raise _refused() from None
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    if parts.scheme not in _SCHEMES or not host or not re.fullmatch(r"(/\d*)?", parts.path) or parts.fragment:
        raise _refused()
    shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{parts.path}"
    if parts.scheme == "redis" and not _on_loopback(host):
        raise SettingsError(
            "setting store: Redis on another machine must be reached encrypted, since rows are about people",
            value=shown,
            valid=_VALID,
        )
    return shown


def _on_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(shown: str = "(not shown: it may hold a password)") -> SettingsError:
    return SettingsError(
        "setting store: no store that is known",
        value=shown,
        valid=_VALID,
        next_step="percent-encode what is special in a password",
    )
