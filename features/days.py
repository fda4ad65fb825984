"""Instants and days: epoch seconds, and the days of one time zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from features.errors import EventLogError

DAY_SECONDS = 86_400

_SCAN_FROM = datetime(1989, 12, 1, tzinfo=UTC)
_SCAN_TO = datetime(2101, 1, 1, tzinfo=UTC)
_SCAN_STEP = timedelta(days=4)

Int64 = npt.NDArray[np.int64]


@lru_cache(maxsize=8)
def _offsets(timezone: str) -> tuple[Int64, Int64]:
    """Instants at which the zone's offset changes, and the offset in force from each (the first from ever)."""
    if timezone == "UTC":
        return np.empty(0, np.int64), np.zeros(1, np.int64)
    zone = ZoneInfo(timezone)

    def offset_at(second: int) -> int:
        offset = datetime.fromtimestamp(second, zone).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    starts: list[int] = []
    low = int(_SCAN_FROM.timestamp())
    offsets = [offset_at(low)]
    while low < _SCAN_TO.timestamp():
        high = low + int(_SCAN_STEP.total_seconds())
        if offset_at(high) != offsets[-1]:
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_at(middle) == offsets[-1] else (before, middle)
            starts.append(after)
            offsets.append(offset_at(after))
            low = after
        else:
            low = high
    return np.array(starts, np.int64), np.array(offsets, np.int64)


def day_of(timestamps: npt.ArrayLike, timezone: str) -> npt.NDArray[np.int32]:
    """Return the day, counted from 1970-01-01, that each instant falls on in a time zone.

    Parameters
    ----------
    timestamps
        Epoch seconds, any shape.
    timezone
        IANA name.

    Examples
    --------
    >>> day_of([0, 57_599, 57_600], "Asia/Shanghai").tolist()
    [0, 0, 1]
    """
    return (local_of_utc(timestamps, timezone) // DAY_SECONDS).astype(np.int32)


def local_of_utc(timestamps: npt.ArrayLike, timezone: str) -> Int64:
    """Return what the clock shows at each instant, counted as if it were UTC.

    Examples
    --------
    >>> local_of_utc([0], "Asia/Shanghai").tolist()
    [28800]
    """
    seconds = np.asarray(timestamps, np.int64)
    starts, offsets = _offsets(timezone)
    return seconds + offsets[np.searchsorted(starts, seconds, side="right")]


def utc_of_local(seconds: npt.ArrayLike, timezone: str) -> Int64:
    """Return the epoch seconds of wall-clock times that were counted as if they were UTC.

    A wall-clock time that occurs twice means its first occurrence; one that a change of the clock skips is read
    with the offset before the change.

    Examples
    --------
    >>> utc_of_local([8 * 3600], "Asia/Shanghai").tolist()
    [0]
    """
    local = np.asarray(seconds, np.int64)
    starts, offsets = _offsets(timezone)
    # The clock shows max(before, after) + start when every reading with the old offset is over.
    changes = starts + np.maximum(offsets[:-1], offsets[1:])
    return local - offsets[np.searchsorted(changes, local, side="right")]


@lru_cache(maxsize=8)
def turned_back(timezone: str) -> tuple[Int64, Int64, Int64]:
    """Return the days that begin twice because the clock is put back over their first midnight.

    Returns
    -------
    days, back, again
        Sorted days; from `back` until `again` it is the day before once more.

    Examples
    --------
    >>> days, back, again = turned_back("America/St_Johns")
    >>> day_text(int(back[0]), "America/St_Johns"), float(((again - back) / 60).max())
    ('1990-10-27', 59.0)
    """
    starts, offsets = _offsets(timezone)
    days = day_of(starts - 1, timezone).astype(np.int64)
    over = days > day_of(starts, timezone)
    return days[over], starts[over], days[over] * DAY_SECONDS - offsets[1:][over]


def day_text(instant: int, timezone: str) -> str:
    """Write the day that an instant falls on in a time zone.

    Examples
    --------
    >>> day_text(57_600, "Asia/Shanghai")
    '1970-01-02'
    """
    return datetime.fromtimestamp(instant, ZoneInfo(timezone)).date().isoformat()


def days_text(days: int) -> str:
    """Write a number of days.

    Examples
    --------
    >>> days_text(1), days_text(30)
    ('1 day', '30 days')
    """
    return "1 day" if days == 1 else f"{days} days"


def shift_days(instant: int, days: int, timezone: str) -> int:
    """Return the instant at the same wall-clock time some days later, or earlier where `days` is negative.

    Wall-clock times that occur twice or never are read as in `utc_of_local`; 0 days give the instant itself.

    Examples
    --------
    >>> midnight = instant_of("2024-03-31", "Europe/Berlin")  # the clock is put forward that night
    >>> (shift_days(midnight, 1, "Europe/Berlin") - midnight) / 3600
    23.0
    """
    if not days:
        return instant
    starts, offsets = _offsets(timezone)
    local = instant + int(offsets[np.searchsorted(starts, instant, side="right")])
    return int(utc_of_local(local + days * DAY_SECONDS, timezone))


def instant_of(text: str, timezone: str = "UTC", now: int | None = None) -> int:
    """Read an instant that a person wrote.

    Parameters
    ----------
    text
        A day such as ``2017-11-01`` (its first moment), an ISO date and time, or ``now``.
    timezone
        Zone of a text that names no offset.
    now
        Epoch seconds that ``now`` stands for; the clock by default.

    Returns
    -------
    int
        Epoch seconds.

    Raises
    ------
    EventLogError
        The text is none of these.

    Examples
    --------
    >>> instant_of("2017-11-01"), instant_of("2017-11-01T00:00+01:00"), instant_of("now", now=5)
    (1509494400, 1509490800, 5)
    """
    if text.strip().lower() == "now":
        return int(time.time()) if now is None else now
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise EventLogError(
            "not an instant", value=text, valid=["2017-11-01", "2017-11-01T08:30", "2017-11-01T08:30+08:00", "now"]
        ) from error
    if moment.tzinfo is not None:
        return int(moment.timestamp())
    return int(utc_of_local([int(moment.replace(tzinfo=UTC).timestamp())], timezone)[0])
