"""Live events into the online store: a state is folded, and the row read from it as of the end of this second."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from features.errors import StoreError, ZhongcaoError
from features.inbox.mover import as_table
from features.incremental.columns import Encoded
from features.incremental.live_layout import LiveLayout
from serving.live.fed import ACCOUNT, ARRIVED_AT, Fed, FillNeededError, Rows, by_person
from serving.online.backfill import TAGS_READER
from serving.online.live_rows import BACKFILL, RowBundle, RowFacts, reader_of
from serving.online.store import Live, OnlineStore, StoredRow, StoredState, Update


@dataclass(frozen=True)
class _Reading:
    """How rows are read from the states of one fill."""

    live: Live
    facts: RowFacts
    layout: LiveLayout


@dataclass(frozen=True)
class _Batch:
    """Events that are being fed."""

    encoded: Encoded
    seqs: Sequence[int]
    kinds: Sequence[str]
    arrivals: Sequence[int]


class _Known(NamedTuple):
    """What the store knows of a person."""

    person: str
    row: StoredRow | None
    state: StoredState | None


class FedTags(Fed):
    """Rows of tags.

    Parameters
    ----------
    store
        Where rows and states lie.
    bundle
        Returns what answers now; raises a `ZhongcaoError` where nothing does.
    withdrawn
        Tells who must not be personalised: of them nothing is kept.
    clock
        Epoch seconds.
    """

    name = TAGS_READER
    command = "zhongcao backfill"

    def __init__(
        self,
        store: OnlineStore,
        bundle: Callable[[], RowBundle],
        withdrawn: Callable[[], AbstractSet[str]] = frozenset,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._bundle = bundle
        self._withdrawn = withdrawn
        self._clock = clock
        self._made: tuple[tuple[str, str], RowFacts, LiveLayout] | None = None

    def warm(self) -> None:
        """Prepare what the first event would have to wait for, and requests beside it."""
        with suppress(ZhongcaoError):
            self._look().layout.warm()

    def position(self) -> int:
        """Return how far the store is, see `Fed.position`."""
        return self._look().live.seq

    def take(self, after: int, rows: Rows) -> None:
        """Fold events and write rows, see `Fed.take`."""
        reading = self._look()
        if reading.live.seq != after:
            raise StoreError("the online store was filled or updated meanwhile", value=reading.live.seq)
        table = as_table(rows, reading.facts.timezone)
        batch = _Batch(
            reading.layout.encode(table),
            [int(row[0]) for row in rows],
            table["kind"].to_pylist(),
            table["arrived_at"].to_pylist(),
        )
        mine, silent = by_person(table["account"].to_pylist(), self._store.resolve, self._withdrawn())
        persons = list(mine)
        known = zip(persons, self._store.get(persons), self._store.states(persons), strict=True)
        updates = [
            self._update(reading, batch, mine[person], _Known(person, row, state))
            if person not in silent and (state is not None or row is None)
            else _forgotten(batch, mine[person], person)
            for person, row, state in known
            if state is None or state.content
        ]
        self._store.update(reading.live, batch.seqs[-1], updates)

    def skip(self, after: int, row: tuple[Any, ...]) -> None:
        """Leave an event out, see `Fed.skip`: its person's row stays as it is until it is read from the log."""
        live = self._look().live
        if live.seq != after:
            raise StoreError("the online store was filled or updated meanwhile", value=live.seq)
        seq, account, arrived_at = int(row[0]), row[ACCOUNT], row[ARRIVED_AT]
        (person,) = self._store.resolve([account])
        forgotten = Update(person, StoredState(b"", seq, int(arrived_at)), 0, None)
        self._store.update(live, seq, [forgotten])

    def _look(self) -> _Reading:
        """Return how rows are read now.

        Raises
        ------
        FillNeededError
            The store was filled without states, or for another bundle.
        """
        live, bundle = self._store.live(), self._bundle()
        if live is None:
            raise FillNeededError("the online store was filled without states", next_step=BACKFILL)
        key = live.fill, bundle.version
        if self._made is None or self._made[0] != key:
            # The columns of tags that were added since the fill lie beside the rows, which go on without them.
            read = reader_of(bundle, self._store.describe().schema_hash)
            if read is None:
                raise FillNeededError(
                    "the online store's rows do not follow the layout of the bundle", next_step=BACKFILL
                )
            facts = RowFacts.of_json(live.facts)
            layout = facts.layout(read)
            if layout.schema_hash != live.state_hash:
                raise FillNeededError(
                    "the online store's states were made for other features than the bundle's",
                    value=live.state_hash[:16],
                    valid=[layout.schema_hash[:16]],
                    next_step=BACKFILL,
                )
            self._made = key, facts, layout
        return _Reading(live, *self._made[1:])

    def _update(self, reading: _Reading, batch: _Batch, events: list[int], known: _Known) -> Update:
        layout = reading.layout
        state = layout.empty() if known.state is None else layout.unpack(known.state.content)
        state.fold(batch.encoded, np.array(events))
        # What happens in a second is in rows as of its end; a clock that was put back does not put rows back.
        instant = max(int(self._clock()) + 1, state.settled, reading.facts.as_of)
        state.settle(instant)
        scored = known.row is not None or reading.facts.scores([batch.kinds[event] for event in events])
        vector = layout.row(state, instant) if scored else None
        before = 0 if known.state is None else known.state.arrived_at
        return Update(known.person, _marked(batch, events, state.pack(), before), instant, vector)


def _forgotten(batch: _Batch, events: list[int], person: str) -> Update:
    """Of whom some events are not fed, the others would tell something wrong: a fill from the log begins anew."""
    return Update(person, _marked(batch, events, b""), 0, None)


def _marked(batch: _Batch, events: list[int], content: bytes, before: int = 0) -> StoredState:
    # What was known stays known, also to a clock that was put back.
    return StoredState(content, batch.seqs[events[-1]], max(before, *(batch.arrivals[event] for event in events)))
