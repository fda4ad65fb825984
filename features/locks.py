"""One job at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import ZhongcaoError


@contextmanager
def exclusive(path: Path, busy: ZhongcaoError) -> Iterator[None]:
    """Hold the lock of a file, made if missing.

    Parameters
    ----------
    path
        The lock's file.
    busy
        Raised at once where another process, or another part of this one, holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise busy from error
        yield
