"""A SQLite file of the home: one writer at a time, a read-only connection per concurrent reader, named errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from features.errors import StoreError

_WRITER_WAITS_SECONDS: Final = 5.0
_KEYS_PER_STATEMENT: Final = 1000


class SqliteFile:
    """A store's file, with a write-ahead log.

    Parameters
    ----------
    path
        The file; the first writer makes it, readable by its owner only.
    what
        What the file is, in errors.
    command
        What fills it.
    """

    def __init__(self, path: Path, what: str, command: str) -> None:
        self._path = path
        self._what = what
        self._command = command
        self._idle: list[sqlite3.Connection] = []

    def writer(self) -> sqlite3.Connection:
        """Return a connection that may write, one that commits every statement outside a transaction at once.

        What it deletes or drops is overwritten in the file; `checkpoint` takes it out of the write-ahead log, too.
        """
        with self.named_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            connection = sqlite3.connect(self._path, timeout=_WRITER_WAITS_SECONDS, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
            except BaseException:
                connection.close()
                raise
            return connection

    def checkpoint(self, connection: sqlite3.Connection) -> None:
        """Empty the write-ahead log, of a writer outside a transaction, as soon as readers let it."""
        with self.named_errors():
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to one reader; threads come and go in a server, connections stay."""
        with self.named_errors():
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

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Raise what SQLite says as a `StoreError` that names the next step."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreError(
                    f"another fill of the {self._what} is under way", next_step="wait until it has ended"
                ) from error
            if "no such" in str(error):
                raise StoreError(
                    f"the {self._what} is empty, or was written by another version of zhongcao",
                    value=str(self._path),
                    next_step=f"run `{self._command}` to fill it anew",
                ) from error
            raise StoreError(f"the {self._what} cannot be used: {error}", value=str(self._path)) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"the {self._what} is damaged: {error}",
                value=str(self._path),
                next_step=f"remove it and run `{self._command}`",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise StoreError(f"there is no {self._what} yet", next_step=f"run `{self._command}` first")
        return sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
        )


def by_keys(connection: sqlite3.Connection, statement: str, keys: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Run a statement about any number of keys, some at a time; yield the rows that it returns.

    Parameters
    ----------
    connection
        In a transaction, where all of them must be of one moment.
    statement
        With ``IN (keys)`` where the keys belong.
    keys
        Values of one column.

    Examples
    --------
    >>> connection = sqlite3.connect(":memory:")
    >>> [len(list(by_keys(connection, "SELECT 1 WHERE 'b' IN (keys)", keys))) for keys in (["a", "b"], [])]
    [1, 0]
    >>> connection.close()
    """
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        some = keys[start : start + _KEYS_PER_STATEMENT]
        yield from connection.execute(statement.replace("IN (keys)", f"IN ({','.join('?' * len(some))})"), some)
