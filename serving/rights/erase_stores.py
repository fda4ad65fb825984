"""Erasing people from SQLite files of the home: every table with a column ``person`` or ``account``."""

from __future__ import annotations

import mmap
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from features.erasure.erasable import ErasablePlace
from features.errors import RightsError
from features.sqlite_pages import rewrite

_COLUMNS: Final = ("person", "account")
_WAIT_SECONDS: Final = 5.0


class SqlitePlace(ErasablePlace):
    """A file of the home; whoever erases from it keeps others from filling it.

    Parameters
    ----------
    name
        As the receipt lists it.
    path
        The file; it need not be there.
    recount
        Sets what the file says of its own size right.
    """

    def __init__(self, name: str, path: Path, recount: Callable[[sqlite3.Connection], None]) -> None:
        self.name = name
        self._path = path
        self._recount = recount

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete rows of people, see `ErasablePlace.erase`."""
        if not self._path.exists():
            return 0
        keys = sorted({*persons, *accounts})
        try:
            removed = self._delete(keys)
        except sqlite3.Error as error:
            raise RightsError(f"{self.name} cannot be written now: {error}", next_step="try again") from error
        # Also after an erasure that was cut off between the two.
        if removed or left_behind(self._path, keys):
            rewrite(self._path)
        return removed

    def _delete(self, keys: Sequence[str]) -> int:
        with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            removed = 0
            for table, column in _personal(connection):
                statement = f'DELETE FROM "{table}" WHERE "{column}" = ?'  # noqa: S608
                removed += sum(connection.execute(statement, (key,)).rowcount for key in keys)
            if removed:
                self._recount(connection)
            connection.execute("COMMIT")
        return removed


def _personal(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return [
        (table, column)
        for table in tables
        for column in _COLUMNS
        if column in {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}
    ]


def recount_store(connection: sqlite3.Connection) -> None:
    """Let the online store say how many people and accounts it holds."""
    connection.execute(
        "UPDATE meta SET people = (SELECT COUNT(*) FROM rows), accounts = (SELECT COUNT(*) FROM accounts)"
    )


def recount_histories(connection: sqlite3.Connection) -> None:
    """Let each fill of the store of histories say how many people and accounts it holds."""
    for (number,) in connection.execute("SELECT number FROM fills").fetchall():
        connection.execute(
            f"UPDATE fills SET people = (SELECT COUNT(*) FROM histories_{number} WHERE length(events) > 0),"  # noqa: S608
            f" accounts = (SELECT COUNT(*) FROM links_{number}) WHERE number = {number}"
        )


def left_behind(path: Path, keys: Sequence[str]) -> bool:
    """Return whether a file, or its write-ahead log, has a key anywhere in its bytes.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "some.sqlite"
    >>> _ = path.write_bytes(b"page of ann")
    >>> left_behind(path, ["ann"]), left_behind(path, ["bob"]), left_behind(path, [])
    (True, False, False)
    """
    wanted = re.compile(b"|".join(re.escape(key.encode()) for key in keys)) if keys else None
    for part in (path, path.with_name(f"{path.name}-wal")):
        if wanted is None or not part.exists() or not part.stat().st_size:
            continue
        with part.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            if wanted.search(held):
                return True
    return False
