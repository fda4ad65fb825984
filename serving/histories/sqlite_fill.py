"""Filling the embedded store of histories: tables of their own, part by part, that serve in one step."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
import pyarrow as pa

from serving.histories.store import NO_SCORES, HistoryFill, Scores, check_columns
from serving.online.sqlite_file import SqliteFile

_FORMAT: Final = 5
_FILLS: Final = (
    "CREATE TABLE IF NOT EXISTS fills (number INTEGER PRIMARY KEY, serves INTEGER NOT NULL, columns BLOB NOT NULL,"
    " as_of INTEGER NOT NULL, source TEXT NOT NULL, scored_by TEXT NOT NULL, done TEXT NOT NULL,"
    " people INTEGER NOT NULL, accounts INTEGER NOT NULL)"
)
# Each fill has tables of its own, and `fills` says which one serves.
_TABLES: Final = {
    "histories": "(person TEXT NOT NULL UNIQUE, events BLOB NOT NULL, scores BLOB)",
    "links": "(account TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
    "shared": "(name TEXT NOT NULL UNIQUE, content BLOB NOT NULL)",
    "told": "(name TEXT NOT NULL, seq INTEGER NOT NULL, content BLOB NOT NULL, PRIMARY KEY (name, seq))",
    "live": "(only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, arrived_at INTEGER NOT NULL)",
}
COUNT: Final = (
    "UPDATE fills SET people = (SELECT COUNT(*) FROM histories_{0} WHERE events <> x''),"
    " accounts = (SELECT COUNT(*) FROM links_{0})"
    " WHERE number = {0}"
)
PUT_EVENTS: Final = (
    "INSERT INTO histories_{} (person, events) VALUES (?, ?) ON CONFLICT (person)"
    " DO UPDATE SET events = excluded.events, scores = CASE WHEN excluded.events = x'' THEN NULL ELSE scores END"
)
PUT_TOLD: Final = "INSERT INTO told_{} (name, seq, content) VALUES (?, ?, ?)"
_LENGTH: Final = struct.Struct("<q")
SCORES: Final = np.dtype("<f4")


class SqliteHistoryFill(HistoryFill):
    """A fill of `SqliteHistories`: a transaction per part."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: SqliteFile,
        held: ExitStack,
        schema: pa.Schema,
        *,
        number: int,
        done: str,
    ) -> None:
        self._connection = connection
        self._file = file
        self._held = held
        self._schema = schema
        self._number = number
        self.done = done

    def add(
        self,
        part: str,
        histories: Mapping[str, pa.RecordBatch],
        links: Mapping[str, str],
        scores: Mapping[str, Scores] = NO_SCORES,
    ) -> None:
        """Add the histories of some people, see `HistoryFill.add`."""
        for events in histories.values():
            check_columns(events, self._schema)
        blobs = {person: numbers.astype(SCORES).tobytes() for person, numbers in scores.items()}
        with self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                f"INSERT OR REPLACE INTO histories_{self._number} VALUES (?, ?, ?)",  # noqa: S608
                ((person, pack_events(events), blobs.get(person)) for person, events in histories.items()),
            )
            self._connection.executemany(
                f"INSERT OR REPLACE INTO links_{self._number} VALUES (?, ?)",  # noqa: S608
                links.items(),
            )
            self._connection.execute("UPDATE fills SET done = ? WHERE number = ?", (part, self._number))
            self._connection.execute("COMMIT")
        self.done = part

    def live(self, seq: int, left_out: Sequence[str]) -> None:
        """Say how far the histories are, see `HistoryFill.live`."""
        with self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(PUT_EVENTS.format(self._number), [(person, b"") for person in left_out])
            self._connection.execute(
                f"INSERT OR REPLACE INTO live_{self._number} SELECT 1, ?, as_of FROM fills WHERE number = ?",  # noqa: S608
                (seq, self._number),
            )
            self._connection.execute("COMMIT")

    def share(self, name: str, content: bytes) -> None:
        """Add something that every answer needs, see `HistoryFill.share`."""
        with self._file.named_errors():
            self._connection.execute(
                f"INSERT OR REPLACE INTO shared_{self._number} VALUES (?, ?)",  # noqa: S608
                (name, content),
            )

    def commit(self) -> None:
        """Make everything that was added visible, see `HistoryFill.commit`."""
        with self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(COUNT.format(self._number))
            _drop(self._connection, f"number <> {self._number}")
            self._connection.execute("UPDATE fills SET serves = 1")
            self._connection.execute("COMMIT")
            self._file.checkpoint(self._connection)

    def close(self) -> None:
        """Let go of the store, see `HistoryFill.close`."""
        self._held.close()


def begin_history_fill(
    connection: sqlite3.Connection, columns: bytes, as_of: int, source: str, scored_by: str
) -> tuple[int, str]:
    """Find the interrupted fill of these, or make an empty one; return its number and what it has."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
        for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE "{table}"')
        connection.execute(f"PRAGMA user_version = {_FORMAT}")
    connection.execute(_FILLS)
    found = connection.execute(
        "SELECT number, done FROM fills WHERE NOT serves AND columns = ? AND as_of = ? AND source = ?"
        " AND scored_by = ?",
        (columns, as_of, source, scored_by),
    ).fetchone()
    if found is None:
        _drop(connection, "NOT serves")
        (number,) = connection.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM fills").fetchone()
        connection.execute(
            "INSERT INTO fills VALUES (?, 0, ?, ?, ?, ?, '', 0, 0)", (number, columns, as_of, source, scored_by)
        )
        for table, of in _TABLES.items():
            connection.execute(f"CREATE TABLE {table}_{number} {of}")
        found = number, ""
    connection.execute("COMMIT")
    return int(found[0]), str(found[1])


def _drop(connection: sqlite3.Connection, which: str) -> None:
    for (number,) in connection.execute(f"SELECT number FROM fills WHERE {which}").fetchall():  # noqa: S608
        for table in _TABLES:
            connection.execute(f"DROP TABLE IF EXISTS {table}_{number}")
        connection.execute("DELETE FROM fills WHERE number = ?", (number,))


def pack_events(events: pa.RecordBatch) -> bytes:
    """Return events as they are stored."""
    raw = events.serialize()
    return _LENGTH.pack(raw.size) + bytes(pa.compress(raw, codec="zstd", asbytes=True))


def unpack_events(packed: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Read what `pack_events` gave."""
    (size,) = _LENGTH.unpack_from(packed)
    raw = pa.decompress(pa.py_buffer(packed)[_LENGTH.size :], size, codec="zstd")
    return pa.ipc.read_record_batch(raw, schema)
