"""Events stay in the inbox while a store is filled from the log, for whoever goes on from there with live ones.

A fill reads a version of the log, which holds every event up to a `seq`. Whoever feeds the store goes on with all
later ones: it had taken some before the fill, and others may be moved into the log while it lasts.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from features.errors import InboxError
from features.events import EVENTS
from features.inbox.file import LOG_READER, open_file, transaction
from features.locks import exclusive
from features.log.event_log import EventLog
from features.settings import Settings

PARITY_READER: Final = "parity"
"""Of the inbox: needs events only while it compares."""
HELD: Final = " fill"
_SEQS_A_SECOND: Final = 1_000_000


def open_inbox_file(log: EventLog) -> sqlite3.Connection:
    """Open the inbox of a log for writing, made if missing."""
    moved = log.log_table(EVENTS.name).position(LOG_READER)
    # A new file goes on behind whatever readers of a lost one may have taken.
    return open_file(log.settings.inbox_file, int(time.time()) * _SEQS_A_SECOND, moved + 1)


def holder(reader: str) -> str:
    """Return the name under which events are held for a reader."""
    return f"{reader}{HELD}"


@contextmanager
def held_for(log: EventLog, reader: str) -> Iterator[None]:
    """Keep every event in the inbox that a version of the log which is opened inside does not hold.

    They stay afterwards, until the reader has gone on from there and lets them go; one fill for it at a time.

    Parameters
    ----------
    log
        The log.
    reader
        Of the inbox.
    """
    with exclusive(_lock(log.settings, reader)):
        moved = log.log_table(EVENTS.name).position(LOG_READER)
        with closing(open_inbox_file(log)) as connection, transaction(connection):
            connection.execute("INSERT OR REPLACE INTO reader VALUES (?, ?)", (holder(reader), moved))
        yield
        # What the log held was read from there, whoever could not take it live.
        with closing(open_inbox_file(log)) as connection, transaction(connection):
            connection.execute("DELETE FROM aside WHERE reader = ? AND seq <= ?", (reader, moved))


@contextmanager
def release(log: EventLog, reader: str) -> Iterator[None]:
    """Let go in the end what `held_for` holds: for whoever needs the events no longer than that."""
    try:
        yield
    finally:
        with closing(open_inbox_file(log)) as connection:
            let_go(connection, reader, 0)


@contextmanager
def no_fill(settings: Settings, reader: str) -> Iterator[None]:
    """Let no fill for a reader begin.

    Raises
    ------
    InboxError
        One is under way.
    """
    with exclusive(_lock(settings, reader), InboxError("the store is being filled", retry_after=5)):
        yield


def let_go(connection: sqlite3.Connection, reader: str, seq: int) -> None:
    """Hold no more events for a reader, where it has told of no position behind `seq`."""
    with transaction(connection):
        connection.execute(
            "DELETE FROM reader WHERE name = ? AND NOT EXISTS (SELECT 1 FROM reader WHERE name = ? AND seq > ?)",
            (holder(reader), reader, seq),
        )


def _lock(settings: Settings, reader: str) -> Path:
    return settings.work_dir / f"{reader}-fill.lock"
