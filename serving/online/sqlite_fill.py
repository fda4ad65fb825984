"""Filling the embedded online store: tables grow beside those that are read, and take their place in one step."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError
from features.locks import exclusive
from serving.online.sqlite_file import SqliteFile
from serving.online.store import Fill, StoredState, check_block

_META: Final = (
    "(only INTEGER PRIMARY KEY CHECK (only = 1), schema_hash TEXT NOT NULL, width INTEGER NOT NULL,"
    " as_of INTEGER NOT NULL, people INTEGER NOT NULL, accounts INTEGER NOT NULL, fill TEXT NOT NULL)"
)
_TABLES: Final = {
    "rows": "(person TEXT NOT NULL UNIQUE, as_of INTEGER NOT NULL, seq INTEGER, arrived_at INTEGER NOT NULL,"
    " vector BLOB NOT NULL)",
    "states": "(person TEXT NOT NULL UNIQUE, content BLOB NOT NULL, seq INTEGER NOT NULL,"
    " arrived_at INTEGER NOT NULL)",
    "accounts": "(account TEXT PRIMARY KEY, person TEXT NOT NULL) WITHOUT ROWID",
    "live": "(only INTEGER PRIMARY KEY CHECK (only = 1), seq INTEGER NOT NULL, state_hash TEXT NOT NULL,"
    " facts TEXT NOT NULL)",
}
PUT_ROW: Final = (
    "INSERT INTO rows VALUES (?, ?, ?, ?, ?) ON CONFLICT (person)"
    " DO UPDATE SET as_of = excluded.as_of, seq = excluded.seq, arrived_at = excluded.arrived_at,"
    " vector = excluded.vector"
)
PUT_STATE: Final = (
    "INSERT INTO states VALUES (?, ?, ?, ?) ON CONFLICT (person)"
    " DO UPDATE SET content = excluded.content, seq = excluded.seq, arrived_at = excluded.arrived_at"
)


def begin_fill(
    path: Path, file: SqliteFile, schema_hash: str, width: int, as_of: int, *, replace: bool, source: str
) -> SqliteFill:
    """Begin to fill a store, see `OnlineStore.fill`."""
    busy = StoreError("another fill of the online store is under way", next_step="wait until it has ended")
    with ExitStack() as held:
        held.enter_context(exclusive(path.with_suffix(".lock"), busy))
        connection = file.writer()
        held.callback(connection.close)
        before = ""
        with file.named_errors():
            if not replace:
                (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'meta'").fetchone()
                found = connection.execute("SELECT schema_hash, fill FROM meta").fetchone() if tables else None
                if found and found[0] != schema_hash:
                    raise StoreError(
                        "the online store holds rows of another layout",
                        value=schema_hash,
                        valid=[found[0]],
                        next_step="fill it anew instead of adding to it",
                    )
                before = found[1] if found else ""
            for table, columns in _TABLES.items():
                connection.execute(f"DROP TABLE IF EXISTS new_{table}")
                connection.execute(f"CREATE TABLE new_{table} {columns}")
        digest = hashlib.sha256(f"{before}\x1f{schema_hash}\x1f{as_of}\x1f{source}".encode())
        facts = {"schema_hash": schema_hash, "width": width, "as_of": as_of, "source": source}
        return SqliteFill(connection, file, held.pop_all(), digest, facts, replace=replace)


class SqliteFill(Fill):
    """A fill of a `SqliteStore`: a transaction per block, beside the tables that are read."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: SqliteFile,
        held: ExitStack,
        digest: hashlib._Hash,
        facts: dict[str, object],
        *,
        replace: bool,
    ) -> None:
        self._connection = connection
        self._file = file
        self._held = held
        self._digest = digest
        self._facts = facts
        self._replace = replace

    def add(self, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Add rows, see `Fill.add`."""
        as_of, width = self._facts["as_of"], self._facts["width"]
        check_block(persons, matrix, int(str(width)))
        packed = np.ascontiguousarray(matrix)
        self._digest.update("\x1f".join(persons).encode())
        self._digest.update(packed.data)
        self._put("rows", [(p, as_of, None, as_of, row.tobytes()) for p, row in zip(persons, packed, strict=True)])

    def keep(self, persons: Sequence[str], states: Sequence[StoredState]) -> None:
        """Add states, see `Fill.keep`."""
        self._put("states", [(p, s.content, s.seq, s.arrived_at) for p, s in zip(persons, states, strict=True)])

    def live(self, seq: int, state_hash: str, facts: str) -> None:
        """Say how far the states are, see `Fill.live`."""
        self._put("live", [(1, seq, state_hash, facts)])

    def link(self, accounts: Sequence[str], persons: Sequence[str]) -> None:
        """Say which person each account belongs to, see `Fill.link`."""
        self._digest.update("\x1f".join([*accounts, *persons]).encode())
        self._put("accounts", list(zip(accounts, persons, strict=True)))

    def commit(self) -> None:
        """Make everything that was added visible, at once."""
        with self._held, self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            if self._replace:
                # Dropped, not emptied: an older version of zhongcao may have given them other columns.
                self._connection.execute("DROP TABLE IF EXISTS meta")
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS meta {_META}")
            for table, columns in _TABLES.items():
                if self._replace:
                    self._connection.execute(f"DROP TABLE IF EXISTS {table}")
                    self._connection.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
                else:
                    self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
                    self._connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM new_{table}")  # noqa: S608
                    self._connection.execute(f"DROP TABLE new_{table}")
            self._connection.execute(
                "INSERT OR REPLACE INTO meta SELECT 1, :schema_hash, :width, :as_of,"
                " (SELECT COUNT(*) FROM rows), (SELECT COUNT(*) FROM accounts), :fill",
                {**self._facts, "fill": f"{self._facts['source']} {self._digest.hexdigest()[:16]}".lstrip()},
            )
            self._connection.execute("COMMIT")
            self._file.checkpoint(self._connection)

    def abandon(self) -> None:
        """Forget everything that was added."""
        with self._held, self._file.named_errors():
            for table in _TABLES:
                self._connection.execute(f"DROP TABLE IF EXISTS new_{table}")

    def _put(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if not rows:
            return
        marks = ", ".join("?" * len(rows[0]))
        with self._file.named_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(f"INSERT OR REPLACE INTO new_{table} VALUES ({marks})", rows)  # noqa: S608
            self._connection.execute("COMMIT")
