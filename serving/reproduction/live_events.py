"""Live events that a store had been fed behind the version of the log that its fill read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.events import EVENTS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.mover import as_table
from features.log.event_log import EventLog

_COLUMNS: Final = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
_OF_ACCOUNTS: Final = "account IN (SELECT value FROM json_each(?))"
_NOT_ASIDE: Final = "seq NOT IN (SELECT seq FROM aside WHERE reader = ?)"


def events_of(con: duckdb.DuckDBPyConnection, events: Any, accounts: Sequence[str]) -> pa.Table:
    """Return the events of some accounts, in the log's schema."""
    mine = pa.table({"account": pa.array(list(accounts), pa.string())})
    con.register("asked_accounts", mine)
    question = f"SELECT {_COLUMNS} FROM events_ SEMI JOIN asked_accounts USING (account)"  # noqa: S608
    found: pa.Table = events.query("events_", question).to_arrow_table()
    con.unregister("asked_accounts")
    return found.cast(EVENTS.schema)


@dataclass(frozen=True)
class LiveEvents:
    """Live events in the log's schema, and the number that the inbox gave each.

    Parameters
    ----------
    events
        n rows.
    seqs
        int64 [n].
    """

    events: pa.Table
    seqs: NDArray[np.int64]

    def of(self, accounts: Sequence[str], last: int | None) -> pa.Table:
        """Return the events of some accounts up to a number; none for None."""
        if last is None:
            return self.events.slice(0, 0)
        wanted = pc.is_in(self.events["account"], pa.array(list(accounts), pa.string()))
        return self.events.filter(pc.and_(wanted, pa.chunked_array([pa.array(self.seqs <= last)])))


def live_events(
    log: EventLog, con: duckdb.DuckDBPyConnection, accounts: Sequence[str], before: pa.Table, reader: str
) -> LiveEvents:
    """Return the live events of some accounts that are not among those before.

    Parameters
    ----------
    log, con
        The log as it is now, and a connection to it.
    accounts
        Keys.
    before
        Events of these accounts that the fill knew.
    reader
        Of the inbox: events that were set aside for it are left out.
    """
    # What moves from the inbox into the log meanwhile is read twice, and never missed.
    waiting = _waiting(log, _OF_ACCOUNTS, json.dumps(list(accounts)))
    moved = events_of(con, log.events(con), accounts)
    both = pa.concat_tables([moved, waiting.filter(pc.invert(_among(waiting, moved)))])
    new = both.filter(pc.invert(_among(both, before)))
    seqs = _numbers(log, new["event_id"].to_pylist(), reader)
    sent = pc.is_in(new["event_id"], pa.array(list(seqs), pa.string()))
    live = new.filter(sent)
    return LiveEvents(live, np.array([seqs[event] for event in live["event_id"].to_pylist()], np.int64))


def events_between(log: EventLog, con: duckdb.DuckDBPyConnection, after: int, last: int, reader: str) -> pa.Table:
    """Return everybody's live events behind one number and up to another, in the log's schema."""
    waiting = _waiting(log, "seq > ? AND seq <= ?", after, last)
    numbered = f"SELECT event_id FROM seen WHERE seq > ? AND seq <= ? AND {_NOT_ASIDE}"  # noqa: S608
    seen = _ask(log, numbered, after, last, reader)
    sent = pa.array([event_id for (event_id,) in seen], pa.string())
    con.register("sent_events", pa.table({"event_id": sent}))
    question = f"SELECT {_COLUMNS} FROM events_ SEMI JOIN sent_events USING (event_id)"  # noqa: S608
    moved = log.events(con).query("events_", question).to_arrow_table().cast(EVENTS.schema)
    con.unregister("sent_events")
    waiting = waiting.filter(pc.and_(pc.is_in(waiting["event_id"], sent), pc.invert(_among(waiting, moved))))
    return pa.concat_tables([moved, waiting])


def sent_live(log: EventLog, ids: Sequence[str]) -> list[str]:
    """Return which of some events were sent live, also where a file told of them, too."""
    question = "SELECT event_id FROM seen WHERE seq IS NOT NULL AND event_id IN (SELECT value FROM json_each(?))"
    return [event_id for (event_id,) in _ask(log, question, json.dumps(list(ids)))]


def _among(events: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(events["event_id"], others["event_id"].combine_chunks())


def _waiting(log: EventLog, which: str, *values: Any) -> pa.Table:
    columns = ", ".join(f'"{name}"' for name in ROW_COLUMNS)
    question = (
        f"SELECT seq, {columns} FROM waiting WHERE {which} AND seq NOT IN (SELECT seq FROM superseded)"  # noqa: S608
        " ORDER BY seq"
    )
    rows = _ask(log, question, *values)
    return as_table(rows, log.timezone) if rows else EVENTS.schema.empty_table()


def _numbers(log: EventLog, ids: Sequence[str], reader: str) -> dict[str, int]:
    """Return the numbers of those events that were sent live."""
    question = (
        "SELECT event_id, seq FROM seen WHERE seq IS NOT NULL"  # noqa: S608
        f" AND event_id IN (SELECT value FROM json_each(?)) AND {_NOT_ASIDE}"
    )
    return dict(_ask(log, question, json.dumps(list(ids)), reader))


def _ask(log: EventLog, question: str, *values: Any) -> list[tuple[Any, ...]]:
    path = log.settings.inbox_file
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(question, values).fetchall()
