"""The embedded online store: one SQLite file, many readers, one writer."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from serving.store import Fill, OnlineStore, RowBlock, StoredRow, StoreInfo, check_block, filled_anew

_TABLES: Final = {
    "meta": "(only INTEGER PRIMARY KEY CHECK (only = 1), schema_hash TEXT NOT NULL, width INTEGER NOT NULL,"
    " as_of INTEGER NOT NULL, people INTEGER NOT NULL, accounts INTEGER NOT NULL, fill TEXT NOT NULL)",
    "rows": "(person TEXT NOT NULL UNIQUE, as_of INTEGER NOT NULL, vector BLOB NOT NULL)",
    "accounts": "(account TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
}
_DESCRIBE: Final = "SELECT schema_hash, width, as_of, people, accounts, fill FROM meta"
_KEYS_PER_QUERY: Final = 1000
_WRITER_WAITS_SECONDS: Final = 5.0


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
        self._idle: list[sqlite3.Connection] = []

    def fill(self, schema_hash: str, width: int, as_of: int, *, replace: bool = True) -> SqliteFill:
        """Begin to fill the store, see `OnlineStore.fill`."""
        with _named_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            connection = sqlite3.connect(self._path, timeout=_WRITER_WAITS_SECONDS, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
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
        return SqliteFill(connection, self._path, before, schema_hash=schema_hash, width=width, as_of=as_of)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, see `OnlineStore.get`."""
        query = "SELECT person, rows.as_of, vector, schema_hash FROM rows, meta WHERE person IN"
        found = {
            person: StoredRow(as_of, np.frombuffer(packed, dtype=np.float32), schema_hash)
            for person, as_of, packed, schema_hash in self._select(query, persons)
        }
        return [found.get(person) for person in persons]

    def scan(self, fill: str, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of everybody whose key lies in a range, see `OnlineStore.scan`."""
        until, keys = ("", [first]) if end is None else ("AND person < ?", [first, end])
        query = f"SELECT person, as_of, vector FROM rows WHERE person >= ? {until} ORDER BY person"  # noqa: S608
        with self._reading() as connection:
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
        query = "SELECT account, person FROM accounts WHERE account IN"
        found: dict[str, str] = dict(self._select(query, accounts))
        return [found.get(account, account) for account in accounts]

    def describe(self) -> StoreInfo:
        """Return what the store holds, see `OnlineStore.describe`."""
        with self._reading() as connection:
            row = connection.execute(_DESCRIBE).fetchone()
        if row is None:
            raise StoreError("the online store is empty", next_step="run `zhongcao retrain` to fill it")
        return StoreInfo(*row)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _select(self, query: str, keys: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        with self._reading() as connection:
            # One read transaction, so that an answer never mixes two fills.
            connection.execute("BEGIN")
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                found += connection.execute(f"{query} ({','.join('?' * len(some))})", some)
            connection.execute("COMMIT")
        return found

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one reader; threads come and go in a server, connections stay."""
        with _named_errors(self._path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise StoreError("there is no online store yet", next_step="run `zhongcao retrain` first")
        return sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
        )


class SqliteFill(Fill):
    """One write transaction on a `SqliteStore`."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, before: str, *, schema_hash: str, width: int, as_of: int
    ) -> None:
        self._connection = connection
        self._schema_hash = schema_hash
        self._width = width
        self._as_of = as_of
        self._path = path
        self._digest = hashlib.sha256(f"{before}\x1f{schema_hash}\x1f{as_of}".encode())

    def add(self, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Add rows, see `Fill.add`."""
        check_block(persons, matrix, self._width)
        packed = np.ascontiguousarray(matrix)
        self._digest.update("\x1f".join(persons).encode())
        self._digest.update(packed.data)
        with _named_errors(self._path):
            self._connection.executemany(
                "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (person)"
                " DO UPDATE SET as_of = excluded.as_of, vector = excluded.vector",
                ((person, self._as_of, row.tobytes()) for person, row in zip(persons, packed, strict=True)),
            )

    def link(self, accounts: Sequence[str], persons: Sequence[str]) -> None:
        """Say which person each account belongs to, see `Fill.link`."""
        self._digest.update("\x1f".join([*accounts, *persons]).encode())
        with _named_errors(self._path):
            self._connection.executemany(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?)", zip(accounts, persons, strict=True)
            )

    def commit(self) -> None:
        """Make everything that was added visible, at once."""
        try:
            with _named_errors(self._path):
                self._connection.execute(
                    "INSERT OR REPLACE INTO meta SELECT 1, ?, ?, ?,"
                    " (SELECT COUNT(*) FROM rows), (SELECT COUNT(*) FROM accounts), ?",
                    (self._schema_hash, self._width, self._as_of, self._digest.hexdigest()[:16]),
                )
                self._connection.execute("COMMIT")
        finally:
            self._connection.close()

    def abandon(self) -> None:
        """Forget everything that was added."""
        self._connection.close()


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(
                "another fill of the online store is under way", next_step="wait until it has ended"
            ) from error
        if "no such" in str(error):
            raise StoreError(
                "the online store is empty, or was written by another version of zhongcao",
                value=str(path),
                next_step="run `zhongcao retrain` to fill it anew",
            ) from error
        raise StoreError(f"the online store cannot be used: {error}", value=str(path)) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"the online store is damaged: {error}",
            value=str(path),
            next_step="remove it and run `zhongcao retrain`",
        ) from error
