"""Events that came by file after a fill, of which rows and histories were read from the log once more.

A record names its fill, and whom imports told of is renewed on his own: which import a row had seen is found by
computing it with each, until the bits of the record come out.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.events import EVENTS
from features.log.event_log import EventLog
from serving.live.imports import imports_since
from serving.predictions.record import Prediction
from serving.reproduction.live_events import events_of, sent_live


def imports_before(log: EventLog, filled_from: int, kept: Prediction) -> list[int]:
    """Return the versions of the events that an import made between a fill and a prediction, latest first.

    Parameters
    ----------
    log
        The log.
    filled_from
        Version that the fill read.
    kept
        The prediction.
    """
    table = log.log_table(EVENTS.name)
    at = {int(entry["version"]): int(entry["committed_at"]) for entry in table.history()}
    found = imports_since(log, {EVENTS.name: filled_from}).get(EVENTS.name, [])
    return [one.version for one in reversed(found) if at.get(one.version, 0) <= kept.made_at + 1]


def imported(
    log: EventLog,
    con: duckdb.DuckDBPyConnection,
    accounts: Sequence[str],
    before: pa.Table,
    version: int,
) -> pa.Table:
    """Return the events of some accounts that came by file behind a fill.

    Parameters
    ----------
    log, con
        The log, and a connection to it.
    accounts
        Keys.
    before
        Events of these accounts that the fill knew.
    version
        Of the events, with the last import that counts.
    """
    there = events_of(con, log.events(con, version), accounts)
    new = there.filter(pc.invert(pc.is_in(there["event_id"], before["event_id"].combine_chunks())))
    live = sent_live(log, new["event_id"].to_pylist())
    return new.filter(pc.invert(pc.is_in(new["event_id"], pa.array(live, pa.string()))))
