"""Live events go from the inbox into the log in batches; whatever is cut off is finished by the next move."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Self

import pyarrow as pa

from features.days import day_of
from features.errors import InboxError, ZhongcaoError
from features.events import EVENTS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.file import LOG_READER
from features.inbox.hold import PARITY_READER, holder, no_fill
from features.inbox.inbox import Inbox
from features.inbox.live_quarantine import quarantine_refused
from features.log.event_log import EventLog
from features.log.importing import import_lock
from features.log.parts import PartWriter

_ROWS_AT_ONCE: Final = 200_000
_log = logging.getLogger("zhongcao.inbox")


@dataclass
class Moved:
    """What one move did.

    Parameters
    ----------
    events
        Events that went into the log.
    superseded
        Events that an import had brought into the log since they were accepted; the log keeps those.
    quarantined
        Rows that went into quarantine.
    quarantine
        Its name, empty where there were none.
    version
        Version of the log's events afterwards.
    """

    events: int = 0
    superseded: int = 0
    quarantined: int = 0
    quarantine: str = ""
    version: int = -1
    parts: list[str] = field(default_factory=list)


def move(inbox: Inbox, log: EventLog) -> Moved:
    """Move what the inbox holds into the log and into quarantine.

    A version of the log records with its rows how far it has come in the inbox, so a move that is cut off anywhere
    neither loses events nor brings one twice.

    Parameters
    ----------
    inbox
        The inbox.
    log
        The log.

    Raises
    ------
    EventLogError
        An import is writing to the log, or another process is moving.
    InboxError
        The inbox cannot be written.
    """
    done = Moved()
    target = log.log_table(EVENTS.name)
    with import_lock(log.settings):
        target.recover()
        position = target.position(LOG_READER)
        _end_abandoned(inbox, log)
        if position >= 0:
            inbox.moved_to(position)
        inbox.read_log_ids()
        done.quarantine, done.quarantined = quarantine_refused(inbox, log.settings)
        more = True
        # What arrives meanwhile is for the next move, so that an import gets its turn.
        while more and (rows := inbox.after(position, _ROWS_AT_ONCE)):
            more = len(rows) == _ROWS_AT_ONCE
            position = int(rows[-1][0])
            known = inbox.superseded()
            new = [row for row in rows if row[0] not in known]
            done.superseded += len(rows) - len(new)
            names = _write(log, new, position, len(rows) - len(new)) if new else []
            inbox.moved_to(position, names)
            done.events += len(new)
            done.parts += names
        done.version = target.version
    return done


def _end_abandoned(inbox: Inbox, log: EventLog) -> None:
    """Let go the events that a parity check held when it was killed."""
    if holder(PARITY_READER) in inbox.readers():
        # A living check has the lock, which ends with its process.
        with suppress(InboxError), no_fill(log.settings, PARITY_READER):
            inbox.let_go(PARITY_READER, 0)


def _write(log: EventLog, rows: Sequence[tuple[Any, ...]], position: int, superseded: int) -> list[str]:
    target = log.log_table(EVENTS.name)
    now = int(time.time())
    started = time.monotonic()
    names = [f"part-live-{now}-{uuid.uuid4().hex[:12]}.parquet"]
    target.announce(names)
    writer = PartWriter(target.folder, EVENTS, names, log.timezone, now)
    writer.append(as_table(rows, log.timezone))
    parts = writer.close()
    said = {"table": EVENTS.name, "source": "live events", "accepted": len(rows), "superseded": superseded}
    said["seconds"] = round(time.monotonic() - started, 3)
    target.commit(parts, said, (LOG_READER, position))
    return names


def as_table(rows: Sequence[tuple[Any, ...]], timezone: str) -> pa.Table:
    """Return rows of `Inbox.after` as rows of the log's events.

    Parameters
    ----------
    rows
        Each ``(seq, *ROW_COLUMNS)``.
    timezone
        The log's.
    """
    _, *values = zip(*rows, strict=True)
    columns: dict[str, Any] = dict(zip(ROW_COLUMNS, values, strict=True))
    columns["day"] = day_of(columns["event_time"], timezone)
    columns["own_label"] = [None if flag is None else bool(flag) for flag in columns["own_label"]]
    return pa.table([pa.array(columns[c.name], c.arrow) for c in EVENTS.columns], schema=EVENTS.schema)


class Mover:
    """Moves every so many seconds, in a thread of its own, while it is entered; and once more when it is left.

    Parameters
    ----------
    inbox
        The inbox.
    seconds
        From one move to the next.
    """

    def __init__(self, inbox: Inbox, seconds: float) -> None:
        self._inbox = inbox
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mover", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(self._seconds)
            try:
                done = move(self._inbox, self._inbox.log)
            except (ZhongcaoError, OSError, sqlite3.Error) as error:
                _log.warning("live events stay in the inbox for now: %s", error)
                continue
            if done.events or done.quarantined:
                _log.info("moved %d live events, %d into quarantine", done.events, done.quarantined)
