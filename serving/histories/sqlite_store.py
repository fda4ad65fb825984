"""The embedded store of person histories: one SQLite file, filled part by part, swapped in one step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from features.errors import StoreError
from features.locks import exclusive
from serving.histories.sqlite_fill import (
    COUNT,
    PUT_EVENTS,
    PUT_TOLD,
    SCORES,
    SqliteHistoryFill,
    begin_history_fill,
    pack_events,
    unpack_events,
)
from serving.histories.store import Found, HistoryInfo, HistoryLive, HistoryStore, Shared, check_columns, merged
from serving.histories.told import EVENTS, TALLIES, Told
from serving.online.sqlite_file import SqliteFile, by_keys

_SERVES: Final = (
    "SELECT number, number || ' ' || as_of || ' ' || source, as_of, columns, scored_by FROM fills WHERE serves"
)


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
                number, done = begin_history_fill(
                    connection, schema.serialize().to_pybytes(), as_of, source, scored_by
                )
            return SqliteHistoryFill(connection, self._file, held.pop_all(), schema, number=number, done=done)

    def get(self, persons: Sequence[str]) -> Found:
        """Return each person's history, see `HistoryStore.get`."""
        with self._serving() as (connection, serving):
            schema, live = _schema_of(serving.columns), _live(connection, serving)
            query = f"SELECT person, events, scores FROM histories_{serving.number} WHERE person IN (keys)"  # noqa: S608
            found = {
                person: (
                    unpack_events(packed, schema) if packed else None,
                    None if scores is None else np.frombuffer(scores, SCORES),
                )
                for person, packed, scores in by_keys(connection, query, persons)
            }
        events, scores = ([found[person][of] if person in found else None for person in persons] for of in (0, 1))
        return Found(serving.name, serving.as_of, events, scores, serving.scored_by, live)

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

    def live(self) -> HistoryLive | None:
        """Return how far the histories are in the live events, see `HistoryStore.live`."""
        with self._serving() as (connection, serving):
            return _live(connection, serving)

    def append(
        self,
        now: HistoryLive,
        seq: int,
        arrived_at: int,
        histories: Mapping[str, pa.RecordBatch],
        left_out: Sequence[str],
        *,
        told: bytes = b"",
    ) -> None:
        """Add events to histories, see `HistoryStore.append`."""
        with closing(self._file.writer()) as connection, self._file.named_errors():
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_SERVES).fetchone()
            at = None if found is None else _live(connection, _Serving(*found))
            if at != now:
                raise StoreError(
                    "the store of histories was filled or updated meanwhile",
                    value=at and [at.fill, at.seq],
                    valid=[[now.fill, now.seq]],
                    next_step="begin again from where it is now",
                )
            serving = _Serving(*found)
            schema = _schema_of(serving.columns)
            query = f"SELECT person, events FROM histories_{serving.number} WHERE person IN (keys)"  # noqa: S608
            before = dict(by_keys(connection, query, list(histories)))
            after = [(person, b"") for person in left_out]
            for person, events in histories.items():
                check_columns(events, schema)
                packed = before.get(person)
                if packed is None:
                    after.append((person, pack_events(events)))
                elif packed:
                    after.append((person, pack_events(merged(unpack_events(packed, schema), events))))
            connection.executemany(PUT_EVENTS.format(serving.number), after)
            moved = f"UPDATE live_{serving.number} SET seq = ?, arrived_at = max(arrived_at, ?)"  # noqa: S608
            connection.execute(moved, (seq, arrived_at))
            if told:
                connection.execute(PUT_TOLD.format(serving.number), (EVENTS, seq, told))
            connection.execute(
                f"UPDATE fills SET people = people + ? WHERE number = {serving.number}",  # noqa: S608
                (len(histories) - len(before),),
            )
            connection.execute("COMMIT")

    def told(self) -> Told:
        """Return what live events told of notes, see `HistoryStore.told`."""
        with self._serving() as (connection, serving):
            live = _live(connection, serving)
            query = f"SELECT name, content FROM told_{serving.number} ORDER BY seq, name"  # noqa: S608
            parts = connection.execute(query).fetchall()
        tallies = {name.removeprefix(TALLIES): content for name, content in parts if name != EVENTS}
        events = [content for name, content in parts if name == EVENTS]
        return Told(serving.name, -1 if live is None else live.seq, events, tallies)

    def fold(self, told: Told, parts: Mapping[str, bytes]) -> None:
        """Replace what was told by parts that say as much, see `HistoryStore.fold`."""
        with closing(self._file.writer()) as connection, self._file.named_errors():
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_SERVES).fetchone()
            if found is not None and _Serving(*found).name == told.fill:
                number = _Serving(*found).number
                connection.execute(f"DELETE FROM told_{number} WHERE seq <= ?", (told.seq,))  # noqa: S608
                rows = ((name, told.seq, content) for name, content in parts.items())
                connection.executemany(PUT_TOLD.format(number), rows)
            connection.execute("COMMIT")

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
                connection.execute(COUNT.format(number))
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


def _live(connection: sqlite3.Connection, serving: _Serving) -> HistoryLive | None:
    found = connection.execute(f"SELECT seq, arrived_at FROM live_{serving.number}").fetchone()  # noqa: S608
    return None if found is None else HistoryLive(serving.name, *found)


@lru_cache(maxsize=4)
def _schema_of(columns: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(columns))
