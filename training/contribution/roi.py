"""ROI(T+x): value over cost by days since the first delivery, and what is still to come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS, day_of
from training.delay import DelayModel

_HOUR: Final = 3_600
LEAST_ORDERS: Final = 10
"""With fewer orders behind it a decision cycle is not told."""


@dataclass(frozen=True)
class DecisionCycle:
    """How long people take from the click to the order 决策周期, in one category.

    Parameters
    ----------
    category
        Its code; None for all together.
    orders
        Orders after a click that were seen.
    median_days, days_80
        By when half and 80 % of the orders have come, among those that come within the window; NaN where fewer than
        `LEAST_ORDERS` were seen.
    """

    category: str | None
    orders: int
    median_days: float
    days_80: float


@dataclass(frozen=True)
class RoiCurve:
    """Value and cost since the first delivery.

    Parameters
    ----------
    first_day
        T: the day of the first delivery or spending, days since 1970-01-01.
    cost, value
        Minor units up to the end of day T+x, for x = 0, 1, … to the day of the report, int64 [n].
    expected
        Value that is expected up to the end of each of the days after it if nothing more is delivered, until the
        window of the last touch is over, float64 [m].
    still_to_come
        Share of what the touches so far will bring that has not come yet; NaN where no delays are known.
    """

    first_day: int
    cost: NDArray[np.int64]
    value: NDArray[np.int64]
    expected: NDArray[np.float64]
    still_to_come: float

    @property
    def roi(self) -> NDArray[np.float64]:
        """Value over cost by day; NaN before anything was spent."""
        return _over(self.value.astype(np.float64), self.cost)

    @property
    def expected_roi(self) -> NDArray[np.float64]:
        """Expected value over the whole cost, for the days after the report."""
        return _over(self.expected, self.cost[-1:])

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; what is not known is null."""
        return {
            "first_day": self.first_day,
            "cost": self.cost.tolist(),
            "value": self.value.tolist(),
            "expected_value": [round(value) for value in self.expected],
            "still_to_come": None if math.isnan(self.still_to_come) else self.still_to_come,
        }


def fit_delays(
    clicked: NDArray[np.int64],
    ordered: NDArray[np.int64],
    categories: Sequence[str],
    *,
    end: int,
) -> DelayModel | None:
    """Estimate how long orders take after the last click before them, per category.

    Parameters
    ----------
    clicked, ordered
        Epoch seconds of the last click before each order and of the order, int64 [n].
    categories
        Of what was clicked, [n].
    end
        Orders are seen up to there, so that a click's age is counted to there.

    Returns
    -------
    DelayModel or None
        None where no order is left.
    """
    kept = (ordered < end) & (ordered >= clicked)
    if not kept.any():
        return None
    names = np.asarray(categories, str)[kept]
    return DelayModel.fit(ordered[kept] - clicked[kept], end - clicked[kept], names)


def decision_cycles(delays: DelayModel | None, orders: dict[str, int]) -> list[DecisionCycle]:
    """Return the decision cycle of all categories together, then of each.

    Parameters
    ----------
    delays
        What `fit_delays` returned.
    orders
        Orders by category.

    Examples
    --------
    >>> day = 86_400
    >>> clicked, ordered = np.zeros(10, np.int64), np.arange(1, 11) * day
    >>> delays = fit_delays(clicked, ordered, ["serum"] * 10, end=40 * day)
    >>> [(cycle.category, cycle.median_days, cycle.days_80) for cycle in decision_cycles(delays, {"serum": 10})]
    [(None, 5.0, 8.0), ('serum', 5.0, 8.0)]
    """
    named: list[tuple[str | None, int]] = [(None, sum(orders.values())), *sorted(orders.items())]
    return [
        DecisionCycle(category, count, _days_until(delays, category, 0.5), _days_until(delays, category, 0.8))
        if delays is not None and count >= LEAST_ORDERS
        else DecisionCycle(category, count, math.nan, math.nan)
        for category, count in named
    ]


def roi_curve(
    *,
    touched: NDArray[np.int64],
    cost_micros: NDArray[np.int64],
    counts: NDArray[np.bool_],
    categories: Sequence[str],
    ordered: NDArray[np.int64],
    value: NDArray[np.int64],
    as_of: int,
    timezone: str,
    minor_digits: int,
    delays: DelayModel | None,
) -> RoiCurve:
    """Return the curve of one note, creator or campaign, or of all.

    Parameters
    ----------
    touched
        Times of its touches and of its spending, epoch seconds, int64 [n], n >= 1.
    cost_micros
        Of each, millionths of a currency unit, int64 [n].
    counts
        Which touches orders are expected of: the clicks, bool [n].
    categories
        Of each touch, [n].
    ordered, value
        Times of the orders that it is credited with and the credits in minor units, int64 [k].
    as_of
        Of the report.
    timezone
        In which days are counted.
    minor_digits
        Decimals of the currency.
    delays
        How long orders take; None where that is not known.
    """
    days, order_days = day_of(touched, timezone), day_of(ordered, timezone)
    first, today = int(days.min()), int(day_of(as_of - 1, timezone))
    length = today - first + 1
    still, expected = math.nan, np.empty(0)
    if delays is not None and counts.any():
        seen = _seen(as_of - touched[counts], np.asarray(categories, str)[counts], delays)
        still = 1 - seen[0] / seen[-1]
        expected = value.sum() * seen[1:] / seen[0] if seen[0] > 0 else expected
    unit = int(10 ** (6 - minor_digits))
    spent = (2 * _cumulated(days - first, cost_micros, length) + unit) // (2 * unit)
    return RoiCurve(first, spent, _cumulated(order_days - first, value, length), expected, still)


def still_to_come(
    clicked: NDArray[np.int64], categories: Sequence[str], as_of: int, delays: DelayModel | None
) -> float:
    """Return the share of the orders after some clicks that has not come yet; NaN where that is not known.

    Parameters
    ----------
    clicked
        Times of the clicks, epoch seconds, int64 [n].
    categories
        Of each click, [n].
    as_of
        Of the report.
    delays
        How long orders take after a click.
    """
    if delays is None or not len(clicked):
        return math.nan
    seen = _seen(as_of - clicked, np.asarray(categories, str), delays)
    return float(1 - seen[0] / seen[-1])


def _seen(ages: NDArray[np.int64], categories: NDArray[np.str_], delays: DelayModel) -> NDArray[np.float64]:
    """Return how many of the clicks' orders have come now, a day later, and so on until all have."""
    names, codes = np.unique(categories, return_inverse=True)
    # Clicks of the same hour are as good as one: a campaign's clicks are many, its hours few.
    hours, counts = np.unique(np.stack([ages // _HOUR, codes]), axis=1, return_counts=True)
    left = max(delays.reach - int(ages.min()), 0)
    later = np.arange(-(-left // DAY_SECONDS) + 1) * DAY_SECONDS
    shares = delays.cdf(hours[0][:, None] * _HOUR + _HOUR // 2 + later, names[hours[1]][:, None])
    return np.asarray(counts @ shares)


def _cumulated(days: NDArray[np.int32], amounts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    by_day = np.zeros(length, np.int64)
    np.add.at(by_day, days, amounts)
    return np.cumsum(by_day)


def _days_until(delays: DelayModel, category: str | None, share: float) -> float:
    grid = np.arange(0, delays.reach + _HOUR, _HOUR)
    reached = delays.cdf(grid, category) >= share - 1e-9
    return round(float(grid[int(np.argmax(reached))]) / DAY_SECONDS, 1)


def _over(value: NDArray[np.float64], cost: NDArray[np.int64]) -> NDArray[np.float64]:
    cost = np.broadcast_to(cost, value.shape)
    return np.asarray(np.divide(value, cost, out=np.full(value.shape, np.nan), where=cost > 0))
