"""What a person's state must hold of events: which kinds, which columns of each, and how far back.

Everything follows from the aggregates that a row reads, so that an event which none of them could ever count is not
kept, and of the others no column that none of them reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.definitions import CONDITIONS, Aggregate
from features.expressions import CONDITION_COLUMNS
from features.incremental.reading import FLAG, HOLDS, KIND_NUMBER, Columns, Int64, codes
from features.joins import EVERY_CATEGORY
from features.people.acts import codes_of

FORMAT: Final = 1
"""Of packed states; raise it when their bytes change."""
FIXED: Final = 3
"""Rows of a block before the coded and the summed ones: time, delay of the arrival, flags of conditions."""


@dataclass(frozen=True)
class Block:
    """Aggregates that are measured inside the same scopes as of the same moment.

    Parameters
    ----------
    scopes
        Category codes of each scope; ``*`` among them means every event.
    aggregates
        What is measured in each.
    shift
        By how many times 86,400 seconds the instant is moved back.
    """

    scopes: tuple[tuple[str, ...], ...]
    aggregates: tuple[Aggregate, ...]
    shift: int = 0

    @property
    def categories(self) -> tuple[str, ...] | None:
        """All that some scope holds, sorted; None where one holds every event."""
        each = sorted({category for categories in self.scopes for category in categories})
        return None if EVERY_CATEGORY in each else tuple(each)


@dataclass(frozen=True)
class KindColumns:
    """What is kept of the events of one kind.

    Parameters
    ----------
    kind
        Of events.
    flags
        Conditions that are asked for.
    coded
        Columns whose values are told apart, the category of scopes among them.
    summed
        Columns whose values are added up.
    fits
        An event is kept that fits one of these: a condition or none, and categories or all.
    reach
        Days for which an event can count; None for ever.
    """

    kind: str
    flags: tuple[str, ...]
    coded: tuple[str, ...]
    summed: tuple[str, ...]
    fits: tuple[tuple[str | None, tuple[str, ...] | None], ...]
    reach: int | None

    @property
    def height(self) -> int:
        """Rows of a block of such events."""
        return FIXED + len(self.coded) + len(self.summed)

    @property
    def number(self) -> int:
        """Of the kind."""
        return KIND_NUMBER[self.kind]

    @cached_property
    def mask(self) -> int:
        """Bits of the conditions that are asked for."""
        return sum(FLAG[name] for name in self.flags)

    @cached_property
    def fitting(self) -> tuple[tuple[int, Int64 | None], ...]:
        """`fits` in bits (0: no condition) and codes."""
        return tuple(
            (
                0 if condition is None else FLAG[condition],
                None if categories is None else codes_of(pa.array(categories, pa.string())),
            )
            for condition, categories in self.fits
        )

    @classmethod
    def of(cls, kind: str, blocks: Iterable[Block]) -> KindColumns | None:
        """Derive it from all that is measured; None where nothing reads the kind."""
        asked = [(a, b) for b in blocks for a in b.aggregates if kind in a.kinds and b.scopes]
        if not asked:
            return None
        coded = {a.of for a, _ in asked if a.of and a.measure == "distinct"}
        if any(set(scope) != {EVERY_CATEGORY} for _, b in asked for scope in b.scopes):
            coded.add("category")
        conditions = {a.condition for a, _ in asked} - {None}
        fits = {(a.condition, b.categories) for a, b in asked}
        reach = [_reach(a, b) for a, b in asked]
        return cls(
            kind,
            flags=tuple(name for name in CONDITIONS if name in conditions),
            coded=tuple(sorted(coded)),
            summed=tuple(sorted({a.of for a, _ in asked if a.of and a.measure == "sum"})),
            fits=((None, None),) if (None, None) in fits else tuple(sorted(fits, key=repr)),
            reach=None if None in reach else max(days for days in reach if days is not None),
        )


def _reach(a: Aggregate, b: Block) -> int | None:
    if a.window.side == "outcome":
        return b.shift
    return None if a.window.days is None else b.shift + a.window.days


@dataclass(frozen=True)
class Kept:
    """All that a state holds.

    Parameters
    ----------
    kinds
        By number of the kind, see ``KIND_NUMBER``.
    first_event
        Whether it must be known when the first event of any kind was.
    """

    kinds: Mapping[int, KindColumns]
    first_event: bool

    @classmethod
    def of(cls, blocks: Sequence[Block], *, first_event: bool) -> Kept:
        """Derive what must be kept from all that is measured."""
        each = {number: KindColumns.of(kind, blocks) for kind, number in KIND_NUMBER.items()}
        return cls({number: one for number, one in each.items() if one is not None}, first_event)

    @cached_property
    def schema_hash(self) -> str:
        """SHA-256 over everything that a packed state means."""
        meaning = [FORMAT, [asdict(one) for one in self.kinds.values()], self.first_event]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Event columns that are read, those that every event has aside."""
        names: dict[str, None] = {}
        for one in self.kinds.values():
            names |= dict.fromkeys([*one.coded, *one.summed])
            names |= dict.fromkeys(column for flag in one.flags for column in CONDITION_COLUMNS[flag])
            if any(categories is not None for _, categories in one.fits):
                names["category"] = None
        return tuple(sorted(set(names) - {"kind", "event_time", "arrived_at"}))

    @cached_property
    def _roles(self) -> tuple[set[str], set[str], set[str]]:
        """Columns that are coded and summed, and conditions."""
        kinds = self.kinds.values()
        coded = {name for one in kinds for name in one.coded} | ({"category"} & set(self.columns))
        return coded, {name for one in kinds for name in one.summed}, {name for one in kinds for name in one.flags}

    def encode(self, events: Columns) -> Encoded:
        """Turn canonical events into integers."""
        coded, summed, conditions = self._roles
        columns = {("coded", name): codes(events, name) for name in coded}
        columns |= {("summed", name): events.integers(name) for name in summed}
        kinds = events.kinds()
        flags = np.zeros(len(kinds), np.int64)
        for name in conditions:
            flags |= np.where(HOLDS[name](events), FLAG[name], 0)
        encoded = Encoded(kinds, events.integers("event_time"), events.integers("arrived_at"), flags, columns)
        for one in self.kinds.values():
            encoded.kept |= _fitting(one, encoded)
        return encoded


class Encoded:
    """Events as integers, column by column.

    Parameters
    ----------
    kinds
        Numbers of the kinds.
    times, arrivals
        Epoch seconds.
    flags
        Bits of the conditions that hold, see ``FLAG``.
    columns
        ("coded" or "summed", name) → codes, 0 for null, or integers.
    """

    def __init__(
        self, kinds: Int64, times: Int64, arrivals: Int64, flags: Int64, columns: Mapping[tuple[str, str], Int64]
    ) -> None:
        self.kinds, self.times, self.arrivals, self.flags, self.columns = kinds, times, arrivals, flags, columns
        self.kept = np.zeros(len(kinds), bool)
        """Whether some aggregate could ever count the event."""

    def matrix(self, one: KindColumns, rows: Int64) -> Int64:
        """Return the block of the given events, all of that kind, one column each, with codes as they are."""
        made = np.empty((one.height, len(rows)), np.int64)
        made[0] = self.times[rows]
        made[1] = self.arrivals[rows] - made[0]
        made[2] = self.flags[rows] & one.mask
        names = [*(("coded", name) for name in one.coded), *(("summed", name) for name in one.summed)]
        for place, name in enumerate(names, FIXED):
            made[place] = self.columns[name][rows]
        return made


def _fitting(one: KindColumns, encoded: Encoded) -> npt.NDArray[np.bool_]:
    """Return which events are of that kind and fit."""
    of_kind = encoded.kinds == one.number
    fitting = np.zeros(len(of_kind), bool)
    if of_kind.any():
        for flag, categories in one.fitting:
            here = of_kind if not flag else of_kind & ((encoded.flags & flag) != 0)
            if categories is not None:
                here = here & np.isin(encoded.columns["coded", "category"], categories)
            fitting |= here
    return fitting
