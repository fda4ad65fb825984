"""Work that goes on whatever fails: failures in a row are counted, and each is followed by a longer pause."""

from __future__ import annotations

import sqlite3
from typing import Final

from features.errors import ZhongcaoError

EXPECTED: Final = (ZhongcaoError, OSError, sqlite3.Error, MemoryError)
"""What a disk, another process or a missing file does, whatever the events are; anything else may be theirs."""
_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 30.0


class Tries:
    """Failures in a row.

    Examples
    --------
    >>> tries = Tries()
    >>> [tries.fail() for _ in range(4)], tries.failed
    ([0.5, 1.0, 2.0, 4.0], 4)
    >>> tries.succeed()
    >>> tries.failed, tries.fail()
    (0, 0.5)
    """

    def __init__(self) -> None:
        self.failed = 0

    def fail(self) -> float:
        """Count a failure and return how many seconds to wait before the next try."""
        self.failed += 1
        return min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** min(self.failed - 1, 16))

    def succeed(self) -> None:
        """Count no failures any more."""
        self.failed = 0


def said_of(error: Exception) -> str:
    """Return what may be told of an error: where it has no text of ours, its type alone, as texts may hold ids."""
    return error.problem if isinstance(error, ZhongcaoError) else type(error).__name__
