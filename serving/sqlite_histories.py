"""The embedded store of person histories: one SQLite file, filled part by part, swapped in one step."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from features.errors import StoreError
from features.locks import exclusive
from serving.histories import (
    NO_SCORES,
    Found,
    HistoryFill,
    HistoryInfo,
    HistoryStore,
    Scores,
    Shared,
    check_columns,
)
from serving.sqlite_file import SqliteFile, by_keys

_FORMAT: Final = 2
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
}
_COUNT: Final = (
    "UPDATE fills SET people = (SELECT COUNT(*) FROM histories_{0}), accounts = (SELECT COUNT(*) FROM links_{0})"
    " WHERE number = {0}"
)
_SERVES: Final = (
    "SELECT number, number || ' ' || as_of || ' ' || source, as_of, columns, scored_by FROM fills WHERE serves"
)
_LENGTH: Final = struct.Struct("<q")
_SCORES: Final = np.dtype("<f4")


class _Serving(NamedTuple):
    """The fill that serves."""

    number: int
    name: str
    as_of: int
    columns: bytes
    scored_by: str


class SqliteHistories(HistoryStore):
    """Histories in one SQLite file (write-ahead log, a read-only connection per concurrent read).

    Parameters
    ----------
    path
        The file; a first fill makes it, readable by its owner only.

    Examples
    --------
    >>> import tempfile
    >>> store = SqliteHistories(Path(tempfile.mkdtemp()) / "histories.sqlite")
    >>> events = pa.record_batch({"kind": ["click"], "event_time": [7]})
    >>> with store.fill(events.schema, 9, "log 1") as fill:
    ...     fill.add("all", {"ann": events}, {"account": "ann"})
    >>> store.get(store.resolve(["account"])).events[0].to_pylist()
    [{'kind': 'click', 'event_time': 7}]
    >>> store.close()
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, "store of histories", "zhongcao fill")

    def fill(self, schema: pa.Schema, as_of: int, source: str, scored_by: str = "") -> SqliteHistoryFill:
        """Begin to fill the store, see `HistoryStore.fill`."""
        with ExitStack() as held:
            connection = self._writing(held)
            with self._file.named_errors():
                number, done = _begin(connection, schema.serialize().to_pybytes(), as_of, source, scored_by)
            return SqliteHistoryFill(connection, self._file, held.pop_all(), schema, number=number, done=done)

    def get(self, persons: Sequence[str]) -> Found:
        """Return each person's history, see `HistoryStore.get`."""
        with self._serving() as (connection, serving):
            schema = _schema_of(serving.columns)
            query = f"SELECT person, events, scores FROM histories_{serving.number} WHERE person IN (keys)"  # noqa: S608
            found = {
                person: (_unpacked(packed, schema), None if scores is None else np.frombuffer(scores, _SCORES))
                for person, packed, scores in by_keys(connection, query, persons)
            }
        events, scores = ([found[person][of] if person in found else None for person in persons] for of in (0, 1))
        return Found(serving.name, serving.as_of, events, scores, serving.scored_by)

    def shared(self) -> Shared:
        """Return what the fill knows beside the histories, see `HistoryStore.shared`."""
        with self._serving() as (connection, serving):
            query = f"SELECT name, content FROM shared_{serving.number} ORDER BY name"  # noqa: S608
            return Shared(serving.name, serving.as_of, dict(connection.execute(query).fetchall()))

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `HistoryStore.resolve`."""
        with self._serving() as (connection, serving):
            query = f"SELECT account, person FROM links_{serving.number} WHERE account IN (keys)"  # noqa: S608
            found: dict[str, str] = dict(by_keys(connection, query, accounts))
        return [found.get(account, account) for account in accounts]

    def describe(self) -> HistoryInfo:
        """Return what the store holds, see `HistoryStore.describe`."""
        with self._serving() as (connection, _):
            columns, *rest = connection.execute(
                "SELECT columns, as_of, source, people, accounts, scored_by FROM fills WHERE serves"
            ).fetchone()
        return HistoryInfo(_schema_of(columns), *rest)

    def erase(self, persons: Sequence[str]) -> int:
        """Delete people's histories and links, see `HistoryStore.erase`."""
        self.describe()
        erased = set[str]()
        with ExitStack() as held, self._file.named_errors():
            connection = self._writing(held)
            connection.execute("BEGIN IMMEDIATE")
            for (number,) in connection.execute("SELECT number FROM fills").fetchall():
                having = f"DELETE FROM histories_{number} WHERE person IN (keys) RETURNING person"  # noqa: S608
                erased.update(person for (person,) in by_keys(connection, having, persons))
                links = f"DELETE FROM links_{number} WHERE person IN (keys) RETURNING 0"  # noqa: S608
                for _ in by_keys(connection, links, persons):
                    pass
                connection.execute(_COUNT.format(number))
            connection.execute("COMMIT")
            self._file.checkpoint(connection)
        return len(erased)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._file.close()

    def _writing(self, held: ExitStack) -> sqlite3.Connection:
        busy = StoreError(
            "another fill of the store of histories is under way", next_step="wait until it has ended"
        )
        held.enter_context(exclusive(self._path.with_suffix(".lock"), busy))
        connection = self._file.writer()
        held.callback(connection.close)
        return connection

    @contextmanager
    def _serving(self) -> Iterator[tuple[sqlite3.Connection, _Serving]]:
        """Lend a connection in a read transaction, and tell the fill that serves."""
        with self._file.reading() as connection:
            connection.execute("BEGIN")
            found = connection.execute(_SERVES).fetchone()
            if found is None:
                raise StoreError("the store of histories is empty", next_step="run `zhongcao fill` to fill it")
            yield connection, _Serving(*found)
            connection.execute("COMMIT")


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
        blobs = {person: numbers.astype(_SCORES).tobytes() for person, numbers in scores.items()}
        with self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                f"INSERT OR REPLACE INTO histories_{self._number} VALUES (?, ?, ?)",  # noqa: S608
                ((person, _packed(events), blobs.get(person)) for person, events in histories.items()),
            )
            self._connection.executemany(
                f"INSERT OR REPLACE INTO links_{self._number} VALUES (?, ?)",  # noqa: S608
                links.items(),
            )
            self._connection.execute("UPDATE fills SET done = ? WHERE number = ?", (part, self._number))
            self._connection.execute("COMMIT")
        self.done = part

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
            self._connection.execute(_COUNT.format(self._number))
            _drop(self._connection, f"number <> {self._number}")
            self._connection.execute("UPDATE fills SET serves = 1")
            self._connection.execute("COMMIT")
            self._file.checkpoint(self._connection)

    def close(self) -> None:
        """Let go of the store, see `HistoryFill.close`."""
        self._held.close()


def _begin(
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
            connection.execute(f"DROP TABLE {table}_{number}")
        connection.execute("DELETE FROM fills WHERE number = ?", (number,))


def _packed(events: pa.RecordBatch) -> bytes:
    raw = events.serialize()
    return _LENGTH.pack(raw.size) + bytes(pa.compress(raw, codec="zstd", asbytes=True))


def _unpacked(packed: bytes, schema: pa.Schema) -> pa.RecordBatch:
    (size,) = _LENGTH.unpack_from(packed)
    raw = pa.decompress(pa.py_buffer(packed)[_LENGTH.size :], size, codec="zstd")
    return pa.ipc.read_record_batch(raw, schema)


@lru_cache(maxsize=4)
def _schema_of(columns: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(columns))
