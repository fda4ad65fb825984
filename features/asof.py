"""Exact statistics of a keyed stream of events as of arbitrary instants, many at a time.

An event counts at t from the moment ``since`` it is known on, and in a window of w whole days until the day
w days after its own begins. So the number that counts for a key is how many starts lie at or before t less how many
ends do: two binary searches in sorted integers. Sums are the same over running sums, the last and the first
time are running maxima. Definitions are those of `features.definitions.Aggregate` with ``known_at`` = t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from features.days import DAY_SECONDS, turned_back, utc_of_local
from features.errors import FeatureError

Int64 = npt.NDArray[np.int64]

NEVER: Final = -1
_BITS: Final = 33
"""Enough for every second until 2242; the rest of 63 bits is for the key."""
_LAST: Final = (1 << _BITS) - 1


def packed(keys: Int64, times: Int64) -> Int64:
    """Return (key, time) as one integer that sorts alike; keys lie below 2^30 and times in [0, 2^33)."""
    return (keys << _BITS) | times


def in_order(at: Int64, further: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.intp]:
    """Return the numbers that sort integers, equal ones by further columns of which the first counts most.

    Only rows whose integers are equal are compared column by column: where these are few, as events of one person
    in one second are, it takes a fifth of the time of sorting by all columns.

    Examples
    --------
    >>> in_order(np.array([5, 3, 5]), [np.array([2, 0, 1])]).tolist()
    [1, 2, 0]
    """
    order = np.argsort(at, kind="stable")
    same = at[order[1:]] == at[order[:-1]]
    if same.any():
        places = np.flatnonzero(np.append(same, False) | np.append(False, same))
        tied = order[places]
        order[places] = tied[np.lexsort((*(column[tied] for column in reversed(further)), at[tied]))]
    return order


def known_from(event_time: Int64, arrived_at: Int64) -> Int64:
    """Return the first second at which an event is the past and the log knows it."""
    return np.maximum(event_time + 1, arrived_at)


def window_spans(
    since: Int64, day: npt.NDArray[np.integer], window: int, timezone: str
) -> tuple[Int64, Int64, npt.NDArray[np.intp]]:
    """Return when events count in a window of whole days that ends with the current one.

    Parameters
    ----------
    since
        From when each event is known, epoch seconds.
    day
        Day of each event in the time zone.
    window
        Length in days.
    timezone
        IANA name.

    Returns
    -------
    starts, ends, event
        An event counts in [start, end). The first spans are those of the events in order; further ones, of the
        numbered events, stand for the rare clock that is put back over midnight, so that a day ends twice.

    Examples
    --------
    >>> starts, ends, event = window_spans(np.array([10]), np.array([0]), 7, "UTC")
    >>> starts.tolist(), (ends / DAY_SECONDS).tolist(), event.tolist()
    ([10], [7.0], [0])
    """
    last = day.astype(np.int64) + window
    ends = np.maximum(utc_of_local(last * DAY_SECONDS, timezone), since)
    days, back, again = turned_back(timezone)
    event = np.arange(len(since))
    twice = np.flatnonzero(np.isin(last, days)) if len(days) else event[:0]
    if not len(twice):
        return since, ends, event
    place = np.searchsorted(days, last[twice])
    starts = np.maximum(since[twice], back[place])
    return (
        np.concatenate([since, starts]),
        np.concatenate([ends, np.maximum(again[place], starts)]),
        np.concatenate([event, twice]),
    )


class Probe:
    """Keys and instants to ask for, sorted once for any number of streams of the same keys.

    Parameters
    ----------
    keys
        Numbers of keys; -1 is a key without events.
    instants
        Epoch seconds, in units of the streams' ``grain``.
    """

    def __init__(self, keys: Int64, instants: Int64) -> None:
        at = packed(keys, instants)
        self._order = None if len(at) < 2 or bool((at[1:] >= at[:-1]).all()) else np.argsort(at, kind="stable")
        self.at = at if self._order is None else at[self._order]
        sorted_keys = self.at >> _BITS
        changes = np.ones(len(at), bool)
        changes[1:] = sorted_keys[1:] != sorted_keys[:-1]
        firsts = np.flatnonzero(changes)
        self._bases = packed(sorted_keys[firsts], np.zeros(len(firsts), np.int64)) - 1
        self._repeats = np.diff(np.append(firsts, len(at)))

    def __len__(self) -> int:
        return len(self.at)

    def before(self, at: Int64) -> Int64:
        """Return for each probe how many of the sorted integers belong to smaller keys."""
        return np.repeat(np.searchsorted(at, self._bases, side="right"), self._repeats)

    def given(self, values: Int64) -> Int64:
        """Bring values from sorted order into the order in which the probes were given."""
        if self._order is None:
            return values
        result = np.empty_like(values)
        result[self._order] = values
        return result


@dataclass(frozen=True)
class _Steps:
    """A running total per key and moment: `total[i]` is that of the first i sorted moments (None: i itself)."""

    at: Int64
    total: Int64 | None

    @classmethod
    def of(cls, at: Int64, values: Int64 | None, *, merge: bool) -> _Steps:
        if values is None:
            at = np.sort(at, kind="stable")
            if not merge:
                return cls(at, None)
        else:
            order = np.argsort(at, kind="stable")
            at, values = at[order], values[order]
        total = np.arange(1, len(at) + 1) if values is None else np.cumsum(values)
        last = np.append(at[1:] != at[:-1], np.ones(min(len(at), 1), bool))
        return cls(at[last], np.concatenate([np.zeros(1, np.int64), total[last]]))

    def up_to(self, place: Int64) -> Int64:
        return place if self.total is None else self.total[place]

    def __call__(self, probe: Probe) -> Int64:
        return self.up_to(np.searchsorted(self.at, probe.at, side="right"))


class Stream:
    """Events of one sort by key, ready to be counted at any instant.

    Parameters
    ----------
    keys
        Number of each event's key, from 0; any order of events gives the same stream.
    since
        From when each event is known, epoch seconds: see `known_from`.
    days
        Day of each event in the time zone; needed for windows.
    windows
        Lengths in days of the windows that may be asked for, besides all of the past.
    values
        What is summed, int64; by default each event counts 1.
    times
        When each event happened, for `last` and `first`.
    timezone
        IANA name.
    grain
        Seconds to which starts and ends are rounded up, and equal ones merged. Probes in those units then know what
        was known at full grains.

    Raises
    ------
    FeatureError
        Windows are declared without days.

    Examples
    --------
    >>> day = 86_400
    >>> times = np.array([0, day, 9 * day])
    >>> stream = Stream(np.zeros(3, np.int64), times + 1, times // day, (7,), times=times)
    >>> probe = Probe(np.zeros(3, np.int64), np.array([day, day + 1, 10 * day]))
    >>> stream.totals(probe).tolist(), stream.totals(probe, 7).tolist(), stream.last(probe).tolist()
    ([1, 2, 3], [1, 2, 1], [0, 86400, 777600])
    """

    def __init__(
        self,
        keys: Int64,
        since: Int64,
        days: npt.NDArray[np.integer] | None = None,
        windows: Sequence[int] = (),
        *,
        values: Int64 | None = None,
        times: Int64 | None = None,
        timezone: str = "UTC",
        grain: int = 1,
    ) -> None:
        def steps(keys: Int64, moments: Int64, values: Int64 | None) -> _Steps:
            return _Steps.of(packed(keys, -(-moments // grain)), values, merge=grain > 1)

        self._starts = steps(keys, since, values)
        self._spans: dict[int, tuple[_Steps, _Steps]] = {}
        for window in windows:
            if days is None:
                raise FeatureError("windows are counted in days", next_step="pass the days of the events")
            starts, ends, event = window_spans(since, days, window, timezone)
            key, value = keys, values
            if len(event) > len(keys):
                key, value = keys[event], None if values is None else values[event]
            begun = self._starts if len(event) == len(keys) else steps(key, starts, value)
            self._spans[window] = begun, steps(key, ends, value)
        self._times = None if times is None else (packed(keys, since), keys, times)
        self._asked: tuple[Probe | None, Int64] = None, np.empty(0, np.int64)

    def totals(self, probe: Probe, window: int | None = None) -> Int64:
        """Return the number (or sum) of the events that count, for each probe as given.

        Parameters
        ----------
        probe
            Keys and instants.
        window
            One of the declared lengths in days; None counts all of the past.
        """
        if window is None:
            return probe.given(self._begun(probe) - self._starts.up_to(probe.before(self._starts.at)))
        begun, ended = self._spans[window]
        started = self._begun(probe) if begun is self._starts else begun(probe)
        return probe.given(started - ended(probe))

    def _begun(self, probe: Probe) -> Int64:
        asked, begun = self._asked
        if asked is not probe:  # another thread may have asked meanwhile
            begun = self._starts(probe)
            self._asked = probe, begun
        return begun

    def last(self, probe: Probe) -> Int64:
        """Return when the last known event happened, `NEVER` where there is none.

        Raises
        ------
        FeatureError
            The stream was made without times.
        """
        return self._extreme(probe, self._lasts)

    def first(self, probe: Probe) -> Int64:
        """Return when the first known event happened, `NEVER` where there is none; raises as `last`."""
        found = self._extreme(probe, self._firsts)
        return np.where(found == NEVER, NEVER, _LAST - found)

    def run(self, probe: Probe, gap: int) -> Int64:
        """Return how many events there were in the run that an event at the instant would go on with.

        Parameters
        ----------
        probe
            Keys and instants.
        gap
            In a run each event becomes known less than these seconds after the one before; one that happens at the
            instant becomes known a second later.
        """
        at = self._starts.at
        place = np.arange(len(at))
        breaks = np.ones(len(at), bool)
        breaks[1:] = at[1:] - at[:-1] >= gap  # a change of key is a gap of 2^33 less a time
        begun = np.maximum.accumulate(np.where(breaks, place, 0)) if len(at) else place
        last = self._begun(probe) - 1
        on = last >= 0
        on[on] = probe.at[on] + 1 - at[last[on]] < gap
        length = np.zeros(len(probe), np.int64)
        length[on] = last[on] - begun[last[on]] + 1
        return probe.given(length)

    @cached_property
    def _lasts(self) -> tuple[Int64, Int64]:
        return self._running(latest=True)

    @cached_property
    def _firsts(self) -> tuple[Int64, Int64]:
        return self._running(latest=False)

    def _running(self, *, latest: bool) -> tuple[Int64, Int64]:
        """Sorted starts, and at each the highest (key, time) so far: keys ascend, so it never reaches back."""
        if self._times is None:
            raise FeatureError("the stream does not know when its events happened", next_step="pass their times")
        at, keys, times = self._times
        order = np.argsort(at, kind="stable")
        highest = packed(keys, times if latest else _LAST - times)[order]
        return at[order], np.maximum.accumulate(highest) if len(highest) else highest

    def _extreme(self, probe: Probe, running: tuple[Int64, Int64]) -> Int64:
        at, highest = running
        place = np.searchsorted(at, probe.at, side="right") - 1
        found = np.full(len(probe), NEVER, np.int64)
        some = place >= 0
        best = highest[place[some]]
        found[some] = np.where(best >> _BITS == probe.at[some] >> _BITS, best & _LAST, NEVER)
        return probe.given(found)
