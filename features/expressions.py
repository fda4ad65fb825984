"""Aggregates as narwhals expressions, in two groupings that every engine computes alike.

First the events of a key are summed per *step*: the shortest declared window that holds the event. Then the steps
are summed per window, which holds every step up to its own length. So twenty windows cost one pass over the events
and few sums in it. Distinct values (and days) work the same way with the value in the place of the step: its
nearest step tells in which windows it occurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

import narwhals as nw

from features.days import DAY_SECONDS
from features.definitions import Aggregate, Window
from features.errors import FeatureError

DECAY_UNIT: Final = 2**16
UNBOUNDED: Final = 1_000_000
"""Days of a window that reaches back to the first event."""
Mask = tuple[tuple[str, ...], str | None]

_CONDITIONS: Final[dict[str, nw.Expr]] = {
    "discounted": nw.col("discount") > 0,
    "coupon": nw.col("coupon") > 0,
    "own_label": nw.col("own_label"),
    "paid": ~nw.col("campaign").is_null(),
    "deep_read": (nw.col("dwell_ms").fill_null(0) >= 5_000) | (nw.col("read_percent").fill_null(0.0) >= 50.0),
}
CONDITION_COLUMNS: Final = {
    "discounted": ("discount",),
    "coupon": ("coupon",),
    "own_label": ("own_label",),
    "paid": ("campaign",),
    "deep_read": ("dwell_ms", "read_percent"),
}


def decay_weights(half_life: int) -> list[int]:
    """Return the weight of an event by its age in whole days, in units of 2^-16, until it is 0.

    Examples
    --------
    >>> decay_weights(1)[:4]
    [65536, 32768, 16384, 8192]
    """
    weights = [round(DECAY_UNIT * 2 ** (-age / half_life)) for age in range(18 * half_life)]
    return [weight for weight in weights if weight]


class Plan:
    """What one pass over the events computes for a list of aggregates.

    Parameters
    ----------
    aggregates
        All of one side of time and of one value column: see `group`.
    """

    def __init__(self, aggregates: Sequence[Aggregate]) -> None:
        self.aggregates = tuple(aggregates)
        self.side, self.value = group(self.aggregates[0])
        different = dict.fromkeys((a.kinds, a.condition) for a in self.aggregates)
        self.masks: dict[Mask, str] = {mask: f"mask{number}" for number, mask in enumerate(different)}
        self.half_lives = sorted({a.half_life for a in self.aggregates if a.half_life is not None})

    @property
    def kinds(self) -> list[str]:
        """Event kinds that are read at all."""
        return sorted({kind for a in self.aggregates for kind in a.kinds})

    @property
    def columns(self) -> list[str]:
        """Event columns that are read, those of conditions aside."""
        return sorted({a.of for a in self.aggregates if a.of is not None})

    @property
    def lengths(self) -> list[int]:
        """Lengths of the windows in days, `UNBOUNDED` for all of the past."""
        return sorted({_length(a.window) for a in self.aggregates})

    @property
    def reach(self) -> dict[str, int]:
        """How far back or ahead each mask is needed: mask → length of its longest window."""
        reach: dict[str, int] = {}
        for a in self.aggregates:
            name = self.masks[a.kinds, a.condition]
            reach[name] = max(reach.get(name, 0), _length(a.window))
        return reach

    def flags(self, first_day: int) -> list[nw.Expr]:
        """One boolean column of the events per (kinds, condition).

        Parameters
        ----------
        first_day
            The earliest day of any instant: events too long before it are not needed.
        """
        made = []
        reach = self.reach
        for (kinds, condition), name in self.masks.items():
            parts = [nw.col("kind").is_in(list(kinds))]
            if condition is not None:
                parts.append(_CONDITIONS[condition].fill_null(value=False))
            if self.side == "past" and reach[name] < UNBOUNDED:
                parts.append(nw.col("day") > first_day - reach[name])
            made.append(reduce(and_, parts).alias(name))
        return made

    def step(self) -> nw.Expr:
        """Length of the shortest window that holds an event, which is joined with its spine row."""
        lengths = self.lengths
        expression: nw.Expr = nw.lit(lengths[-1])
        for days in reversed(lengths[:-1]):
            if self.side == "past":
                near = nw.col("day") > nw.col("instant_day") - days
            else:
                near = nw.col("event_time") < nw.col("instant") + days * DAY_SECONDS
            expression = nw.when(near).then(nw.lit(days)).otherwise(expression)
        return expression

    def needed(self) -> nw.Expr | None:
        """Whether any aggregate counts an event of a row; None where the bounds of all are the same."""
        reach = self.reach
        if self.side == "outcome" or len(set(reach.values())) == 1:
            return None
        each = []
        for length in sorted(set(reach.values())):
            some = reduce(or_, [nw.col(name) for name, longest in reach.items() if longest == length])
            near = nw.col("day") > nw.col("instant_day") - length
            each.append(some if length == UNBOUNDED else some & near)
        return reduce(or_, each)

    def first(self) -> list[nw.Expr]:
        """Expressions of the first grouping: by key and step, or by key and value."""
        made: dict[str, nw.Expr] = {}
        for a in self.aggregates:
            mask = self.masks[a.kinds, a.condition]
            inside = nw.when(nw.col(mask))
            if self.value is not None:
                made[f"near_{mask}"] = inside.then(nw.col("step")).min()
            elif a.measure == "count":
                made[f"count_{mask}"] = inside.then(nw.lit(1)).count()
            elif a.measure == "recency":
                made[f"recency_{mask}"] = inside.then(nw.col("ago")).min()
            elif a.measure == "tenure":
                made[f"tenure_{mask}"] = inside.then(nw.col("ago")).max()
            else:
                column = a.of if a.measure == "sum" else f"weight{a.half_life}"
                made[f"{column}_{mask}"] = inside.then(nw.col(str(column))).sum().cast(nw.Int64)
        return [expression.alias(name) for name, expression in made.items()]

    def second(self) -> list[nw.Expr]:
        """Expressions of the second grouping, by key: one per aggregate, in order."""
        return [self._total(a).cast(nw.Int64).alias(a.name) for a in self.aggregates]

    def _total(self, a: Aggregate) -> nw.Expr:
        mask = self.masks[a.kinds, a.condition]
        if self.value is not None:
            near = nw.col(f"near_{mask}")
            return self._within(a.window, near, near).count()
        partial = {"sum": a.of, "decayed": f"weight{a.half_life}"}.get(a.measure, a.measure)
        values = self._within(a.window, nw.col("step"), nw.col(f"{partial}_{mask}"))
        if a.measure == "recency":
            return values.min()
        return values.max() if a.measure == "tenure" else values.sum()

    def _within(self, window: Window, step: nw.Expr, value: nw.Expr) -> nw.Expr:
        length = _length(window)
        return value if length == self.lengths[-1] else nw.when(step <= length).then(value)


def _length(window: Window) -> int:
    return UNBOUNDED if window.days is None else window.days


def passes(aggregates: Sequence[Aggregate]) -> list[list[int]]:
    """Return the numbers of the aggregates that are computed in one pass over the events each.

    Aggregates of different sides of time or value columns need different groupings. Those that share no event kind
    are told apart too: a pass over the many impressions then carries no sums of purchases.

    Examples
    --------
    >>> passes([Aggregate(("click",)), Aggregate(("purchase",)), Aggregate(("click", "read"))])
    [[1], [0, 2]]
    """
    apart: list[tuple[tuple[str, str | None], set[str], list[int]]] = []
    for number, a in enumerate(aggregates):
        key, kinds, numbers = group(a), set(a.kinds), [number]
        others = []
        for part in apart:
            if part[0] == key and part[1] & kinds:
                kinds, numbers = kinds | part[1], part[2] + numbers
            else:
                others.append(part)
        apart = [*others, (key, kinds, numbers)]
    return [numbers for _, _, numbers in apart]


def group(aggregate: Aggregate) -> tuple[str, str | None]:
    """Return how events are grouped: (side of time, column whose values are counted or None).

    Raises
    ------
    FeatureError
        The measure looks back only and the window looks ahead.
    """
    side = aggregate.window.side
    if side == "outcome" and aggregate.measure in {"recency", "tenure", "decayed"}:
        raise FeatureError(
            "this measure looks back and cannot be taken of an outcome window",
            value=aggregate.measure,
            valid=("count", "days", "sum", "distinct"),
        )
    return side, {"days": "day", "distinct": aggregate.of}.get(aggregate.measure)
