"""The inbox's SQLite file: its tables, and what is done to them in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain, compress
from pathlib import Path
from typing import Any, Final

from features.events import EVENTS
from features.inbox.batch import ACCEPTED, DUPLICATE, ROW_COLUMNS, LiveBatch, Verdict
from features.log.dedupe import CONTRADICTION
from features.sources.reader import Reason

LOG_READER: Final = "log"
"""Reader that moves events into the log; before its first move nothing leaves the inbox."""

_WAIT_SECONDS: Final = 10.0
_ROWS_A_STATEMENT: Final = (250, 25, 5, 1)
_STATEMENTS_KEPT: Final = 512
_STORED: Final = {"integer": "INTEGER", "money": "INTEGER", "time": "INTEGER", "number": "REAL", "flag": "INTEGER"}
_CONTRADICTS: Final = Verdict("quarantined", (Reason("event_id", CONTRADICTION),))


def _tables() -> str:
    columns = ", ".join(
        f'"{column.name}" {_STORED.get(column.type, "TEXT")}'
        for column in EVENTS.columns
        if column.name in ROW_COLUMNS
    )
    # Ids are kept as they are and not as digests: those that a shop counts up lie side by side, so that a commit
    # writes few pages however many events there ever were.
    return f"""
        CREATE TABLE IF NOT EXISTS seen (
            event_id TEXT PRIMARY KEY, content BLOB NOT NULL, seq INTEGER
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS waiting (seq INTEGER PRIMARY KEY, {columns});
        CREATE TABLE IF NOT EXISTS refused (
            source TEXT, raw TEXT, reasons TEXT NOT NULL, PRIMARY KEY (source, raw)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS reader (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS retired (name TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS aside (
            reader TEXT, seq INTEGER, reason TEXT NOT NULL, {columns}, PRIMARY KEY (reader, seq)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS superseded (seq INTEGER PRIMARY KEY);
        CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS counter (
            next INTEGER NOT NULL, waiting INTEGER NOT NULL, refused_bytes INTEGER NOT NULL
        );
    """


def open_file(path: Path, first: int, least: int = 0) -> sqlite3.Connection:
    """Open the file for writing, made if missing; every commit is on disk before it returns.

    Parameters
    ----------
    path
        The file, readable by its owner only.
    first
        `seq` of the first event in a new file.
    least
        Smallest `seq` that the next event may get.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    connection = sqlite3.connect(
        path,
        timeout=_WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_KEPT,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(_tables())
        with transaction(connection):
            connection.execute(
                "INSERT INTO counter SELECT ?, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM counter)", (first,)
            )
            connection.execute("UPDATE counter SET next = max(next, ?)", (least,))
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside or nothing; on disk when it is left without an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def put(connection: sqlite3.Connection, batch: LiveBatch) -> list[Verdict]:
    """Add a batch within a transaction; return the verdicts, which hold once it has been committed."""
    first = last_seq(connection) + 1
    new = _put_valid(connection, batch, first) if batch.places else {}
    decided = [verdict or new[place] for place, verdict in enumerate(batch.verdicts)]
    kept = _keep(connection, batch, decided)
    connection.execute(
        "UPDATE counter SET next = ?, waiting = waiting + ?, refused_bytes = refused_bytes + ?",
        (first + len(new), decided.count(ACCEPTED), kept),
    )
    return decided


def _put_valid(connection: sqlite3.Connection, batch: LiveBatch, first: int) -> dict[int, Verdict]:
    ids, columns = batch.columns[EVENTS.key], batch.columns
    seqs: Sequence[int] = range(first, first + len(ids))
    before = connection.total_changes
    _insert(connection, "OR IGNORE INTO seen", [ids, batch.contents, seqs])
    verdicts = dict.fromkeys(batch.places, ACCEPTED)
    if connection.total_changes - before < len(ids):
        verdicts, new = _judged(connection, batch, ids, seqs)
        columns = {name: list(compress(values, new)) for name, values in columns.items()}
        seqs = list(compress(seqs, new))
    names = ", ".join(f'"{name}"' for name in columns)
    _insert(connection, f"INTO waiting (seq, {names})", [seqs, *columns.values()])
    return verdicts


def _insert(connection: sqlite3.Connection, into: str, columns: Sequence[Sequence[Any]]) -> None:
    """Insert columns as rows, many in one statement.

    Between two statements other threads may take the interpreter for milliseconds: a statement a row would stretch
    every commit as soon as requests are read beside it.
    """
    width = len(columns)
    flat = list(chain.from_iterable(zip(*columns, strict=True)))
    start = 0
    for size in _ROWS_A_STATEMENT:
        while len(flat) - start >= size * width:
            connection.execute(_statement(into, width, size), flat[start : start + size * width])
            start += size * width


@lru_cache(maxsize=_STATEMENTS_KEPT)
def _statement(into: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT {into} VALUES {', '.join([row] * size)}"  # noqa: S608


def _judged(
    connection: sqlite3.Connection, batch: LiveBatch, ids: Sequence[str], seqs: Sequence[int]
) -> tuple[dict[int, Verdict], list[bool]]:
    """Return the verdict on each valid event, and whether it is new."""
    known = {row[0]: row[1:] for row in stored(connection, ids)}
    verdicts, new = {}, []
    for place, event_id, content, seq in zip(batch.places, ids, batch.contents, seqs, strict=True):
        first_content, first_seq = known[event_id]
        new.append(first_seq == seq)
        same = DUPLICATE if first_content == content else _CONTRADICTS
        verdicts[place] = ACCEPTED if first_seq == seq else same
    return verdicts, new


def stored(connection: sqlite3.Connection, ids: Sequence[str]) -> list[tuple[str, bytes, int | None]]:
    """Return id, content and seq of those that have been seen; seq is None where an import brought the event."""
    return connection.execute(
        "SELECT event_id, content, seq FROM seen WHERE event_id IN (SELECT value FROM json_each(?))",
        (json.dumps(ids),),
    ).fetchall()


def _keep(connection: sqlite3.Connection, batch: LiveBatch, verdicts: Sequence[Verdict]) -> int:
    """Keep what was sent of quarantined events, each text once; return the characters that this added."""
    rows = [
        (batch.source, batch.raw(place), json.dumps([[r.column, r.problem, r.value] for r in verdict.reasons]))
        for place, verdict in enumerate(verdicts)
        if verdict.outcome == "quarantined"
    ]
    added = 0
    for row in rows:
        added += connection.execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?)", row).rowcount * len(row[1])
    return added


def forget_refused(connection: sqlite3.Connection, rows: Sequence[tuple[str, str, str]]) -> None:
    """Drop rows that are in quarantine now."""
    with transaction(connection):
        for source, raw, _ in rows:
            gone = connection.execute("DELETE FROM refused WHERE source = ? AND raw = ?", (source, raw)).rowcount
            connection.execute("UPDATE counter SET refused_bytes = refused_bytes - ?", (gone * len(raw),))


def held(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return how many events wait for readers, and how much text for quarantine."""
    waiting, refused = connection.execute("SELECT waiting, refused_bytes FROM counter").fetchone()
    return int(waiting), int(refused)


def last_seq(connection: sqlite3.Connection) -> int:
    """Return the `seq` of the newest event."""
    return int(connection.execute("SELECT next - 1 FROM counter").fetchone()[0])
