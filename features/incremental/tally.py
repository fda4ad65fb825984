"""All that a row counts, laid out as arrays for one pass over a person's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS, day_of
from features.events import KINDS
from features.expressions import UNBOUNDED, decay_weights
from features.incremental.columns import FIXED, Block, Kept
from features.incremental.kernels import (
    ARRIVED,
    CATEGORY,
    COUNT,
    DAY,
    DECAYED,
    DISTINCT,
    FLAGS,
    KIND,
    RECENCY,
    SUM,
    TENURE,
    TIME,
    tally,
)
from features.incremental.reading import FLAG, KIND_NUMBER, Int64
from features.incremental.state import PersonState
from features.joins import EVERY_CATEGORY
from features.people.acts import codes_of

Floats = npt.NDArray[np.float64]
_MEASURE: Final = {
    "count": COUNT, "sum": SUM, "recency": RECENCY, "tenure": TENURE, "decayed": DECAYED,
    "days": DISTINCT, "distinct": DISTINCT,
}  # fmt: skip
_LONG_AGO: Final = -(2**62)
_LONG_AHEAD: Final = 2**62
_NOTHING: Final = np.empty(0, np.int64)


class Tally:
    """What is measured of a person as of an instant, block by block.

    Parameters
    ----------
    blocks
        What is measured.
    kept
        What the states hold, derived from the same blocks.
    timezone
        The log's time zone.
    """

    def __init__(self, blocks: Sequence[Block], kept: Kept, timezone: str) -> None:
        self.blocks, self.kept, self.timezone = tuple(blocks), kept, timezone
        sizes = [len(block.scopes) * len(block.aggregates) for block in blocks]
        self._starts = np.cumsum([0, *sizes])
        self._shifts = np.array([block.shift for block in blocks], np.int64)
        half_lives = sorted({a.half_life for block in blocks for a in block.aggregates if a.half_life})
        columns = [decay_weights(half_life) for half_life in half_lives]
        self._weights = np.zeros((max(1, len(columns)), max([1, *map(len, columns)])), np.int64)
        for row, column in zip(self._weights, columns, strict=False):
            row[: len(column)] = column
        names = sorted({c for block in blocks for scope in block.scopes for c in scope} - {EVERY_CATEGORY})
        codes = codes_of(pa.array(names, pa.string()))
        order = np.argsort(codes)
        self._known = codes[order]
        self._scope_first, self._scope_numbers = _scopes_by_category(self.blocks, [names[n] for n in order])
        self._summed = sorted({name for one in kept.kinds.values() for name in one.summed})
        self._passes, self._windows = self._lay_out(half_lives)

    def measure(self, state: PersonState, instant: int, known_at: int) -> Floats:
        """Return float64, block after block, scope after scope; without an event 0, and NaN for times.

        Parameters
        ----------
        state
            The person's.
        instant, known_at
            Epoch seconds.
        """
        instants = instant - self._shifts * DAY_SECONDS
        days = day_of(instants, self.timezone).astype(np.int64)
        cells = self._empty.copy()
        if state.blocks:
            base, amounts = self._base(state)
            stamps = np.zeros(len(cells), np.int64)
            every_bound = self._bounds(instants, days)
            for one in self._passes:
                events, values = one.events(state, base)
                if len(events):
                    stamps[:] = _LONG_AGO
                    bounds = every_bound[one.start : one.start + len(one.ops)]
                    tally(base, amounts, events, values, known_at, one.first, one.ops, bounds, days,
                          self._scope_first, self._scope_numbers, self._weights, cells, stamps)  # fmt: skip
        return self._dense(cells, instants)

    @property
    def size(self) -> int:
        """How many numbers are measured of a person."""
        return int(self._starts[-1])

    def block(self, measured: Floats, number: int) -> Floats:
        """Return the numbers of one block, [persons, scopes, aggregates], of [persons, size]."""
        shape = len(self.blocks[number].scopes), len(self.blocks[number].aggregates)
        return measured[:, self._starts[number] : self._starts[number + 1]].reshape(len(measured), *shape)

    def cells(self, number: int) -> Int64:
        """Return where the numbers of a block stand, [scopes, aggregates]."""
        return np.arange(self._starts[number], self._starts[number + 1]).reshape(
            len(self.blocks[number].scopes), len(self.blocks[number].aggregates)
        )

    def _dense(self, cells: Int64, instants: Int64) -> Floats:
        dense = cells.astype(np.float64)
        at, block = self._times
        found = cells[at]
        dense[at] = np.where(found == self._empty[at], np.nan, instants[block] - found)
        return dense

    def _base(self, state: PersonState) -> tuple[Int64, Int64]:
        """Return the columns that every event has, kind after kind, and those that are summed."""
        place = np.searchsorted(self._known, state.codes)
        category = np.append(0, np.where(np.append(self._known, 0)[place] == state.codes, place + 1, 0))
        base = np.zeros((6, len(state)), np.int64)
        amounts = np.zeros((len(self._summed), len(state)), np.int64)
        end = 0
        for kind, block in state.blocks.items():
            start, end = end, end + block.shape[1]
            one = state.kept.kinds[kind]
            base[[TIME, ARRIVED, FLAGS], start:end] = block[:FIXED]
            if "category" in one.coded:
                base[CATEGORY, start:end] = category[block[FIXED + one.coded.index("category")]]
            base[KIND, start:end] = kind
            for row, name in enumerate(one.summed, FIXED + len(one.coded)):
                amounts[self._summed.index(name), start:end] = block[row]
        base[ARRIVED] += base[TIME]
        base[DAY] = day_of(base[TIME], self.timezone)
        return base, amounts

    def _bounds(self, instants: Int64, days: Int64) -> Int64:
        """Return from when, before when and after which day each operation counts."""
        block, back, ahead = self._windows
        instant, past = instants[block], back > 0
        bounds = np.empty((len(block), 3), np.int64)
        bounds[:, 0] = np.where(past, _LONG_AGO, instant)
        bounds[:, 1] = instant + ahead * DAY_SECONDS
        bounds[:, 2] = np.where(past, days[block] - back, _LONG_AGO)
        return bounds

    @cached_property
    def _empty(self) -> Int64:
        """Cells before the first event."""
        cells = np.zeros(int(self._starts[-1]), np.int64)
        for start, block in zip(self._starts.tolist(), self.blocks, strict=False):
            of_block = cells[start : start + len(block.scopes) * len(block.aggregates)]
            for number, a in enumerate(block.aggregates):
                if a.measure in {"recency", "tenure"}:
                    of_block[number :: len(block.aggregates)] = _LONG_AGO if a.measure == "recency" else _LONG_AHEAD
        return cells

    @cached_property
    def _times(self) -> tuple[Int64, Int64]:
        """Cells that hold a time, and the block of each."""
        at = np.flatnonzero(self._empty)
        return at, np.searchsorted(self._starts, at, side="right") - 1

    def _lay_out(self, half_lives: list[int]) -> tuple[list[_Pass], Int64]:
        """Return the operations in passes, and of each its block and its window in days back and days ahead."""
        found: dict[str, list[tuple[int, list[int], list[int]]]] = {}
        for number, block in enumerate(self.blocks):
            for place, a in enumerate(block.aggregates):
                column = {"days": "day", "distinct": a.of or ""}.get(a.measure, "")
                which = self._summed.index(a.of) if a.of and a.measure == "sum" else 0
                which = half_lives.index(a.half_life) if a.half_life else which
                flag = FLAG[a.condition] if a.condition else 0
                cell = int(self._starts[number]) + place
                op = [cell, len(block.aggregates), _MEASURE[a.measure], flag, number, which]
                ahead = a.window.side == "outcome"
                days = [number, 0 if ahead else a.window.days or UNBOUNDED, (a.window.days or 0) if ahead else 0]
                for kind in sorted({KIND_NUMBER[kind] for kind in a.kinds}):
                    found.setdefault(column, []).append((kind, op, days))
        passes, windows = [], [np.empty((0, 3), np.int64)]
        for column, rows in found.items():
            rows.sort(key=lambda row: row[0])
            first = np.searchsorted([kind for kind, _, _ in rows], np.arange(len(KINDS) + 1))
            passes.append(_Pass(column, first, np.array([op for _, op, _ in rows]), sum(map(len, windows))))
            windows.append(np.array([days for _, _, days in rows]))
        return passes, np.ascontiguousarray(np.concatenate(windows).T)


@dataclass(frozen=True)
class _Pass:
    """Operations that tell apart the values of the same column, or of none.

    Parameters
    ----------
    column
        Its name; ``day`` is the day of the event.
    first
        Kind → its first operation.
    ops
        See `features.incremental.kernels.tally`.
    start
        Number of the first operation among those of all passes.
    """

    column: str
    first: Int64
    ops: Int64
    start: int

    def events(self, state: PersonState, base: Int64) -> tuple[Int64, Int64]:
        """Return the events that are read, and their values: ascending, and not null."""
        if not self.column:
            every = np.arange(base.shape[1])
            return every, every
        events, values, end = [_NOTHING], [_NOTHING], 0
        for kind, block in state.blocks.items():
            start, end = end, end + block.shape[1]
            if self.first[kind] < self.first[kind + 1]:
                events.append(np.arange(start, end))
                coded = state.kept.kinds[kind].coded
                day = self.column == "day"
                values.append(base[DAY, start:end] if day else block[FIXED + coded.index(self.column)])
        value = np.concatenate(values)
        order = np.argsort(value, kind="stable")
        if self.column != "day":
            order = order[np.searchsorted(value[order], 1) :]
        return np.concatenate(events)[order], value[order]


def _scopes_by_category(blocks: Sequence[Block], names: list[str]) -> tuple[Int64, Int64]:
    """Return for each block and category (0: one that no scope names) the scopes that hold it."""
    first = np.zeros((len(blocks), len(names) + 2), np.int64)
    numbers: list[int] = []
    for block, row in zip(blocks, first, strict=True):
        everything = [n for n, scope in enumerate(block.scopes) if EVERY_CATEGORY in scope]
        holding: dict[str, list[int]] = {}
        for number, scope in enumerate(block.scopes):
            if number not in everything:
                for category in sorted(set(scope)):
                    holding.setdefault(category, []).append(number)
        for place, name in enumerate([None, *names]):
            row[place] = len(numbers)
            numbers += everything + (holding.get(name, []) if name is not None else [])
        row[-1] = len(numbers)
    return first, np.array(numbers, np.int64)
