"""SQLite files without a trace of what was deleted from them."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from features.errors import RightsError

_WAIT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05


def rewrite(path: Path) -> None:
    """Write a file anew, so that no copy is left that SQLite made when it moved rows between pages.

    Parameters
    ----------
    path
        The file; others may go on to read it, and wait with writing.

    Raises
    ------
    RightsError
        Somebody reads or writes it for too long.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            until = time.monotonic() + _WAIT_SECONDS
            # Whatever is in the write-ahead log still shows what was deleted.
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    raise RightsError(f"{path.name} is read and cannot be rewritten now", next_step="try again")
                time.sleep(_PAUSE_SECONDS)
    except sqlite3.Error as error:
        raise RightsError(f"{path.name} cannot be rewritten now: {error}", next_step="try again") from error
