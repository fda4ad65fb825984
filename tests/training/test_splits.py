from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.days import DAY_SECONDS as DAY
from features.days import instant_of
from features.errors import LogTooShortError
from training.splits import last_mature, mature, plan


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
    assert list(p.train) == sorted(set(p.train))
    assert list(p.choose) == sorted(set(p.choose))
    assert 1 <= len(p.train) <= most
    assert 1 <= len(p.choose) <= most
    assert all(mature(t, horizon, delay, as_of) for t in p.train)
    assert all(mature(t, horizon, delay, p.validation) for t in p.choose)
    assert p.validation not in p.choose
    assert min(p.choose[0], p.train[0]) >= horizon * DAY


def test_a_short_log_is_refused_with_what_it_needs() -> None:
    with pytest.raises(LogTooShortError, match=r"holds 50 days .* need 90"):
        plan(0, 50 * DAY, horizon_days=30)


def test_a_label_delay_moves_the_last_window_back() -> None:
    p = plan(0, 200 * DAY, horizon_days=30, delay=3 * DAY)
    assert p.train[-1] == 167 * DAY


def days_in(zone: str, instants: tuple[int, ...]) -> list[str]:
    return [f"{datetime.fromtimestamp(t, ZoneInfo(zone)):%m-%d %H:%M}" for t in instants]


def test_instants_lie_at_midnight_on_both_sides_of_a_change_of_the_clock() -> None:
    zone = "Europe/Berlin"
    p = plan(
        instant_of("2024-07-01", zone), instant_of("2024-12-20", zone), horizon_days=20, step_days=10, timezone=zone
    )
    # The clock was put back on 27 October.
    assert days_in(zone, p.train[-5:]) == [
        "10-21 00:00",
        "10-31 00:00",
        "11-10 00:00",
        "11-20 00:00",
        "11-30 00:00",
    ]
    assert days_in(zone, p.choose[-1:]) == ["11-10 00:00"]


def test_a_window_that_a_change_of_the_clock_leaves_unfinished_starts_a_day_earlier() -> None:
    zone = "Europe/Berlin"
    # The clock was put forward on 31 March: 20 days back on the wall clock are 20 days less an hour.
    as_of = instant_of("2024-04-10", zone)
    assert days_in(zone, (last_mature(as_of, 20, 0, zone),)) == ["03-20 00:00"]
    first = instant_of("2023-12-01", zone)
    p = plan(first, as_of, horizon_days=20, step_days=10, timezone=zone)
    assert days_in(zone, p.train[-2:]) == ["03-10 00:00", "03-20 00:00"]
    later = plan(first, instant_of("2024-05-01", zone), horizon_days=20, timezone=zone)
    assert days_in(zone, later.train[-3:]) == ["03-21 00:00", "04-01 00:00", "04-11 00:00"]
    assert later.choose[-1] == later.train[-3]


@settings(max_examples=150, deadline=None)
@given(
    day=st.integers(19_000, 20_500),
    hour=st.integers(3, 23),
    horizon=st.integers(1, 60),
    step=st.one_of(st.none(), st.integers(1, 60)),
    delay_days=st.integers(0, 5),
    span=st.integers(1, 300),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Shanghai", "UTC"]),
)
@example(day=19_816, hour=12, horizon=2, step=1, delay_days=0, span=30, zone="Europe/Berlin")
def test_every_instant_is_mature_and_at_the_wall_clock_time_of_the_present(
    *, day: int, hour: int, horizon: int, step: int | None, delay_days: int, span: int, zone: str
) -> None:
    wall = datetime.fromtimestamp(day * DAY + hour * 3600, ZoneInfo("UTC")).replace(tzinfo=ZoneInfo(zone))
    as_of, delay = int(wall.timestamp()), delay_days * DAY
    last = last_mature(as_of, horizon, delay, zone)
    assert mature(last, horizon, delay, as_of)
    assert not mature(last + DAY + 3600, horizon, delay, as_of)
    try:
        p = plan(as_of - span * DAY, as_of, horizon_days=horizon, step_days=step, delay=delay, timezone=zone)
    except LogTooShortError as error:
        needed = int(error.problem.partition(" need ")[2].partition(":")[0])
        assert span < needed
        assert plan(
            as_of - needed * DAY, as_of, horizon_days=horizon, step_days=step, delay=delay, timezone=zone
        ).choose
        return
    assert p.validation == p.train[-1] == last
    assert all(mature(t, horizon, delay, p.validation) for t in p.choose)
    assert len(set(p.train)) == len(p.train)
    assert {datetime.fromtimestamp(t, ZoneInfo(zone)).hour for t in (*p.choose, *p.train)} == {hour}
    if zone in ("UTC", "Asia/Shanghai"):
        assert list(p.train) == [last - n * (step or max(1, horizon // 2)) * DAY for n in range(len(p.train))][::-1]
