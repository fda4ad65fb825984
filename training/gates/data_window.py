"""What is compared with what: the newest days of a log with the days before them, and counts per cell and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Self

import duckdb
import numpy as np
import numpy.typing as npt

from features.days import DAY_SECONDS, day_of, utc_of_local

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

JUDGED_DAYS: Final = 14
"""Two of each weekday: a run a week sees every day twice, so one that arrived late is judged too."""

REFERENCE_DAYS: Final = 28
"""Four of each weekday: one festival among them is borne, and a month's growth is small beside the bounds."""

ROWS: Final = "checked_events"
_FEWEST_REFERENCE: Final = 4
_SAME_WEEKDAYS: Final = 2
_NEARLY_OVER: Final = 3600
_PER_MAD: Final = 1.4826


@dataclass(frozen=True)
class Window:
    """Days that are judged and days that they are compared with.

    Parameters
    ----------
    days
        Day numbers without gaps, reference days first [days].
    judged
        Which of them are judged [days].
    present
        Instant of knowledge, epoch seconds.
    starts
        First instant of each day and of the one after the last [days + 1].
    """

    days: Ints
    judged: Flags
    present: int
    starts: Ints

    @classmethod
    def of(cls, first: int, last: int, present: int, timezone: str, since_days: int = JUDGED_DAYS) -> Self:
        """Choose the days of a log.

        Parameters
        ----------
        first, last
            Days of the first and the last event that had happened by the present.
        present
            Epoch seconds; the day it falls on counts where an hour of it at most is missing.
        timezone
            The log's.
        since_days
            Days to judge at most; half of a short log.

        Examples
        --------
        >>> window = Window.of(19_814, 19_833, 19_834 * 86_400, "UTC")
        >>> len(window.days), int(window.judged.sum()), window.name(0)
        (20, 10, 'Mon 2024-04-01')
        """
        today = int(day_of(np.array([present + _NEARLY_OVER]), timezone)[0])
        # A log that ended long ago is judged as of its end; one that merely stopped is not let off.
        last_day = max(min(today - 1, last + since_days), first)
        whole = last_day - first + 1
        judged = max(1, min(since_days, whole // 2))
        begin = max(first, last_day - judged - REFERENCE_DAYS + 1)
        days = np.arange(begin, last_day + 1, dtype=np.int64)
        starts = utc_of_local(np.append(days, last_day + 1) * DAY_SECONDS, timezone)
        return cls(days, days > last_day - judged, present, starts)

    @property
    def comparable(self) -> bool:
        """Whether there are days enough before the judged ones."""
        return int((~self.judged).sum()) >= _FEWEST_REFERENCE

    @property
    def lag(self) -> int:
        """Seconds from the end of the newest judged day to the present."""
        return self.present - int(self.starts[-1])

    @property
    def spans(self) -> tuple[list[int], ...]:
        """Places of the last judged week and of all judged days."""
        days = np.flatnonzero(self.judged).tolist()
        return (days[-7:], days) if len(days) > 7 else (days,)

    def name(self, place: int) -> str:
        """Write a day and its weekday."""
        return (date(1970, 1, 1) + timedelta(days=int(self.days[place]))).strftime("%a %Y-%m-%d")

    def usual(self, values: npt.NDArray[Any]) -> Floats:
        """Return what days usually have: the lower median of the same weekdays, or of all days for want of two.

        Parameters
        ----------
        values
            Counts [cells, days].
        """
        reference = ~self.judged
        expected = np.repeat(np.median(values[:, reference], axis=1)[:, None], len(self.days), axis=1)
        for weekday in range(7):
            same = self.days % 7 == weekday
            before = np.sort(values[:, same & reference], axis=1)
            if before.shape[1] >= _SAME_WEEKDAYS:
                expected[:, same] = before[:, [(before.shape[1] - 1) // 2]]
            elif before.shape[1]:
                # One such day may have been a quiet one or a festival: the smaller number is less likely to alarm.
                expected[:, same] = np.minimum(expected[:, same], before[:, [0]])
        return expected

    def spread(self, values: npt.NDArray[Any]) -> Floats:
        """Return the robust standard deviation of the reference days [cells, 1]."""
        before = values[:, ~self.judged]
        middle = np.median(before, axis=1, keepdims=True)
        found: Floats = _PER_MAD * np.median(np.abs(before - middle), axis=1, keepdims=True)
        return found


@dataclass(frozen=True)
class Grid:
    """Measures per cell and day.

    Parameters
    ----------
    cells
        Names of each cell, e.g. platform and kind.
    values
        Measure → numbers [cells, days].
    """

    cells: tuple[tuple[str, ...], ...]
    values: Mapping[str, Ints]

    def __getitem__(self, measure: str) -> Ints:
        return self.values[measure]

    def name(self, cell: int) -> str:
        """Write a cell."""
        return " ".join(self.cells[cell]).strip()

    def where(self, place: int, *names: str) -> Grid:
        """Return the cells that have one of some names at a place."""
        kept = [row for row, cell in enumerate(self.cells) if cell[place] in names]
        cells = tuple(self.cells[row] for row in kept)
        return Grid(cells, {measure: values[kept] for measure, values in self.values.items()})

    def over(self, places: Sequence[int]) -> Grid:
        """Return the grid summed over the names that are not at some places."""
        kept = [tuple(cell[place] for place in places) for cell in self.cells]
        cells = tuple(dict.fromkeys(kept))
        number = np.array([cells.index(cell) for cell in kept], np.int64)
        summed = {}
        for measure, values in self.values.items():
            summed[measure] = np.zeros((len(cells), values.shape[1]), np.int64)
            np.add.at(summed[measure], number, values)
        return Grid(cells, summed)


def grid_of(
    con: duckdb.DuckDBPyConnection,
    window: Window,
    keys: Sequence[str],
    measures: Mapping[str, str],
    rows: str = ROWS,
) -> Grid:
    """Count in one pass.

    Parameters
    ----------
    con
        Connection on which `rows` is a table with a column ``day``.
    window
        Days to count.
    keys
        SQL of the names of a cell.
    measures
        Measure → SQL of an aggregate that gives an integer; a cell without rows has 0.
    rows
        Table, view or SELECT in brackets.
    """
    first, last = int(window.days[0]), int(window.days[-1])
    named = ", ".join(f"coalesce(CAST({key} AS VARCHAR), '') AS k{n}" for n, key in enumerate(keys))
    told = ", ".join(f"CAST({sql} AS BIGINT) AS m{n}" for n, sql in enumerate(measures.values()))
    found = con.sql(
        f"SELECT {named}, day - {first} AS place, {told} FROM {rows} "  # noqa: S608 - names are ours
        f"WHERE day BETWEEN {first} AND {last} GROUP BY ALL ORDER BY ALL"
    ).fetchnumpy()
    names = list(zip(*(found[f"k{n}"].tolist() for n in range(len(keys))), strict=True))
    cells = tuple(dict.fromkeys(names))
    number = {cell: row for row, cell in enumerate(cells)}
    at = np.array([number[name] for name in names], np.int64)
    values = {}
    for n, measure in enumerate(measures):
        grid = np.zeros((len(cells), len(window.days)), np.int64)
        grid[at, found["place"].astype(np.int64)] = np.ma.filled(found[f"m{n}"], 0)
        values[measure] = grid
    return Grid(cells, values)
