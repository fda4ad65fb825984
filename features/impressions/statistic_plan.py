"""The statistics of one key as a table: what was counted becomes columns in a few operations for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from features.asof import NEVER, Int64
from features.days import DAY_SECONDS
from features.definitions import Aggregate
from features.impressions.columns import Rate, Statistic

Float32 = npt.NDArray[np.float32]


class StatisticPlan:
    """Where each statistic of a key finds its counts.

    Parameters
    ----------
    statistics
        S statistics of one key.
    needed
        What is counted, in order.

    Examples
    --------
    >>> from features.impressions.columns import Count
    >>> clicks, last = Aggregate(("click",)), Aggregate(("click",), "recency")
    >>> plan = StatisticPlan([Count("note", last), Count("note", clicks)], [clicks, last])
    >>> plan.table(np.array([[3, 0], [43_200, NEVER]]), {}).tolist()
    [[0.5, nan], [3.0, 0.0]]
    """

    def __init__(self, statistics: Sequence[Statistic], needed: Sequence[Aggregate]) -> None:
        place = {aggregate: row for row, aggregate in enumerate(needed)}
        self.size = len(statistics)
        self._rates = [statistic for statistic in statistics if isinstance(statistic, Rate)]
        self._rate_rows = _rows(row for row, s in enumerate(statistics) if isinstance(s, Rate))
        self._tops = _rows(place[rate.top] for rate in self._rates)
        self._bases = _rows(place[rate.base] for rate in self._rates)
        self._weights = np.array([rate.weight for rate in self._rates], np.int64)[:, None]
        plain = [(row, s.aggregate) for row, s in enumerate(statistics) if not isinstance(s, Rate)]
        times = {row for row, aggregate in plain if aggregate.measure in {"recency", "tenure"}}
        self._time_rows = _rows(row for row, _ in plain if row in times)
        self._times = _rows(place[a] for row, a in plain if row in times)
        self._count_rows = _rows(row for row, _ in plain if row not in times)
        self._counts = _rows(place[a] for row, a in plain if row not in times)

    def table(self, found: Int64, drawn_to: Mapping[Rate, float]) -> Float32:
        """Return float32 [S, K].

        Parameters
        ----------
        found
            Counts, int64 [needed, K].
        drawn_to
            Everybody's rate per rate.
        """
        made = np.empty((self.size, found.shape[1]), np.float32)
        made[self._count_rows] = found[self._counts]
        times = found[self._times]
        made[self._time_rows] = np.where(times == NEVER, np.nan, times / DAY_SECONDS)
        if self._rates:
            prior = np.array([drawn_to[rate] for rate in self._rates], np.float64)[:, None]
            top, base = found[self._tops], found[self._bases]
            made[self._rate_rows] = (top + self._weights * prior) / (base + self._weights)
        return made


def _rows(numbers: Iterable[int]) -> npt.NDArray[np.intp]:
    return np.fromiter(numbers, np.intp)
