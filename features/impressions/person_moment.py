"""What one person did, counted as of one instant: all statistics in a few passes over the acts.

`features.impressions.history.PersonHistory` answers for any number of persons and instants, with two
searches per statistic. As of one instant an act is known or not and some days old, so that every
statistic is a sum over a yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.asof import NEVER, Int64
from features.days import day_of
from features.definitions import Aggregate
from features.errors import FeatureError
from features.events import KINDS
from features.impressions.history import SESSION_GAP
from features.people.acts import Acts

Places = npt.NDArray[np.intp]
_FOREVER: Final = np.iinfo(np.int32).max
_LATEST: Final = np.iinfo(np.int64).max
_IMPRESSION: Final = KINDS.index("impression")
_MEASURES: Final = ("count", "sum", "days", "recency", "tenure")


@dataclass(frozen=True)
class _Wanted:
    """Of one key: which row of the answer is which column of the plan."""

    columns: Places
    """Counts of the plan that the key needs; the others name them by their place in here."""
    counts: tuple[Places, Places]
    sums: tuple[Places, Places]
    lasts: tuple[Places, Places, Places]
    """Rows, columns, and the count without which there is no last one."""
    firsts: tuple[Places, Places]
    days: tuple[tuple[int, int], ...]


class PersonPlan:
    """Which aggregates are counted, arranged once for any number of persons.

    Parameters
    ----------
    wanted
        Key of a statistic of persons → its aggregates, in the order of the answer.

    Raises
    ------
    FeatureError
        A measure is not kept as of every instant.
    """

    def __init__(self, wanted: Mapping[str, Sequence[Aggregate]]) -> None:
        self.sizes = {of: len(aggregates) for of, aggregates in wanted.items()}
        choices: dict[tuple[tuple[str, ...], str | None], int] = {}
        counts: dict[tuple[int, int], int] = {}
        sums: dict[tuple[int, int, str], int] = {}
        times: dict[int, int] = {}

        def count_of(a: Aggregate) -> tuple[int, int]:
            choice = choices.setdefault((a.kinds, a.condition), len(choices))
            return choice, a.window.days or _FOREVER

        self.wanted: dict[str, _Wanted] = {}
        for of, aggregates in wanted.items():
            rows: dict[str, list[Any]] = {measure: [] for measure in _MEASURES}
            for row, a in enumerate(aggregates):
                if a.measure not in _MEASURES:
                    raise FeatureError(
                        "this measure is not kept as of every instant", value=a.name, valid=_MEASURES
                    )
                at = count_of(a)
                if a.measure == "sum":
                    rows["sum"].append((row, sums.setdefault((*at, str(a.of)), len(sums))))
                elif a.measure in {"recency", "tenure"}:
                    last = times.setdefault(at[0], len(times))
                    rows[a.measure].append((row, last, counts.setdefault(at, len(counts))))
                else:
                    rows[a.measure].append((row, counts.setdefault(at, len(counts))))
            needed = [row[-1] for measure in ("count", "recency", "days") for row in rows[measure]]
            place = {column: number for number, column in enumerate(dict.fromkeys(needed))}
            for measure in ("count", "recency", "days"):
                rows[measure] = [(*row[:-1], place[row[-1]]) for row in rows[measure]]
            self.wanted[of] = _Wanted(
                columns=np.array(list(place), np.intp),
                counts=_columns(rows["count"], 2),
                sums=_columns(rows["sum"], 2),
                lasts=_columns(rows["recency"], 3),
                firsts=_columns(rows["tenure"], 3)[:2],
                days=tuple(rows["days"]),
            )
        self.kinds = np.zeros((len(choices), len(KINDS)), bool)
        for (kinds, _), choice in choices.items():
            self.kinds[choice, [KINDS.index(kind) for kind in kinds]] = True
        conditions = [condition for _, condition in choices]
        self.deep = np.array([condition == "deep_read" for condition in conditions])
        self.paid = np.array([condition == "paid" for condition in conditions])
        self.counts = _columns(list(counts), 2)
        self.sums = _columns([(choice, days) for choice, days, _ in sums], 2)
        self.summed = [name for *_, name in sums]
        self.timed = np.array(list(times), np.intp)


def _columns(rows: list[Any], width: int) -> tuple[Any, ...]:
    return tuple(np.array(rows, np.intp).reshape(-1, width).T)


class PersonMoment:
    """The known acts of one person as of one instant.

    Parameters
    ----------
    plan
        What is asked for.
    acts
        Of one person.
    time
        Epoch seconds.
    timezone
        The log's.
    """

    def __init__(self, plan: PersonPlan, acts: Acts, time: int, timezone: str) -> None:
        known = acts["since"] <= time
        self.acts = acts if bool(known.all()) else acts.take(known)
        self.time, self._plan = time, plan
        kinds = self.acts["kind"]
        chosen = plan.kinds[:, kinds]
        chosen[plan.deep] &= self.acts["deep"]
        chosen[plan.paid] &= self.acts["campaign"] != 0
        self._days = self.acts.days(timezone)
        age = int(day_of(time, timezone)) - self._days
        choice, window = plan.counts
        self._counts = chosen[choice] & (age < window[:, None])
        choice, window = plan.sums
        self._sums = (chosen[choice] & (age < window[:, None])).astype(np.int64)
        for row, name in enumerate(plan.summed):
            self._sums[row] *= self.acts[name]
        self._chosen = chosen[plan.timed]

    def everything(self) -> Int64:
        """Return the aggregates of the key ``person``, int64 [aggregates, 1]."""
        rows = np.arange(len(self.acts))
        return self._reduced("person", rows, np.zeros(len(rows), np.intp), 1)

    def by_value(self, of: str, own: Int64, values: Int64) -> Int64:
        """Return the aggregates of a key for some values of its column.

        Parameters
        ----------
        of
            The key.
        own
            Code of each known act, 0 for none.
        values
            K distinct codes, ascending.

        Returns
        -------
        numpy.ndarray
            int64 [aggregates, K]; recency and tenure are `NEVER` without an act.
        """
        place = np.minimum(np.searchsorted(values, own), len(values) - 1)
        rows = np.flatnonzero((values[place] == own) & (own != 0))
        return self._reduced(of, rows, place[rows], len(values))

    def by_place(self, of: str, rows: Places, place: Places, many: int) -> Int64:
        """Return the aggregates of a key for `many` places, each of the given acts counting for its place."""
        return self._reduced(of, rows, place, many)

    def session(self) -> int:
        """Return how many impressions the running session has had, see `features.asof.Stream.run`."""
        since = np.sort(self.acts["since"][self.acts["kind"] == _IMPRESSION])
        if not len(since) or self.time + 1 - since[-1] >= SESSION_GAP:
            return 0
        breaks = np.flatnonzero(np.diff(since) >= SESSION_GAP)
        return len(since) - (int(breaks[-1]) + 1 if len(breaks) else 0)

    def _reduced(self, of: str, rows: Places, place: Places, many: int) -> Int64:
        wanted = self._plan.wanted[of]
        found = np.zeros((self._plan.sizes[of], many), np.int64)
        at, column, _ = wanted.lasts
        found[at] = NEVER
        found[wanted.firsts[0]] = NEVER
        if not len(rows):
            return found
        order = np.argsort(place, kind="stable")
        rows, place = rows[order], place[order]
        begins = np.ones(len(place), bool)
        begins[1:] = place[1:] != place[:-1]
        starts = np.flatnonzero(begins)
        there = place[starts]

        def write(at: Places, values: Int64) -> None:
            found[at[:, None], there] = values

        counting = self._counts[wanted.columns[:, None], rows]
        counted = np.add.reduceat(counting, starts, axis=1, dtype=np.int64)
        write(wanted.counts[0], counted[wanted.counts[1]])
        if len(wanted.sums[0]):
            write(wanted.sums[0], np.add.reduceat(self._sums[wanted.sums[1][:, None], rows], starts, axis=1))
        times = self.acts["time"][rows]
        if len(at):
            last = np.maximum.reduceat(np.where(self._chosen[column[:, None], rows], times, NEVER), starts, axis=1)
            write(at, np.where(counted[wanted.lasts[2]] > 0, self.time - last, NEVER))
        if len(wanted.firsts[0]):
            on = self._chosen[wanted.firsts[1][:, None], rows]
            first = np.minimum.reduceat(np.where(on, times, _LATEST), starts, axis=1)
            write(wanted.firsts[0], np.where(first < _LATEST, self.time - first, NEVER))
        for row, count in wanted.days:
            some = np.flatnonzero(counting[count])
            distinct = np.unique(place[some].astype(np.int64) << 32 | self._days[rows[some]].astype(np.int64))
            found[row] = np.bincount(distinct >> 32, minlength=many)
        return found
