"""The embedded online store: one SQLite file, many readers, one writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from features.errors import StoreError
from serving.online.sqlite_file import SqliteFile, by_keys
from serving.online.sqlite_fill import PUT_ROW, PUT_STATE, SqliteFill, begin_fill
from serving.online.store import (
    Live,
    OnlineStore,
    RowBlock,
    StoredRow,
    StoredState,
    StoreInfo,
    Update,
    check_block,
    filled_anew,
    moved_on,
)

_DESCRIBE: Final = "SELECT schema_hash, width, as_of, people, accounts, fill FROM meta"
_ROWS: Final = (
    "SELECT person, rows.as_of, vector, schema_hash, fill, meta.as_of, seq, arrived_at"
    " FROM rows, meta WHERE person IN (keys)"
)
_LIVE: Final = "SELECT fill, seq, state_hash, facts FROM meta JOIN live ON TRUE"


class SqliteStore(OnlineStore):
    """An online store in one SQLite file (write-ahead log, a read-only connection per concurrent read).

    Parameters
    ----------
    path
        The file; a first fill makes it, readable by its owner only.

    Examples
    --------
    >>> import tempfile
    >>> store = SqliteStore(Path(tempfile.mkdtemp()) / "online.sqlite")
    >>> store.replace("layout-1", 1509494400, ["p1"], np.ones((1, 3), np.float32))
    >>> store.get(["p1", "p2"])[0].vector.tolist(), store.get(["p2"]), store.describe().people
    ([1.0, 1.0, 1.0], [None], 1)
    >>> store.close()
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, "online store", "zhongcao retrain")

    def fill(
        self, schema_hash: str, width: int, as_of: int, *, replace: bool = True, source: str = ""
    ) -> SqliteFill:
        """Begin to fill the store, see `OnlineStore.fill`."""
        return begin_fill(self._path, self._file, schema_hash, width, as_of, replace=replace, source=source)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, see `OnlineStore.get`."""
        found = {
            person: StoredRow(as_of, np.frombuffer(packed, dtype=np.float32), *rest)
            for person, as_of, packed, *rest in self._select(_ROWS, persons)
        }
        return [found.get(person) for person in persons]

    def scan(self, fill: str, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of everybody whose key lies in a range, see `OnlineStore.scan`."""
        until, keys = ("", [first]) if end is None else ("AND person < ?", [first, end])
        query = f"SELECT person, as_of, vector FROM rows WHERE person >= ? {until} ORDER BY person"  # noqa: S608
        with self._file.reading() as connection:
            connection.execute("BEGIN")
            if (found := connection.execute("SELECT fill FROM meta").fetchone()[0]) != fill:
                raise filled_anew(fill, found)
            cursor = connection.execute(query, keys)
            while rows := cursor.fetchmany(size):
                persons, instants, packed = zip(*rows, strict=True)
                matrix = np.frombuffer(b"".join(packed), np.float32).reshape(len(rows), -1)
                yield RowBlock(list(persons), np.array(instants, np.int64), matrix)
            connection.execute("COMMIT")

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `OnlineStore.resolve`."""
        query = "SELECT account, person FROM accounts WHERE account IN (keys)"
        found: dict[str, str] = dict(self._select(query, accounts))
        return [found.get(account, account) for account in accounts]

    def live(self) -> Live | None:
        """Return how far the store is in the live events, see `OnlineStore.live`."""
        with self._file.reading() as connection:
            row = connection.execute(_LIVE).fetchone()
        return None if row is None else Live(*row)

    def states(self, persons: Sequence[str]) -> list[StoredState | None]:
        """Return each person's state, see `OnlineStore.states`."""
        query = "SELECT person, content, seq, arrived_at FROM states WHERE person IN (keys)"
        found = {person: StoredState(*rest) for person, *rest in self._select(query, persons)}
        return [found.get(person) for person in persons]

    def update(self, now: Live, seq: int, updates: Sequence[Update]) -> None:
        """Put in what live events made of people, see `OnlineStore.update`."""
        rows = [
            (u.person, u.as_of, u.state.seq, u.state.arrived_at, u.vector) for u in updates if u.vector is not None
        ]
        states = [(u.person, u.state.content, u.state.seq, u.state.arrived_at) for u in updates]
        with closing(self._file.writer()) as connection, self._file.named_errors():
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute(_LIVE).fetchone()
            if found is None or Live(*found) != now:
                raise moved_on(now, None if found is None else Live(*found))
            (width,) = connection.execute("SELECT width FROM meta").fetchone()
            for person, *_, vector in rows:
                check_block([person], vector[None], width)
            known = by_keys(connection, "SELECT person FROM rows WHERE person IN (keys)", [row[0] for row in rows])
            new = len(rows) - len(list(known))
            connection.executemany(PUT_ROW, [(*rest, vector.tobytes()) for *rest, vector in rows])
            connection.executemany(PUT_STATE, states)
            connection.execute("UPDATE live SET seq = ?", (seq,))
            connection.execute("UPDATE meta SET people = people + ?", (new,))
            connection.execute("COMMIT")

    def describe(self) -> StoreInfo:
        """Return what the store holds, see `OnlineStore.describe`."""
        with self._file.reading() as connection:
            row = connection.execute(_DESCRIBE).fetchone()
        if row is None:
            raise StoreError("the online store is empty", next_step="run `zhongcao retrain` to fill it")
        return StoreInfo(*row)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._file.close()

    def _select(self, query: str, keys: Sequence[str]) -> list[Any]:
        with self._file.reading() as connection:
            # One read transaction, so that an answer never mixes two fills.
            connection.execute("BEGIN")
            found = list(by_keys(connection, query, keys))
            connection.execute("COMMIT")
        return found
