"""Live events go from the inbox into the log in batches; whatever is cut off is finished by the next move."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from features.days import day_of
from features.errors import InboxError
from features.events import EVENTS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.file import LOG_READER
from features.inbox.hold import PARITY_READER, holder, no_fill
from features.inbox.inbox import Inbox
from features.inbox.live_quarantine import quarantine_refused
from features.inbox.tries import EXPECTED
from features.log.compaction import compact
from features.log.event_log import EventLog
from features.log.importing import import_lock
from features.log.parts import PartWriter
from features.small_tables import one_of

LIVE: Final = "live events"
"""Source of versions of the log that a move made: stores are fed what they hold."""
_ROWS_AT_ONCE: Final = 200_000
_MOST_ASIDE: Final = 100
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
    aside
        Events that cannot be written, set aside in the inbox.
    version
        Version of the log's events afterwards.
    """

    events: int = 0
    superseded: int = 0
    quarantined: int = 0
    quarantine: str = ""
    aside: int = 0
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
            superseded = len(rows) - len(new)
            new = _without_poison(inbox, log, new, done)
            names = _write(log, new, position, superseded) if new else []
            inbox.moved_to(position, names)
            done.events += len(new)
            done.parts += names
        compact(log, target, lambda names: inbox.moved_to(position, names))
        done.version = target.version
    return done


def _end_abandoned(inbox: Inbox, log: EventLog) -> None:
    """Let go the events that a parity check held when it was killed."""
    if holder(PARITY_READER) in inbox.readers():
        # A living check has the lock, which ends with its process.
        with suppress(InboxError), no_fill(log.settings, PARITY_READER):
            inbox.let_go(PARITY_READER, 0)


def _without_poison(inbox: Inbox, log: EventLog, rows: list[tuple[Any, ...]], done: Moved) -> list[tuple[Any, ...]]:
    """Set aside the few rows that are no rows of the log, whatever is wrong with them; return the others."""
    bad = _unreadable(rows, log.timezone)
    for row, error in bad:
        inbox.set_aside(LOG_READER, int(row[0]), type(error).__name__)
        _log.warning("an event that the log could not take was set aside: %s", type(error).__name__)
    done.aside += len(bad)
    gone = {row[0] for row, _ in bad}
    return [row for row in rows if row[0] not in gone] if bad else rows


def _unreadable(rows: list[tuple[Any, ...]], timezone: str) -> list[tuple[tuple[Any, ...], Exception]]:
    try:
        if rows:
            as_table(rows, timezone)
    except EXPECTED:
        raise
    except Exception as error:
        if len(rows) == 1:
            return [(rows[0], error)]
        half = len(rows) // 2
        found = _unreadable(rows[:half], timezone)
        if len(found) <= _MOST_ASIDE:
            found += _unreadable(rows[half:], timezone)
        if len(found) > _MOST_ASIDE:
            # So many are nobody's fault but ours.
            raise
        return found
    return []


def bring_back(inbox: Inbox, log: EventLog) -> int:
    """Move events that were set aside into the log, once what stood in their way was mended; return how many.

    What cannot be written yet stays aside.

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
    """
    with import_lock(log.settings):
        target = log.log_table(EVENTS.name)
        target.recover()
        rows = inbox.aside(LOG_READER)
        bad = {row[0] for row, _ in _unreadable(rows, log.timezone)}
        good = [row for row in rows if row[0] not in bad]
        # A try that was cut off behind the log has brought them.
        con = log.connect()
        place = 1 + ROW_COLUMNS.index(EVENTS.key)
        wanted = one_of(EVENTS.key, [row[place] for row in good])
        found = log.events(con).filter(wanted).project(EVENTS.key).fetchall() if good else []
        con.close()
        there = {event_id for (event_id,) in found}
        new = [row for row in good if row[place] not in there]
        if new:
            _write(log, new, target.position(LOG_READER), 0, source="events set aside")
        inbox.take_back(LOG_READER, [int(row[0]) for row in good])
    return len(new)


def _write(
    log: EventLog, rows: Sequence[tuple[Any, ...]], position: int, superseded: int, source: str = LIVE
) -> list[str]:
    target = log.log_table(EVENTS.name)
    now = int(time.time())
    started = time.monotonic()
    names = [f"part-live-{now}-{uuid.uuid4().hex[:12]}.parquet"]
    target.announce(names)
    writer = PartWriter(target.folder, EVENTS, names, log.timezone, now)
    writer.append(as_table(rows, log.timezone))
    parts = writer.close()
    said = {"table": EVENTS.name, "source": source, "accepted": len(rows), "superseded": superseded}
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
