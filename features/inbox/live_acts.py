"""Acts of events that are at hand as rows of the log: the numbers of `features.people.acts.read_acts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.events import KINDS
from features.incremental.reading import HOLDS, TableColumns
from features.people.acts import ACT_COLUMNS, CODED, Acts, Array, codes_of
from features.people.person_links import numbers_of


def acts_of_events(events: pa.Table, persons: Sequence[int]) -> Acts:
    """Return events as acts; links are older than their arrival.

    Parameters
    ----------
    events
        Rows of the log's events.
    persons
        Code of each event's person.
    """

    def filled(name: str) -> Array:
        return np.asarray(pc.fill_null(events[name], 0).to_numpy())

    times, arrivals = numbers_of(events["event_time"]), numbers_of(events["arrived_at"])
    made: dict[str, Array] = {
        "person": np.asarray(persons, np.int64),
        "kind": numbers_of(pc.index_in(events["kind"], pa.array(KINDS))),
        "deep": HOLDS["deep_read"](TableColumns(events)),
        "time": times,
        "since": np.maximum(times + 1, arrivals),
        "amount": filled("amount"),
        "quantity": np.maximum(np.asarray(pc.fill_null(events["quantity"], 1).to_numpy()), 1),
    } | {name: codes_of(events[name]) for name in CODED}
    return Acts({name: made[name].astype(dtype) for name, dtype in ACT_COLUMNS.items()})
