from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.days import day_of, instant_of, shift_days, utc_of_local
from features.errors import EventLogError

ZONES = ["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
SECONDS = st.integers(631_152_000, 4_000_000_000)


@settings(max_examples=150, deadline=None)
@given(second=SECONDS, zone=st.sampled_from(ZONES))
def test_day_is_that_of_the_calendar(second: int, zone: str) -> None:
    local = datetime.fromtimestamp(second, ZoneInfo(zone)).date()
    assert day_of([second], zone)[0] == (local - datetime(1970, 1, 1, tzinfo=UTC).date()).days


@settings(max_examples=150, deadline=None)
@given(second=SECONDS, zone=st.sampled_from(ZONES))
def test_wall_clock_is_read_as_zoneinfo_reads_it(second: int, zone: str) -> None:
    wall = datetime.fromtimestamp(second, UTC).replace(tzinfo=ZoneInfo(zone))
    assert utc_of_local([second], zone)[0] == int(wall.timestamp())


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Europe/Berlin"])
def test_wall_clock_around_every_change_of_a_year(zone: str) -> None:
    year = np.arange(
        int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()), 900
    )
    expected = [
        int(datetime.fromtimestamp(s, UTC).replace(tzinfo=ZoneInfo(zone)).timestamp()) for s in year.tolist()
    ]
    assert utc_of_local(year, zone).tolist() == expected


def test_instants_that_people_write() -> None:
    assert instant_of("2017-11-01") == 1_509_494_400
    assert instant_of("2017-11-01", "Asia/Shanghai") == 1_509_494_400 - 8 * 3600
    assert instant_of("2017-11-01T08:30:00+08:00", "America/New_York") == 1_509_496_200
    assert instant_of("2017-11-01 00:30:00Z") == 1_509_496_200
    assert instant_of(" NOW ", now=7) == 7


def test_what_is_no_instant() -> None:
    with pytest.raises(EventLogError, match=r"not an instant: 'first of may'; valid: 2017-11-01,"):
        instant_of("first of may")


SHIFT_ZONES = ["America/New_York", "Europe/Berlin", "Asia/Shanghai", "UTC"]


@settings(max_examples=300, deadline=None)
@given(
    # Anywhere, or around the changes of the clock in spring and autumn of 2024.
    second=st.one_of(
        st.integers(700_000_000, 4_000_000_000),
        st.integers(1_711_756_800 - 2 * 86_400, 1_711_756_800 + 3 * 86_400),
        st.integers(1_730_332_800 - 5 * 86_400, 1_730_332_800 + 5 * 86_400),
    ),
    days=st.one_of(st.integers(-5, 5), st.integers(-800, 800)),
    zone=st.sampled_from(SHIFT_ZONES),
)
def test_shifted_days_keep_the_wall_clock_as_zoneinfo_does(second: int, days: int, zone: str) -> None:
    later = datetime.fromtimestamp(second, ZoneInfo(zone)) + timedelta(days=days)
    assert shift_days(second, days, zone) == (later.timestamp() if days else second)


def test_a_shifted_day_has_23_24_or_25_hours() -> None:
    midnights = [f"2024-{day}" for day in ("03-10", "06-01", "11-03")]
    lengths = [
        shift_days(start, 1, "America/New_York") - start
        for start in (instant_of(text, "America/New_York") for text in midnights)
    ]
    assert lengths == [23 * 3600, 24 * 3600, 25 * 3600]
    # 02:30 occurs twice that night: the second one stays where it is, and the next day leads back to the first.
    second = instant_of("2024-10-27T02:30+01:00")
    assert shift_days(second, 0, "Europe/Berlin") == second
    assert datetime.fromtimestamp(second, ZoneInfo("Europe/Berlin")).fold == 1
    assert shift_days(shift_days(second, 1, "Europe/Berlin"), -1, "Europe/Berlin") == second - 3600
