"""Whether live histories equal those that are read from the log: every event of some people, column by column."""

from __future__ import annotations

import random
import time
from typing import Final

import numpy as np
import pyarrow as pa

from features.inbox.hold import PARITY_READER, held_for, release
from features.log.event_log import EventLog
from features.settings import Settings
from serving.histories.fill import kept_after
from serving.histories.known_events import KnownEvents, histories_of
from serving.histories.packed import ACTS_SCHEMA
from serving.histories.store import ORDER, HistoryLive, HistoryStore
from serving.live.fed import FillNeededError
from serving.live.parity import Difference, Parity, behind_the_log, digest

_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.2


def check_histories(settings: Settings, store: HistoryStore, sample: int, seed: int) -> Parity:
    """Compare histories with what the log and the inbox hold.

    Parameters
    ----------
    settings
        Where the log and the inbox lie.
    store
        May be fed meanwhile.
    sample
        How many people; half of them with events since the last fill, where there are as many.
    seed
        Chooses them.

    Raises
    ------
    StoreError
        The store takes no live events, or lacks some that are in the log.
    """
    log = EventLog.open(settings)
    with held_for(log, PARITY_READER), release(log, PARITY_READER):
        known = KnownEvents(log)
        try:
            as_of = store.describe().as_of
            recent = sorted(set(store.resolve(known.recent_accounts(as_of))))
            chosen = random.Random(seed).sample(recent, min(len(recent), sample // 2))  # noqa: S311
            others = store.resolve(known.some_accounts(sample - len(chosen), seed))
            persons = sorted({*chosen, *others})
            live, histories = _read(store, known.position, persons)
            found = {p: held for p, held in zip(persons, histories, strict=True) if held is not None}
            return _compared(known, found, live.seq, as_of)
        finally:
            known.close()


def _read(
    store: HistoryStore, position: int, persons: list[str]
) -> tuple[HistoryLive, list[pa.RecordBatch | None]]:
    """Return histories and the position that they are of."""
    for _ in range(_TRIES):
        before = store.live()
        if before is None:
            raise FillNeededError("the histories take no live events", next_step="run `zhongcao fill`")
        found = store.get(persons)
        if before.seq >= position and store.live() == before:
            return before, found.events
        time.sleep(_PAUSE_SECONDS)
    raise behind_the_log("histories")


def _compared(known: KnownEvents, found: dict[str, pa.RecordBatch], seq: int, as_of: int) -> Parity:
    said = Parity(histories=len(found))
    truth = histories_of(known, list(found), seq, as_of)
    after = kept_after(as_of)
    for person, live in found.items():
        said.add(_differences(person, live, truth[person], after))
    return said


def _differences(person: str, live: pa.RecordBatch, batch: pa.RecordBatch, after: int) -> list[Difference]:
    # What is older than a fill reads is in a history where it arrived live afterwards; no feature counts it.
    live, batch = (_sorted(one.filter(pa.array(one["time"].to_numpy() >= after))) for one in (live, batch))
    if len(live) != len(batch):
        return [Difference(digest(person), "history", "events", float(len(live)), float(len(batch)))]
    counts = {
        name: int(np.count_nonzero(live[name].to_numpy(False) != batch[name].to_numpy(False)))
        for name in ACTS_SCHEMA.names
    }
    return [
        Difference(digest(person), "history", name, float(count), 0.0) for name, count in counts.items() if count
    ]


def _sorted(events: pa.RecordBatch) -> pa.RecordBatch:
    """Sort by all columns: what a person did in one second, such as buying several items, has no order."""
    names = [*ORDER, *(name for name in ACTS_SCHEMA.names if name not in ORDER)]
    return events.take(pa.array(np.lexsort([events[name].to_numpy(False) for name in reversed(names)])))
