"""The file of people's rights: who wants not to be personalised, which tags they deleted, who was erased."""

from __future__ import annotations

import sqlite3
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
    CREATE TABLE IF NOT EXISTS tombstone (mark TEXT PRIMARY KEY, erased_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS erasure (
        id TEXT PRIMARY KEY, asked_at INTEGER NOT NULL, finished_at INTEGER, mark TEXT NOT NULL, keys TEXT
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS step (
        erasure TEXT, place TEXT, removed INTEGER, again INTEGER NOT NULL, PRIMARY KEY (erasure, place)
    );
    CREATE TABLE IF NOT EXISTS trained_before (
        bundle TEXT, erasure TEXT, PRIMARY KEY (bundle, erasure)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS output (folder TEXT PRIMARY KEY) WITHOUT ROWID;
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


def rewrite(path: Path) -> None:
    """Write the file anew without anything that was deleted from it.

    Raises
    ------
    RightsError
        Somebody reads the file for too long.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise RightsError(f"{path.name} cannot be rewritten now: {error}", next_step="try again") from error
    if busy:
        raise RightsError(f"{path.name} is being read and cannot be rewritten now", next_step="try again")
