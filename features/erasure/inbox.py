"""Erasing people from the inbox: events that wait, ids of earlier ones, rows on their way into quarantine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from features.erasure.erasable import ErasablePlace
from features.erasure.log import whose
from features.erasure.quarantine import Named
from features.events import EVENTS
from features.inbox.file import open_file, transaction
from features.log.event_log import EventLog
from features.sqlite_pages import rewrite


class InboxPlace(ErasablePlace):
    """The inbox; whoever erases from it holds `features.log.importing.import_lock`.

    Ids of events that are in the log are deleted with the events, so it comes before the log.

    Parameters
    ----------
    log
        The log that the inbox is moved into.
    named
        Tells whether a row that is no valid event names somebody.
    name
        As the receipt lists it.
    """

    def __init__(self, log: EventLog, named: Named, name: str = "inbox") -> None:
        self.name = name
        self._log = log
        self._named = named

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete events, their ids and refused rows of people, see `ErasablePlace.erase`."""
        path = self._log.settings.inbox_file
        if not path.exists():
            return 0
        keys = sorted({*persons, *accounts})
        in_log = self._ids_in_log(keys)
        with closing(open_file(path, 0)) as connection, transaction(connection):
            removed = _erase_events(connection, keys, in_log)
            removed += self._erase_refused(connection, set(keys))
        rewrite(path)
        return removed

    def _ids_in_log(self, keys: Sequence[str]) -> list[str]:
        con = self._log.connect()
        try:
            rows = self._log.events(con).filter(whose(EVENTS, keys)).project(EVENTS.key).fetchall()
        finally:
            con.close()
        return [event_id for (event_id,) in rows]

    def _erase_refused(self, connection: sqlite3.Connection, keys: set[str]) -> int:
        removed = 0
        for source, raw in connection.execute("SELECT source, raw FROM refused").fetchall():
            if self._named(raw, keys, None):
                connection.execute("DELETE FROM refused WHERE source = ? AND raw = ?", (source, raw))
                connection.execute("UPDATE counter SET refused_bytes = refused_bytes - ?", (len(raw),))
                removed += 1
        return removed


def _erase_events(connection: sqlite3.Connection, keys: Sequence[str], in_log: Iterable[str]) -> int:
    ids = set(in_log)
    waiting = aside = 0
    for key in keys:
        ids.update(i for (i,) in connection.execute("SELECT event_id FROM aside WHERE account = ?", (key,)))
        aside += connection.execute("DELETE FROM aside WHERE account = ?", (key,)).rowcount
        ids.update(i for (i,) in connection.execute("SELECT event_id FROM waiting WHERE account = ?", (key,)))
        connection.execute(
            "DELETE FROM superseded WHERE seq IN (SELECT seq FROM waiting WHERE account = ?)", (key,)
        )
        waiting += connection.execute("DELETE FROM waiting WHERE account = ?", (key,)).rowcount
    connection.execute("UPDATE counter SET waiting = waiting - ?", (waiting,))
    seen = 0
    for event_id in ids:
        seen += connection.execute("DELETE FROM seen WHERE event_id = ?", (event_id,)).rowcount
    return waiting + aside + seen


def note_parts(path: Path, before: Sequence[str], now: Sequence[str]) -> None:
    """Tell the inbox that parts of the log were written anew and hold no ids that are new to it.

    Parameters
    ----------
    path
        File of the inbox.
    before, now
        Names of the log's parts; unless all of those before were known, the inbox reads the new ones itself.
    """
    if not path.exists():
        return
    with closing(open_file(path, 0)) as connection, transaction(connection):
        known = {name for (name,) in connection.execute("SELECT name FROM part")}
        if known.issuperset(before):
            connection.executemany("INSERT OR IGNORE INTO part VALUES (?)", [(name,) for name in now])
