"""Live events that a store had been fed behind the version of the log that its fill read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.events import EVENTS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.mover import as_table
from features.log.event_log import EventLog


def events_of(con: duckdb.DuckDBPyConnection, events: Any, accounts: Sequence[str]) -> pa.Table:
    """Return the events of some accounts, in the log's schema."""
    mine = pa.table({"account": pa.array(list(accounts), pa.string())})
    con.register("asked_accounts", mine)
    names = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
    question = f"SELECT {names} FROM events_ SEMI JOIN asked_accounts USING (account)"  # noqa: S608
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
    log: EventLog, con: duckdb.DuckDBPyConnection, accounts: Sequence[str], before: pa.Table
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
    """
    # What moves from the inbox into the log meanwhile is read twice, and never missed.
    waiting = _waiting(log, accounts)
    moved = events_of(con, log.events(con), accounts)
    both = pa.concat_tables([moved, waiting.filter(pc.invert(_among(waiting, moved)))])
    new = both.filter(pc.invert(_among(both, before)))
    seqs = _numbers(log, new["event_id"].to_pylist())
    sent = pc.is_in(new["event_id"], pa.array(list(seqs), pa.string()))
    live = new.filter(sent)
    return LiveEvents(live, np.array([seqs[event] for event in live["event_id"].to_pylist()], np.int64))


def _among(events: pa.Table, others: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(events["event_id"], others["event_id"].combine_chunks())


def _waiting(log: EventLog, accounts: Sequence[str]) -> pa.Table:
    columns = ", ".join(f'"{name}"' for name in ROW_COLUMNS)
    question = (
        f"SELECT seq, {columns} FROM waiting WHERE seq NOT IN (SELECT seq FROM superseded)"  # noqa: S608
        " AND account IN (SELECT value FROM json_each(?)) ORDER BY seq"
    )
    rows = _ask(log, question, json.dumps(list(accounts)))
    return as_table(rows, log.timezone) if rows else EVENTS.schema.empty_table()


def _numbers(log: EventLog, ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of those events that were sent live."""
    question = (
        "SELECT event_id, seq FROM seen WHERE seq IS NOT NULL AND event_id IN (SELECT value FROM json_each(?))"
    )
    return dict(_ask(log, question, json.dumps(list(ids))))


def _ask(log: EventLog, question: str, keys: str) -> list[tuple[Any, ...]]:
    path = log.settings.inbox_file
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(question, (keys,)).fetchall()
