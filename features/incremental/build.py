"""States of everybody from the log, in one reading of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from features.incremental.live_layout import REQUIRED, LiveLayout
from features.incremental.state import PersonState
from features.joins import relation_of
from features.spine import Spine

_AT_ONCE: Final = 250_000
_QUERY: Final = """
select o.number, {columns} from events_ e join owned_ o using (account)
where {kinds} order by o.number
"""


def states_of(
    live: LiveLayout, events: Any, spine: Spine, settled: int | None = None
) -> Iterator[tuple[str, PersonState]]:
    """Yield persons with their states.

    The engine sorts the events by person, on disk beyond its memory limit; held here are a quarter of a million
    events at a time, and the state of one person.

    Parameters
    ----------
    live
        Says what a state holds.
    events
        As `features.rows.batch.aggregate` takes them, but for Spark.
    spine
        Everybody, once each; whose accounts are whose. Its instants do not matter.
    settled
        Settle the states at that instant: smaller, but no rows of earlier ones.

    Yields
    ------
    tuple
        Person key and state, in the spine's order; also of persons without an event.
    """
    relation = relation_of(events)
    present = [name for name in (*REQUIRED, *live.kept.columns) if name in relation.columns]
    owned_ = pa.table({"account": spine.accounts["account"], "number": spine.accounts["row"]})  # noqa: F841
    kinds = ", ".join(f"'{one.kind}'" for one in live.kept.kinds.values())
    question = _QUERY.format(
        columns=", ".join(f"e.{name}" for name in present),
        kinds="true" if live.kept.first_event else f"kind in ({kinds})" if kinds else "false",
    )
    persons = spine.persons
    state, number = live.empty(), 0
    for batch in relation.query("events_", question).to_arrow_reader(_AT_ONCE):
        encoded = live.encode(batch)
        numbers = batch.column("number").to_numpy()
        starts = np.append(0, np.flatnonzero(np.diff(numbers)) + 1)
        for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
            while number < numbers[start]:
                yield persons[number], _settled(state, settled)
                state, number = live.empty(), number + 1
            state.fold(encoded, np.arange(start, end))
    for person in persons[number:]:
        yield person, _settled(state, settled)
        state = live.empty()


def _settled(state: PersonState, instant: int | None) -> PersonState:
    if instant is not None:
        state.settle(instant)
    return state
