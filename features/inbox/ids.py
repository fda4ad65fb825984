"""The ids of the log count as seen: each part of it that an import brought is read into the inbox once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from features.events import EVENTS
from features.inbox.file import stored, transaction
from features.log.canonical_sql import literal
from features.log.dedupe import content_sql
from features.log.event_log import EventLog

_ROWS_AT_ONCE: Final = 50_000


class LogIds:
    """Knows which parts of the log's events the inbox has not read yet.

    Parameters
    ----------
    log
        The log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._commits = log.log_table(EVENTS.name).folder / "_delta_log"
        self._stamp: int | None = None

    def load(self, connection: sqlite3.Connection, *, sure: bool = True) -> None:
        """Read the ids of parts that are new; unless `sure`, look no further than at the time of a folder.

        An event that was accepted live and then came by an import before it was moved is noted as superseded.
        Ids are read sorted and some at a time, each part in one transaction, so memory stays bounded.
        """
        try:
            stamp = self._commits.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if stamp == self._stamp and not sure:
            return
        known = {name for (name,) in connection.execute("SELECT name FROM part")}
        for file in self._log.log_table(EVENTS.name).files():
            if Path(file).name not in known:
                self._read_part(connection, file)
        self._stamp = stamp

    def _read_part(self, connection: sqlite3.Connection, file: str) -> None:
        con = self._log.connect()
        try:
            content = content_sql(EVENTS, [column.name for column in EVENTS.columns])
            rows = con.execute(
                f"SELECT event_id, unhex({content}) FROM read_parquet({literal(file)}) ORDER BY event_id"  # noqa: S608
            )
            with transaction(connection):
                while some := rows.fetchmany(_ROWS_AT_ONCE):
                    before = connection.total_changes
                    connection.executemany("INSERT OR IGNORE INTO seen (event_id, content) VALUES (?, ?)", some)
                    if connection.total_changes - before < len(some):
                        both = stored(connection, [row[0] for row in some])
                        connection.executemany(
                            "INSERT OR IGNORE INTO superseded SELECT seq FROM waiting WHERE seq = ?",
                            [(seq,) for _, _, seq in both if seq is not None],
                        )
                connection.execute("INSERT INTO part VALUES (?)", (Path(file).name,))
        finally:
            con.close()
