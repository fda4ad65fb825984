"""All that a row counts, laid out as arrays for one pass over a person's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.acts import codes_of
from features.days import DAY_SECONDS, day_of
from features.definitions import Aggregate
from features.events import KINDS
from features.expressions import UNBOUNDED, decay_weights
from features.incremental_columns import FIXED, FLAG, KIND_NUMBER, Block, Int64, Kept
from features.incremental_kernels import COUNT, DECAYED, DISTINCT, RECENCY, SUM, TENURE, tally
from features.incremental_state import PersonState
from features.joins import EVERY_CATEGORY

Floats = npt.NDArray[np.float64]
_MEASURE: Final = {
    "count": COUNT, "sum": SUM, "recency": RECENCY, "tenure": TENURE, "decayed": DECAYED,
    "days": DISTINCT, "distinct": DISTINCT,
}  # fmt: skip
_LONG_AGO: Final = -(2**62)
_LONG_AHEAD: Final = 2**62


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
        self._passes = self._lay_out(half_lives)

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
            base, starts = self._base(state)
            stamps = np.zeros(len(cells), np.int64)
            for one in self._passes:
                events, values = one.events(state, base, starts)
                if len(events):
                    stamps[:] = _LONG_AGO
                    bounds = one.bounds(instants, days)
                    tally(base, events, values, known_at, one.first, one.ops, bounds, days, self._scope_first,
                          self._scope_numbers, self._weights, cells, stamps)  # fmt: skip
        return self._dense(cells, instants)

    def block(self, measured: Floats, number: int) -> Floats:
        """Return the numbers of one block, [scopes, aggregates]."""
        shape = len(self.blocks[number].scopes), len(self.blocks[number].aggregates)
        return measured[self._starts[number] : self._starts[number + 1]].reshape(shape)

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

    def _base(self, state: PersonState) -> tuple[Int64, dict[int, int]]:
        """Return the columns that every event has, kind after kind, and where each kind starts."""
        known = np.append(self._known, 0)
        place = np.searchsorted(self._known, state.codes)
        category = np.append(0, np.where(known[place] == state.codes, place + 1, 0))
        base = np.zeros((6, len(state)), np.int64)
        starts: dict[int, int] = {}
        end = 0
        for kind, block in state.blocks.items():
            start, end = end, end + block.shape[1]
            starts[kind] = start
            base[0, start:end] = block[0]
            base[1, start:end] = block[1]
            base[3, start:end] = block[2]
            coded = state.kept.kinds[kind].coded
            if "category" in coded:
                base[4, start:end] = category[block[FIXED + coded.index("category")]]
            base[5, start:end] = kind
        base[1] += base[0]
        base[2] = day_of(base[0], self.timezone)
        return base, starts

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

    def _lay_out(self, half_lives: list[int]) -> list[_Pass]:
        tables: dict[tuple[str, str], list[tuple[int, Aggregate, list[int]]]] = {}
        for number, block in enumerate(self.blocks):
            for place, a in enumerate(block.aggregates):
                column = {"days": ("day", ""), "distinct": ("coded", a.of or ""), "sum": ("summed", a.of or "")}
                flag = 0 if a.condition is None else FLAG[a.condition]
                weights = half_lives.index(a.half_life) if a.half_life else 0
                op = [
                    int(self._starts[number]) + place,
                    len(block.aggregates),
                    _MEASURE[a.measure],
                    flag,
                    number,
                    weights,
                ]
                for kind in sorted({KIND_NUMBER[kind] for kind in a.kinds}):
                    tables.setdefault(column.get(a.measure, ("", "")), []).append((kind, a, op))
        return [_Pass.of(column, sorted(found, key=lambda row: row[0])) for column, found in tables.items()]


@dataclass(frozen=True)
class _Pass:
    """Operations that read the same column.

    Parameters
    ----------
    column
        Its role and name.
    first
        Kind → its first operation.
    ops, windows
        See `features.incremental_kernels.tally`; of each operation the days back and the days ahead.
    """

    column: tuple[str, str]
    first: Int64
    ops: Int64
    windows: Int64

    @classmethod
    def of(cls, column: tuple[str, str], found: list[tuple[int, Aggregate, list[int]]]) -> _Pass:
        first = np.searchsorted([kind for kind, _, _ in found], np.arange(len(KINDS) + 1))
        windows = [
            (0, a.window.days) if a.window.side == "outcome" else (a.window.days or UNBOUNDED, 0)
            for _, a, _ in found
        ]
        return cls(column, first, np.array([op for _, _, op in found]), np.array(windows))

    @cached_property
    def kinds(self) -> frozenset[int]:
        """Kinds that are read."""
        return frozenset(np.flatnonzero(np.diff(self.first)).tolist())

    def bounds(self, instants: Int64, days: Int64) -> Int64:
        """Return from when, before when and after which day each operation counts."""
        block, (back, ahead) = self.ops[:, 4], self.windows.T
        instant, past = instants[block], back > 0
        return np.stack(
            [
                np.where(past, _LONG_AGO, instant),
                instant + ahead * DAY_SECONDS,
                np.where(past, days[block] - back, _LONG_AGO),
            ],
            axis=1,
        )

    def events(self, state: PersonState, base: Int64, starts: dict[int, int]) -> tuple[Int64, Int64]:
        """Return the events that are read, and their values: those that are told apart ascending and not null."""
        role, name = self.column
        events, values = [], []
        for kind, start in starts.items():
            if kind in self.kinds:
                block, one = state.blocks[kind], state.kept.kinds[kind]
                events.append(np.arange(start, start + block.shape[1]))
                if role == "coded":
                    values.append(block[FIXED + one.coded.index(name)])
                elif role == "summed":
                    values.append(block[FIXED + len(one.coded) + one.summed.index(name)])
        if not events:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        mine = np.concatenate(events)
        if role == "":
            return mine, mine
        value = base[2, mine] if role == "day" else np.concatenate(values)
        if role == "summed":
            return mine, value
        order = np.argsort(value, kind="stable")
        if role == "coded":
            order = order[np.searchsorted(value[order], 1) :]
        return mine[order], value[order]


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
