"""The embedded online store: one SQLite file, many readers, one writer."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from serving.sqlite_file import SqliteFile, by_keys
from serving.store import Fill, OnlineStore, RowBlock, StoredRow, StoreInfo, check_block, filled_anew

_TABLES: Final = {
    "meta": "(only INTEGER PRIMARY KEY CHECK (only = 1), schema_hash TEXT NOT NULL, width INTEGER NOT NULL,"
    " as_of INTEGER NOT NULL, people INTEGER NOT NULL, accounts INTEGER NOT NULL, fill TEXT NOT NULL)",
    "rows": "(person TEXT NOT NULL UNIQUE, as_of INTEGER NOT NULL, vector BLOB NOT NULL)",
    "accounts": "(account TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
}
_DESCRIBE: Final = "SELECT schema_hash, width, as_of, people, accounts, fill FROM meta"


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
        self._file = SqliteFile(path, "online store", "zhongcao retrain")

    def fill(self, schema_hash: str, width: int, as_of: int, *, replace: bool = True) -> SqliteFill:
        """Begin to fill the store, see `OnlineStore.fill`."""
        connection = self._file.writer()
        with self._file.named_errors():
            try:
                connection.execute("BEGIN IMMEDIATE")
                for table, columns in _TABLES.items():
                    if replace:
                        # Dropped, not emptied: an older version of zhongcao may have given it other columns.
                        connection.execute(f"DROP TABLE IF EXISTS {table}")
                    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
                held = connection.execute("SELECT schema_hash, fill FROM meta").fetchone()
                if held and held[0] != schema_hash:
                    raise StoreError(
                        "the online store holds rows of another layout",
                        value=schema_hash,
                        valid=[held[0]],
                        next_step="fill it anew instead of adding to it",
                    )
            except BaseException:
                connection.close()
                raise
        before = held[1] if held else ""
        return SqliteFill(connection, self._file, before, schema_hash=schema_hash, width=width, as_of=as_of)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, see `OnlineStore.get`."""
        query = "SELECT person, rows.as_of, vector, schema_hash FROM rows, meta WHERE person IN (keys)"
        found = {
            person: StoredRow(as_of, np.frombuffer(packed, dtype=np.float32), schema_hash)
            for person, as_of, packed, schema_hash in self._select(query, persons)
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


class SqliteFill(Fill):
    """One write transaction on a `SqliteStore`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: SqliteFile,
        before: str,
        *,
        schema_hash: str,
        width: int,
        as_of: int,
    ) -> None:
        self._connection = connection
        self._schema_hash = schema_hash
        self._width = width
        self._as_of = as_of
        self._file = file
        self._digest = hashlib.sha256(f"{before}\x1f{schema_hash}\x1f{as_of}".encode())

    def add(self, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Add rows, see `Fill.add`."""
        check_block(persons, matrix, self._width)
        packed = np.ascontiguousarray(matrix)
        self._digest.update("\x1f".join(persons).encode())
        self._digest.update(packed.data)
        with self._file.named_errors():
            self._connection.executemany(
                "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (person)"
                " DO UPDATE SET as_of = excluded.as_of, vector = excluded.vector",
                ((person, self._as_of, row.tobytes()) for person, row in zip(persons, packed, strict=True)),
            )

    def link(self, accounts: Sequence[str], persons: Sequence[str]) -> None:
        """Say which person each account belongs to, see `Fill.link`."""
        self._digest.update("\x1f".join([*accounts, *persons]).encode())
        with self._file.named_errors():
            self._connection.executemany(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?)", zip(accounts, persons, strict=True)
            )

    def commit(self) -> None:
        """Make everything that was added visible, at once."""
        try:
            with self._file.named_errors():
                self._connection.execute(
                    "INSERT OR REPLACE INTO meta SELECT 1, ?, ?, ?,"
                    " (SELECT COUNT(*) FROM rows), (SELECT COUNT(*) FROM accounts), ?",
                    (self._schema_hash, self._width, self._as_of, self._digest.hexdigest()[:16]),
                )
                self._connection.execute("COMMIT")
                self._file.checkpoint(self._connection)
        finally:
            self._connection.close()

    def abandon(self) -> None:
        """Forget everything that was added."""
        self._connection.close()
