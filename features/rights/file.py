"""The file of people's rights: who wants not to be personalised, which tags they deleted, who was erased."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from features.errors import RightsError
from features.settings import Settings

_WAIT_SECONDS: Final = 10.0
# A statement that changes gets a new number, so that readers take in no more than what is new to them.
_TABLES: Final = """
    CREATE TABLE IF NOT EXISTS said (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, about TEXT NOT NULL, holds INTEGER NOT NULL,
        UNIQUE (key, about)
    );
    CREATE TABLE IF NOT EXISTS tombstone (
        number INTEGER PRIMARY KEY, mark TEXT NOT NULL UNIQUE, person TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS erasure (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, mark TEXT NOT NULL, accounts INTEGER NOT NULL,
        asked_at INTEGER NOT NULL, finished_at INTEGER, keys TEXT
    );
    CREATE TABLE IF NOT EXISTS step (
        erasure TEXT NOT NULL, place TEXT NOT NULL, removed INTEGER, begun INTEGER NOT NULL, UNIQUE (erasure, place)
    );
    CREATE TABLE IF NOT EXISTS trained_before (
        bundle TEXT, erasure TEXT, PRIMARY KEY (bundle, erasure)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS platform (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS output (path TEXT PRIMARY KEY) WITHOUT ROWID;
"""


def rights_path(settings: Settings) -> Path:
    """Return the file's path."""
    return settings.home / "rights.sqlite"


def reading(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading; any thread may use the connection, one at a time."""
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Do everything inside or nothing; it is on disk when this is left without an error.

    Parameters
    ----------
    path
        The file; made, readable by its owner only, where it is not there.

    Raises
    ------
    RightsError
        The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_TABLES)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise RightsError(
            f"what people ask for cannot be kept: {error}", next_step="mend the disk, then ask again"
        ) from error


class Followed:
    """Follows the file: what another process writes is known to the next look.

    Parameters
    ----------
    settings
        Where the file lies; it need not be there.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = rights_path(settings)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._version = -1

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def look(self) -> None:
        """Take in what is new.

        Raises
        ------
        RightsError
            The file cannot be read: whoever asked not to be known must not be because of that.
        """
        with self._lock:
            try:
                if self._connection is None:
                    if not self._path.exists():
                        return
                    self._connection, self._version = reading(self._path), -1
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    self._take_in(self._connection)
                    self._version = version
            except sqlite3.Error as error:
                raise RightsError(f"what people asked for cannot be read: {error}") from error

    def _take_in(self, connection: sqlite3.Connection) -> None:
        """Read what was written since the last time."""
