from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.days import day_of, instant_of, utc_of_local
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
