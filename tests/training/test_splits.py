from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import LogTooShortError
from training.splits import DAY, mature, plan


def test_windows_of_the_complete_journey_protocol() -> None:
    november = 304 * DAY
    p = plan(0, november, horizon_days=30, step_days=30, validation=273 * DAY)
    assert p.validation == 273 * DAY
    assert p.train[-1] == p.validation
    assert [t // DAY for t in p.choose] == [33, 63, 93, 123, 153, 183, 213, 243]
    assert [t // DAY for t in p.train] == [63, 93, 123, 153, 183, 213, 243, 273]


@settings(max_examples=200, deadline=None)
@given(
    span=st.integers(1, 800),
    horizon=st.integers(1, 60),
    step=st.one_of(st.none(), st.integers(1, 60)),
    most=st.integers(2, 20),
    delay=st.integers(0, 10 * DAY),
)
def test_nothing_immature_is_trained_on(span: int, horizon: int, step: int | None, most: int, delay: int) -> None:
    as_of = span * DAY
    try:
        p = plan(0, as_of, horizon_days=horizon, step_days=step, most=most, delay=delay)
    except LogTooShortError as error:
        needed = int(error.problem.partition(" need ")[2].partition(":")[0])
        assert span < needed
        assert plan(0, needed * DAY, horizon_days=horizon, step_days=step, most=most, delay=delay).choose
        return
    assert list(p.instants) == sorted({*p.train, *p.choose})
    assert 1 <= len(p.train) <= most
    assert 1 <= len(p.choose) <= most
    assert all(mature(t, horizon, delay, as_of) for t in p.train)
    assert all(mature(t, horizon, delay, p.validation) for t in p.choose)
    assert p.validation not in p.choose
    assert p.instants[0] >= horizon * DAY


def test_a_short_log_is_refused_with_what_it_needs() -> None:
    with pytest.raises(LogTooShortError, match=r"holds 50 days .* need 90"):
        plan(0, 50 * DAY, horizon_days=30)


def test_a_label_delay_moves_the_last_window_back() -> None:
    p = plan(0, 200 * DAY, horizon_days=30, delay=3 * DAY)
    assert p.train[-1] == 167 * DAY
