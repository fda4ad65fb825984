"""States of everybody from the log, in one reading of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from features.incremental.bulk import folded
from features.incremental.live_layout import REQUIRED, LiveLayout
from features.incremental.state import NEVER, PersonState
from features.joins import relation_of
from features.spine import Spine

PEOPLE_AT_ONCE: Final = 1_024
"""The most persons of a stretch."""
_AT_ONCE: Final = 250_000
_NUMBER: Final = "number"
_QUERY: Final = """
select o.number, {columns} from events_ e join owned_ o using (account)
where {kinds} order by o.number
"""


@dataclass(frozen=True)
class Stretch:
    """Some persons that follow each other, and all that they did.

    Parameters
    ----------
    persons
        Person keys.
    first
        Number of the first one.
    events
        Canonical events with the ``number`` of their person, ascending.
    """

    persons: Sequence[str]
    first: int
    events: pa.RecordBatch


def states_of(
    live: LiveLayout, events: Any, spine: Spine, settled: int = NEVER
) -> Iterator[tuple[str, PersonState]]:
    """Yield persons with their states, see `stretches` and `states_in`."""
    for stretch in stretches(live, events, spine):
        yield from states_in(live, stretch, settled)


def stretches(live: LiveLayout, events: Any, spine: Spine) -> Iterator[Stretch]:
    """Yield everybody with their events.

    The engine sorts the events by person, on disk beyond its memory limit; held here are about a quarter of a
    million events at a time, or those of one person.

    Parameters
    ----------
    live
        Says what a state holds.
    events
        As `features.rows.batch.aggregate` takes them, but for Spark.
    spine
        Everybody, once each; whose accounts are whose. Its instants do not matter.

    Yields
    ------
    Stretch
        In the spine's order; also persons without an event.
    """
    relation = relation_of(events)
    present = [name for name in (*REQUIRED, *live.kept.columns) if name in relation.columns]
    owned_ = pa.table({"account": spine.accounts["account"], _NUMBER: spine.accounts["row"]})  # noqa: F841
    kinds = ", ".join(f"'{one.kind}'" for one in live.kept.kinds.values())
    question = _QUERY.format(
        columns=", ".join(f"e.{name}" for name in present),
        kinds="true" if live.kept.first_event else f"kind in ({kinds})" if kinds else "false",
    )
    persons = spine.persons
    reader = relation.query("events_", question).to_arrow_reader(_AT_ONCE)
    empty = pa.RecordBatch.from_pylist([], schema=reader.schema)
    held, first = [empty], 0
    for batch in reader:
        numbers = batch.column(_NUMBER).to_numpy()
        # Whoever comes last may have more events in what follows.
        last = int(numbers[-1])
        start = int(np.searchsorted(numbers, last)) if last > first else 0
        if last > first:
            yield from _cut(persons[first:last], first, pa.concat_batches([*held, batch.slice(0, start)]))
            held, first = [empty], last
        held.append(batch.slice(start))
    yield from _cut(persons[first:], first, pa.concat_batches(held))


def _cut(persons: Sequence[str], first: int, events: pa.RecordBatch) -> Iterator[Stretch]:
    numbers = events.column(_NUMBER).to_numpy()
    for place in range(0, len(persons), PEOPLE_AT_ONCE):
        some = persons[place : place + PEOPLE_AT_ONCE]
        start, end = np.searchsorted(numbers, [first + place, first + place + len(some)]).tolist()
        yield Stretch(some, first + place, events.slice(start, end - start))


def states_in(live: LiveLayout, stretch: Stretch, settled: int = NEVER) -> Iterator[tuple[str, PersonState]]:
    """Yield the persons of a stretch with their states.

    Parameters
    ----------
    live
        Says what a state holds.
    stretch
        Persons and events.
    settled
        Settle the states at that instant: smaller, but no rows of earlier ones.
    """
    numbers = stretch.events.column(_NUMBER).to_numpy()
    ends = np.searchsorted(numbers, np.arange(stretch.first, stretch.first + len(stretch.persons)), side="right")
    yield from zip(stretch.persons, folded(live.kept, live.encode(stretch.events), ends, settled), strict=True)
