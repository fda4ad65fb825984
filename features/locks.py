"""One job at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import ZhongcaoError


@contextmanager
def exclusive(path: Path, busy: ZhongcaoError | None = None) -> Iterator[None]:
    """Hold the lock of a file, made if missing.

    Parameters
    ----------
    path
        The lock's file.
    busy
        Raised at once where another process, or another part of this one, holds it; without it, wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as error:
            raise busy or error from error
        yield
