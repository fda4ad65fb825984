"""States of many persons at once: those that folding and settling them one by one would come to, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from features.asof import in_order
from features.incremental.columns import FIXED, Encoded, Kept, KindColumns
from features.incremental.reading import Int64
from features.incremental.state import NEVER, PersonState, oldest
from features.people.person_links import numbers_of

_LATEST: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class _Sorted:
    """Events of one kind, person after person: a block of `PersonState`, with codes as `_ranked` has them."""

    kind: int
    coded: slice
    block: Int64
    ends: list[int]


def folded(kept: Kept, events: Encoded, ends: Int64, settled: int = NEVER) -> Iterator[PersonState]:
    """Yield states of persons whose events follow each other.

    Parameters
    ----------
    kept
        What is held.
    events
        Of `Kept.encode`.
    ends
        Of each person, behind which event theirs end.
    settled
        Instant that the states are settled at, see `PersonState.settle`.

    Notes
    -----
    Sorting and ranking the events of a few hundred persons together takes a quarter of the time that it takes
    person by person, where the cost of calling a library exceeds that of its work.
    """
    owner = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    firsts, first_ends = _firsts(events, owner, len(ends)) if kept.first_event else (None, [0] * len(ends))
    codes, ranks = _ranked(events)
    kinds = [_sorted(one, ranks, owner, len(ends), settled) for _, one in sorted(kept.kinds.items())]
    place = np.zeros(len(codes), np.int64)
    for person, first_end in enumerate(first_ends):
        state = PersonState(kept)
        state.settled = settled
        if firsts is not None:
            state.firsts = np.ascontiguousarray(firsts[:, first_ends[person - 1] if person else 0 : first_end])
        for one in kinds:
            start, end = one.ends[person - 1] if person else 0, one.ends[person]
            if end > start:
                state.blocks[one.kind] = np.ascontiguousarray(one.block[:, start:end])
        coded = [state.blocks[one.kind][one.coded] for one in kinds if one.kind in state.blocks]
        found = np.unique(np.concatenate([rows.ravel() for rows in coded])) if coded else place[:0]
        found = found[found > 0]
        place[found] = np.arange(1, len(found) + 1)
        for rows in coded:
            rows[:] = place[rows]
        state.codes = codes[found]
        yield state


def _sorted(one: KindColumns, events: Encoded, owner: Int64, persons: int, settled: int) -> _Sorted:
    counts = events.kept & (events.kinds == one.number) & (events.times >= oldest(one, settled))
    rows = np.flatnonzero(counts)
    block, of = events.matrix(one, rows), owner[rows]
    order = in_order(_apart(of, block[0]), list(block[1:]))
    ends = np.searchsorted(of[order], np.arange(persons), side="right")
    return _Sorted(one.number, slice(FIXED, FIXED + len(one.coded)), block[:, order], ends.tolist())


def _ranked(events: Encoded) -> tuple[Int64, Encoded]:
    """Return all codes, ascending behind 0, and the events with the places of theirs in it."""
    names = [name for name in events.columns if name[0] == "coded"]
    encoded = {name: pa.array(events.columns[name]).dictionary_encode() for name in names}
    dictionaries = {name: one.dictionary.to_numpy() for name, one in encoded.items()}
    codes = np.unique(np.concatenate([np.zeros(1, np.int64), *dictionaries.values()]))
    # 0 stands for no code, and comes before those that are negative.
    codes = np.append(0, codes[codes != 0])
    columns = dict(events.columns)
    for name, dictionary in dictionaries.items():
        places = np.where(dictionary == 0, 0, np.searchsorted(codes[1:], dictionary) + 1)
        columns[name] = places[numbers_of(encoded[name].indices)]
    ranks = Encoded(events.kinds, events.times, events.arrivals, events.flags, columns)
    ranks.kept = events.kept
    return codes, ranks


def _firsts(events: Encoded, owner: Int64, persons: int) -> tuple[Int64, list[int]]:
    """Return `PersonState.firsts` of all persons, one after the other, and where each one's end."""
    # Beside a person's first event count only those that arrived before it, which are few.
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))[: len(owner)]
    many = np.diff(np.append(starts, len(owner)))
    at_first = events.times == np.repeat(_least(events.times, starts), many)
    by_then = np.repeat(_least(np.where(at_first, events.arrivals, _LATEST), starts), many)
    some = np.flatnonzero(at_first & (events.arrivals == by_then) | (events.arrivals < by_then))
    order = some[np.lexsort((events.arrivals[some], events.times[some], owner[some]))]
    of, arrivals = owner[order], events.arrivals[order]
    # Whatever a person's arrivals are, those of the person before are later by this.
    falling = _apart(-of, arrivals)
    before = np.minimum.accumulate(falling)
    news = np.append(True, falling[1:] < before[:-1])[: len(order)]
    kept = order[news]
    ends = np.searchsorted(of[news], np.arange(persons), side="right")
    return np.stack([events.times[kept], events.arrivals[kept]]), ends.tolist()


def _least(values: Int64, starts: Int64) -> Int64:
    return np.minimum.reduceat(values, starts) if len(starts) else values


def _apart(of: Int64, seconds: Int64) -> Int64:
    """Return numbers that are ordered by person, then by time: 1,024 persons and any time of a log fit."""
    low = int(seconds.min(initial=_LATEST))
    span = int(seconds.max(initial=low)) - low + 1
    return np.asarray(of * span + (seconds - low))
