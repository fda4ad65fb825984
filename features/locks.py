"""One job at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from features.errors import ZhongcaoError

READING_LOCK: Final = "reading.lock"
"""Of the work folder: held by whoever works with what was read of people, so that nobody is erased meanwhile."""


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


class Shared:
    """Holds the lock of a file, made if missing, together with others, as long as it is referred to.

    Whoever wants the lock for themselves waits for all of them; while somebody has it, this waits.

    Parameters
    ----------
    path
        The lock's file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def __del__(self) -> None:
        os.close(self._descriptor)
