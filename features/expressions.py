"""Aggregates as narwhals expressions, in two steps that every engine computes alike.

First the events of a key are summed per *step* of time, then the steps are summed per window. A window is a
condition on steps, so twenty windows cost one pass over the events, days are counted by counting steps, and decay
weighs steps. Distinct values work the same way with the value in the place of the step: its nearest step tells in
which windows it occurs.

A step is the number of days of the shortest past window that holds the event (1 = the day of the instant), or of
the shortest declared outcome window that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import narwhals as nw

from features.days import DAY_SECONDS
from features.definitions import Aggregate, Window
from features.errors import FeatureError

DECAY_UNIT: Final = 2**16
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
    """What one pass over the events of one side of time computes for a list of aggregates.

    Parameters
    ----------
    aggregates
        All of one side (past or outcome), and all of one group: see `group`.
    """

    def __init__(self, aggregates: Sequence[Aggregate]) -> None:
        self.aggregates = tuple(aggregates)
        self.side = self.aggregates[0].window.side
        self.value = group(self.aggregates[0])[1]
        different = dict.fromkeys((a.kinds, a.condition) for a in self.aggregates)
        self.masks: dict[Mask, str] = {mask: f"mask{number}" for number, mask in enumerate(different)}
        self.half_lives = sorted({a.half_life for a in self.aggregates if a.half_life is not None})

    @property
    def kinds(self) -> list[str]:
        """Event kinds that are read at all."""
        return sorted({kind for a in self.aggregates for kind in a.kinds})

    @property
    def columns(self) -> list[str]:
        """Optional event columns that are read, those of conditions aside."""
        return sorted({a.of for a in self.aggregates if a.of is not None})

    @property
    def lengths(self) -> list[int | None]:
        """Lengths of the windows in days, None for all of the past."""
        return sorted({a.window.days for a in self.aggregates}, key=lambda days: (days is None, days or 0))

    def flags(self) -> list[nw.Expr]:
        """One boolean column of the events per (kinds, condition)."""
        all_kinds = set(self.kinds)
        made = []
        for (kinds, condition), name in self.masks.items():
            of_kind = nw.col("kind").is_in(list(kinds)) if set(kinds) != all_kinds else nw.lit(value=True)
            mask = of_kind if condition is None else of_kind & _CONDITIONS[condition].fill_null(value=False)
            made.append(mask.alias(name))
        return made

    def step(self) -> nw.Expr:
        """Time step of an event joined with its spine row."""
        if self.side == "past":
            return nw.col("instant_day") - nw.col("day") + 1
        lengths = [days for days in self.lengths if days is not None]
        expression: nw.Expr = nw.lit(lengths[-1])
        for days in reversed(lengths[:-1]):
            near = nw.col("event_time") < nw.col("instant") + days * DAY_SECONDS
            expression = nw.when(near).then(nw.lit(days)).otherwise(expression)
        return expression

    def first(self) -> list[nw.Expr]:
        """Expressions of the first grouping: by key and step, or by key and value."""
        made: dict[str, nw.Expr] = {}
        for a in self.aggregates:
            mask = self.masks[a.kinds, a.condition]
            inside = nw.when(nw.col(mask))
            if self.value is not None:
                made[f"near_{mask}"] = inside.then(nw.col("step")).min()
            elif a.measure == "sum":
                made[f"sum_{a.of}_{mask}"] = inside.then(nw.col(str(a.of))).sum().cast(nw.Int64)
            elif a.measure == "recency":
                made[f"last_{mask}"] = inside.then(nw.col("event_time")).max()
            elif a.measure == "tenure":
                made[f"first_{mask}"] = inside.then(nw.col("event_time")).min()
            else:
                made[f"count_{mask}"] = inside.then(nw.lit(1)).count()
        return [expression.alias(name) for name, expression in made.items()]

    def second(self) -> list[nw.Expr]:
        """Expressions of the second grouping, by key: one per aggregate, in order."""
        return [self._total(a).cast(nw.Int64).alias(a.name) for a in self.aggregates]

    def _total(self, a: Aggregate) -> nw.Expr:
        mask = self.masks[a.kinds, a.condition]
        if self.value is not None:
            near = nw.col(f"near_{mask}")
            return _within(a.window, near, near).count()
        instant, step = nw.col("instant"), nw.col("step")
        count = nw.col(f"count_{mask}")
        if a.measure == "days":
            return _within(a.window, step, nw.when(count > 0).then(nw.lit(1))).count()
        if a.measure == "recency":
            return _within(a.window, step, instant - nw.col(f"last_{mask}")).min()
        if a.measure == "tenure":
            return _within(a.window, step, instant - nw.col(f"first_{mask}")).max()
        added = {
            "count": count,
            "sum": nw.col(f"sum_{a.of}_{mask}"),
            "decayed": count * nw.col(f"weight{a.half_life}"),
        }
        return _within(a.window, step, added[a.measure]).sum()


def _within(window: Window, step: nw.Expr, value: nw.Expr) -> nw.Expr:
    return value if window.days is None else nw.when(step <= window.days).then(value)


def group(aggregate: Aggregate) -> tuple[str, str | None]:
    """Return which aggregates share a pass: (side, value column of distinct counts or None).

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
    if aggregate.measure == "days" and side == "outcome":
        return side, "day"
    return side, aggregate.of if aggregate.measure == "distinct" else None
