from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.contribution.roi import RoiCurve, decision_cycles, fit_delays, roi_curve
from training.delay import DelayModel

DAY = 86_400
HOUR = 3_600


def delays(*days: float, end: int = 100) -> DelayModel:
    """A model of orders that took so many days, each of a click that was old enough to show all of them."""
    ordered = np.array([round(day * DAY) for day in days])
    found = fit_delays(np.zeros(len(days), np.int64), ordered, ["serum"] * len(days), end=end * DAY)
    assert found is not None
    return found


def curve(touched: list[float], **more: Any) -> RoiCurve:
    """Touches by day, clicks all, that cost 10 each; nothing was ordered."""
    times = np.array([round(day * DAY) for day in touched])
    given = {
        "cost_micros": np.full(len(times), 100_000), "counts": np.ones(len(times), bool),
        "categories": ["serum"] * len(times),
        "ordered": np.empty(0, np.int64), "value": np.empty(0, np.int64), "timezone": "UTC", "delays": None,
        "minor_digits": 2,
    }  # fmt: skip
    return roi_curve(touched=times, **given | more)


def test_value_and_cost_add_up_by_day_since_the_first_delivery() -> None:
    found = curve([3.5, 3.9, 5.0], ordered=np.array([4 * DAY, 6 * DAY + 1]), value=np.array([40, 5]), as_of=7 * DAY)
    assert found.first_day == 3
    assert found.cost.tolist() == [20, 20, 30, 30]
    assert found.value.tolist() == [0, 40, 40, 45]
    assert found.roi.tolist() == [0.0, 2.0, 40 / 30, 1.5]
    assert math.isnan(found.still_to_come)
    assert found.as_dict()["still_to_come"] is None


def test_days_are_those_of_the_logs_zone() -> None:
    found = curve([0.5, 0.7], as_of=DAY, timezone="Asia/Shanghai")
    assert found.cost.tolist() == [10, 20]
    assert curve([0.5, 0.7], as_of=DAY).cost.tolist() == [20]


def test_what_costs_nothing_has_no_roi() -> None:
    found = curve([0.5], cost_micros=np.array([0]), ordered=np.array([DAY]), value=np.array([9]), as_of=2 * DAY)
    assert np.isnan(found.roi).all()


def test_half_of_the_orders_still_to_come_double_the_value() -> None:
    # Orders come evenly over ten days after a click; both clicks are five days and half an hour old.
    even = delays(*(day / 4 for day in range(1, 41)))
    found = curve(
        [0.0, 0.0], delays=even, as_of=5 * DAY + HOUR // 2, ordered=np.array([DAY]), value=np.array([100])
    )
    assert abs(found.still_to_come - 0.5) < 0.01
    assert len(found.expected) == 5
    assert abs(found.expected[-1] - 200) < 2
    assert (np.diff(found.expected) > 0).all()
    assert found.expected_roi[-1] == found.expected[-1] / 20


def test_nothing_is_still_to_come_when_the_window_of_the_last_click_is_over() -> None:
    found = curve([0.0, 3.0], delays=delays(1, 2, 4), as_of=7 * DAY, ordered=np.array([DAY]), value=np.array([6]))
    assert found.still_to_come == 0
    assert found.expected.tolist() == []


def test_views_are_not_expected_to_bring_orders() -> None:
    views = curve([0.0, 1.0], delays=delays(2, 4), as_of=2 * DAY, counts=np.array([True, False]))
    one = curve([0.0], delays=delays(2, 4), as_of=2 * DAY)
    assert views.still_to_come == one.still_to_come
    assert math.isnan(curve([0.0], delays=delays(2), as_of=DAY, counts=np.array([False])).still_to_come)


def test_decision_cycles_are_told_from_ten_orders_on() -> None:
    clicked = np.zeros(19, np.int64)
    ordered = np.array([1] * 10 + [20] * 9) * DAY
    names = ["snack"] * 10 + ["sofa"] * 9
    found = decision_cycles(fit_delays(clicked, ordered, names, end=60 * DAY), {"snack": 10, "sofa": 9})
    assert [(cycle.category, cycle.orders) for cycle in found] == [(None, 19), ("snack", 10), ("sofa", 9)]
    assert found[0].median_days == 1.0
    assert 19 < found[0].days_80 <= 20
    assert math.isnan(found[2].median_days)
    assert [math.isnan(cycle.median_days) for cycle in decision_cycles(None, {})] == [True]


def test_orders_after_the_reports_end_are_left_out() -> None:
    clicked, ordered = np.zeros(2, np.int64), np.array([5, 10]) * DAY
    assert fit_delays(clicked, ordered, ["a"] * 2, end=5 * DAY) is None
    found = fit_delays(clicked, ordered, ["a"] * 2, end=5 * DAY + 1)
    assert found is not None
    assert found.reach == 5 * DAY


def test_the_cycle_is_recovered_from_clicks_that_are_too_young_to_show_all() -> None:
    rng = np.random.default_rng(3)
    clicked = rng.integers(0, 30 * DAY, 6_000)
    delay = np.minimum(rng.exponential(8 * DAY, 6_000), 29.9 * DAY).astype(np.int64)
    seen = clicked + delay < 30 * DAY
    truth = np.quantile(delay, [0.5, 0.8]) / DAY
    naive = np.quantile(delay[seen], [0.5, 0.8]) / DAY
    model = fit_delays(clicked[seen], (clicked + delay)[seen], ["a"] * int(seen.sum()), end=30 * DAY)
    cycle = decision_cycles(model, {"a": int(seen.sum())})[0]
    assert abs(cycle.median_days - truth[0]) < 0.8 < truth[0] - naive[0]
    assert abs(cycle.days_80 - truth[1]) < 2.0 < truth[1] - naive[1]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20 * 24), st.integers(0, 50)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 20 * 24), st.integers(-9, 99)), max_size=10),
)
def test_curves_end_at_the_totals(touches: list[tuple[int, int]], orders: list[tuple[int, int]]) -> None:
    first = min(hour for hour, _ in touches)
    found = curve(
        [hour / 24 for hour, _ in touches],
        cost_micros=np.array([cost * 10_000 for _, cost in touches]),
        ordered=np.array([(first + hour) * HOUR for hour, _ in orders], np.int64),
        value=np.array([value for _, value in orders], np.int64),
        as_of=42 * DAY,
        delays=delays(1, 5, 30),
    )
    assert found.cost[-1] == sum(cost for _, cost in touches)
    assert found.value[-1] == sum(value for _, value in orders)
    assert 0 <= found.still_to_come < 1
    if len(found.expected):
        total = found.value[-1] / (1 - found.still_to_come)
        assert abs(found.expected[-1] - total) < 1e-6
