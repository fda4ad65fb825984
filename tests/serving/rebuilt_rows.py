"""Rows of kept predictions, out of the log and what the inbox remembers alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.log.event_log import EventLog
from features.people.population import population
from features.rows.build import build_rows
from features.rows.outcomes import fit_thresholds, label_history
from features.rows.thresholds import Thresholds
from features.settings import Settings
from features.spine import ACCOUNTS_SCHEMA, assemble
from serving.online.backfill import linked_accounts
from serving.predictions.record import Prediction
from training.tags.bundle import load_bundle


def known_then(settings: Settings, kept: Prediction, con: Any) -> pa.Table:
    """Return the events that the fill's version of the log held, and live ones up to the last in the row."""
    log = EventLog.open(settings)
    of_fill = log.events(con, int(kept.origin.source.split("-")[0].removeprefix("v"))).to_arrow_table()
    with closing(sqlite3.connect(settings.inbox_file)) as inbox:
        seen = inbox.execute("SELECT event_id FROM seen WHERE seq <= ?", (-1 if kept.seq is None else kept.seq,))
        live = [event_id for (event_id,) in seen]
    ids = pa.concat_arrays([of_fill["event_id"].combine_chunks(), pa.array(live, pa.string())])
    every = log.events(con).to_arrow_table()
    return every.filter(pc.is_in(every["event_id"], ids))


def rebuilt(settings: Settings, kept: Prediction) -> np.ndarray:
    """Return the row that a prediction of tags was made from."""
    assert kept.person is not None
    log, bundle = EventLog.open(settings), load_bundle(settings.bundles_dir / kept.origin.model)
    con = log.connect()
    identities = log.table(con, "identities")
    of_fill = log.events(con, int(kept.origin.source.split("-")[0].removeprefix("v")))
    everybody = population(of_fill, identities, [kept.filled_at], log.timezone)
    levels = fit_thresholds(bundle.taxonomy, of_fill, everybody).at(np.array([kept.filled_at]))
    of_then = Thresholds(tuple(levels), (kept.as_of,), np.array([[float(level[0]) for level in levels.values()]]))
    owned = [a for a, p in linked_accounts(identities, kept.filled_at, []).items() if p == kept.person]
    mine = owned or [kept.person]
    accounts = pa.table([[0] * len(mine), mine], schema=ACCOUNTS_SCHEMA)
    spine = assemble(
        pa.array([kept.person], pa.string()), np.array([kept.as_of], np.int64), accounts, log.timezone, None
    )
    events = con.from_arrow(known_then(settings, kept, con))
    [row] = build_rows(bundle.layout, events, spine, label_history(bundle.taxonomy, events, spine, of_then))
    con.close()
    return row
