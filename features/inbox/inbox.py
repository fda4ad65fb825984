"""The inbox: live events are on disk, each exactly once, before anybody is told that they were accepted."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Sequence
from typing import Any, Final, Self

from features.errors import InboxError
from features.inbox.aside import reasons_aside, rows_aside, set_aside, take_back
from features.inbox.batch import ROW_COLUMNS, LiveBatch, Verdict
from features.inbox.file import LOG_READER, forget_refused
from features.inbox.hold import let_go, open_inbox_file
from features.inbox.ids import LogIds
from features.inbox.readers import pass_on, retire
from features.inbox.state import InboxState, state_of
from features.inbox.writer import InboxLimits, InboxWriter
from features.log.event_log import EventLog
from features.rights.tombstones import Tombstones

_ACCEPT_SECONDS: Final = 10.0


class Inbox:
    """Takes live events from many threads; one writer thread commits what has gathered since its last commit.

    Parameters
    ----------
    log
        The log that the events will be moved into; its ids count as seen.
    limits
        When callers are sent away.
    """

    def __init__(self, log: EventLog, limits: InboxLimits | None = None) -> None:
        self.log = log
        path = log.settings.inbox_file
        connection = open_inbox_file(log)
        self._reading = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._reader_lock = threading.Lock()
        self._ids = LogIds(log)
        self._writer = InboxWriter(connection, self._ids, Tombstones(log.settings), limits or InboxLimits())
        self._writer.begin(self._ids.load)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def accept(self, batch: LiveBatch, timeout: float = _ACCEPT_SECONDS) -> list[Verdict]:
        """Put a batch on disk and say what became of each event.

        Parameters
        ----------
        batch
            The events.
        timeout
            Seconds to wait for the disk. Who is sent away then may send the same again: what was written after
            all counts as duplicate.

        Raises
        ------
        InboxError
            Callers send too fast, too much waits for the log, or the disk does not take it.
        """
        try:
            return self._writer.submit(batch).result(timeout)
        except TimeoutError as error:
            raise InboxError("the disk has not taken the events in time", retry_after=5) from error

    def after(self, seq: int, limit: int) -> list[tuple[Any, ...]]:
        """Return accepted events in order, each ``(seq, *ROW_COLUMNS)``; not those that every reader has passed.

        Parameters
        ----------
        seq
            The reader's position.
        limit
            How many at most.
        """
        names = ", ".join(f'"{name}"' for name in ROW_COLUMNS)
        return self._read(
            f"SELECT seq, {names} FROM waiting WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
            (seq, limit),
        )

    def wait(self, seq: int, timeout: float) -> bool:
        """Wait until this process has accepted an event behind `seq`; return whether there is one."""
        return self._writer.wait(seq, timeout)

    @property
    def last_seq(self) -> int:
        """Of the newest event that this process knows of."""
        return self._writer.last_seq

    def readers(self) -> dict[str, int]:
        """Return reader → position."""
        return dict(self._read("SELECT name, seq FROM reader"))

    def passed(self, reader: str, seq: int) -> None:
        """Note that a reader has taken every event up to `seq`; what all readers have taken leaves the inbox.

        Parameters
        ----------
        reader
            Its name; known from its first call on, and waited for until it is retired.
        seq
            Its position.
        """
        self._writer.run(lambda connection: pass_on(connection, reader, seq, ()))

    def moved_to(self, seq: int, parts: Sequence[str] = ()) -> None:
        """Note that every event up to `seq` is in the log, in these parts."""
        self._writer.run(lambda connection: pass_on(connection, LOG_READER, seq, parts))

    def retired(self) -> set[str]:
        """Return the readers that nothing waits for, until they go on."""
        return {row[0] for row in self._read("SELECT name FROM retired")}

    def retire(self, reader: str) -> None:
        """Wait for a reader no longer, see `features.inbox.readers.retire`."""
        self._writer.run(lambda connection: retire(connection, reader))

    def holds(self, first: int, last: int, many: int) -> bool:
        """Tell whether more than so many events between two numbers are here."""
        query = "SELECT 1 FROM waiting WHERE seq > ? AND seq <= ? LIMIT 1 OFFSET ?"
        return bool(self._read(query, (first, last, many)))

    def behind(self, reader: str, most: int) -> int:
        """Return how many events a reader has not taken, `most` for more."""
        query = (
            "SELECT count(*) FROM (SELECT 1 FROM waiting WHERE seq > "
            "coalesce((SELECT seq FROM reader WHERE name = ?), -1) LIMIT ?)"
        )
        return int(self._read(query, (reader, most))[0][0])

    def set_aside(self, reader: str, seq: int, reason: str) -> None:
        """Keep an event that a reader cannot take, so that it can go on behind it."""
        self._writer.run(lambda connection: set_aside(connection, reader, seq, reason))

    def aside(self, reader: str) -> list[tuple[Any, ...]]:
        """Return what is aside for a reader, in order, each ``(seq, *ROW_COLUMNS)``."""
        with self._reader_lock:
            return rows_aside(self._reading, reader)

    def reasons_aside(self) -> dict[str, dict[str, int]]:
        """Return reader → reason → how many events are aside."""
        with self._reader_lock:
            return reasons_aside(self._reading)

    def take_back(self, reader: str, seqs: Collection[int]) -> None:
        """Forget what was aside for a reader that has it after all."""
        self._writer.run(lambda connection: take_back(connection, reader, seqs))

    def let_go(self, reader: str, seq: int) -> None:
        """Let events go that a fill held for a reader, where it has told of no position behind `seq`."""
        self._writer.run(lambda connection: let_go(connection, reader, seq))

    def superseded(self) -> set[int]:
        """Return the `seq` of waiting events that an import has brought into the log meanwhile."""
        return {row[0] for row in self._read("SELECT seq FROM superseded")}

    def refused(self, limit: int) -> list[tuple[str, str, str]]:
        """Return source, text and reasons (JSON) of events on their way into quarantine."""
        return self._read("SELECT source, raw, reasons FROM refused ORDER BY source, raw LIMIT ?", (limit,))

    def quarantined(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Forget rows of `refused` that are in quarantine now."""
        self._writer.run(lambda connection: forget_refused(connection, rows))

    def read_log_ids(self) -> None:
        """Take in the ids of what was imported since the last time."""
        self._writer.run(self._ids.load)

    def describe(self) -> InboxState:
        """Return what the inbox holds."""
        with self._reader_lock:
            return state_of(self._reading)

    def close(self) -> None:
        """Commit what was queued, then let go of the file."""
        self._writer.close()
        with self._reader_lock:
            self._reading.close()

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._reader_lock:
            return self._reading.execute(statement, values).fetchall()
