"""Conversion paths: the touches before each conversion, whatever the platform and account of the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS
from features.errors import FeatureError
from features.paths.conversions import Conversions
from features.paths.items import halo_of
from features.paths.people import TouchPeople
from features.small_tables import codes_of

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

By = Literal["click_date", "order_date"]
BY: Final = ("click_date", "order_date")
LEVELS: Final = ("note", "creator", "campaign")


@dataclass(frozen=True)
class Windows:
    """How long before a conversion a touch may lie.

    A touch at time ``t`` is on the path of a conversion at time ``c`` if ``c - days × 86,400 <= t < c``: closed at
    the far edge, open at the conversion.

    Parameters
    ----------
    click_days
        Post-click window; 7, 15 and 30 are usual.
    view_days
        Post-view window, for impressions that were not clicked; 1 and 7 are usual, 0 leaves views out.

    Examples
    --------
    >>> Windows(7, 1).longest
    604800
    """

    click_days: int = 30
    view_days: int = 1

    def __post_init__(self) -> None:
        if self.click_days < 1 or self.view_days < 0:
            raise FeatureError("a post-click window has at least 1 day, a post-view window at least 0", value=self)

    @property
    def longest(self) -> int:
        """Seconds of the longer window."""
        return max(self.click_days, self.view_days) * DAY_SECONDS


@dataclass(frozen=True)
class Paths:
    """Touches in the order of time before each conversion.

    Parameters
    ----------
    touches
        As `features.paths.touches.read_touches` gives them.
    conversions
        One row per path.
    offsets
        int64 [conversions + 1]: path ``c`` has the positions ``offsets[c]`` to ``offsets[c + 1] - 1``; none where
        the conversion has no touch.
    touch
        int64 [positions]: row of ``touches``.
    counted
        bool [positions]: belongs to the reported stretch. By order date all positions of orders in it; by click
        date the positions whose touch is in it, so that reports of adjacent stretches add up.
    halo
        bool [positions]: the note links items, and none of them was bought. Where a note links none, or none is
        known of the order, it is not halo.
    reported
        bool [conversions]: has a counted position, or no touch at all and was ordered in the stretch.
    unconverted_offsets, unconverted_touch
        Touches in the stretch that are on no path, person by person, in the same form.
    """

    touches: pa.Table
    conversions: pa.Table
    offsets: Int64
    touch: Int64
    counted: Flags
    halo: Flags
    reported: Flags
    unconverted_offsets: Int64
    unconverted_touch: Int64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def values(self) -> Int64:
        """Value of each conversion, minor units."""
        return column(self.conversions, "value")

    @property
    def without_touch(self) -> Flags:
        """Which conversions were ordered in the stretch and have no touch, bool [conversions]."""
        without: Flags = self.reported & (np.diff(self.offsets) == 0)
        return without

    @property
    def clicks(self) -> Flags:
        """Which positions are clicks."""
        clicks: Flags = column(self.touches, "click").astype(bool)[self.touch]
        return clicks

    @property
    def ago(self) -> Int64:
        """Seconds from each position's touch to its conversion."""
        ordered = np.repeat(column(self.conversions, "time"), np.diff(self.offsets))
        ago: Int64 = ordered - column(self.touches, "time")[self.touch]
        return ago

    def names(self, level: str) -> tuple[Int64, list[str | None]]:
        """Return which name each touch has at a level, and the names.

        Parameters
        ----------
        level
            One of `LEVELS`.

        Returns
        -------
        tuple of int64 [touches] and list
            A code per touch, and the name of each code; the last name is None, for touches that have none
            (organic ones have no campaign).

        Raises
        ------
        FeatureError
            There is no such level.
        """
        if level not in LEVELS:
            raise FeatureError("unknown level of credit", value=level, valid=LEVELS)
        codes, names = codes_of(self.touches, level)
        return codes, [*names.to_pylist(), None]


def column(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """Return a column without nulls as an array."""
    values: npt.NDArray[Any] = table[name].to_numpy()
    return values


def paths_of(
    touches: pa.Table,
    conversions: Conversions,
    identities: Any | None = None,
    *,
    start: int,
    end: int,
    known_at: int,
    windows: Windows | None = None,
    by: By = "order_date",
    links: pa.Table | None = None,
) -> Paths:
    """Join conversions with the touches before them.

    A touch may be on the paths of several conversions of its brand. The accounts of a person are those that were
    theirs at the conversion's time, as was known at `known_at`. Of people whose latest word on consent is no by
    then no path is made: their conversions have no touch, and their touches are on no path, converted or not.

    Parameters
    ----------
    touches, conversions
        Of the same brands, read from the longest window before `start` to the longest after `end`, so that paths
        are whole on both sides.
    identities
        Links of accounts to persons.
    start, end
        The reported stretch, epoch seconds: from `start` on and before `end`.
    known_at
        When the report is made.
    windows
        30 days post-click and 1 day post-view by default.
    by
        Whether the touch (``click_date``) or the order (``order_date``) lies in the reported stretch.
    links
        ``note`` and ``item``: the items behind each note's link.

    Raises
    ------
    FeatureError
        `by` is unknown.
    """
    if by not in BY:
        raise FeatureError("unknown way to date conversions", value=by, valid=BY)
    windows = windows or Windows()
    seen, clicked = column(touches, "time"), column(touches, "click").astype(bool)
    ordered = column(conversions.table, "time")
    with duckdb.connect() as con:
        people = TouchPeople(con, touches, conversions.table, identities, known_at)
        conversion, touch = _joined(people, seen, ordered, windows.longest)
        window = np.where(clicked[touch], windows.click_days, windows.view_days) * DAY_SECONDS
        inside = ordered[conversion] - seen[touch] <= window
        conversion, touch = conversion[inside], touch[inside]
        order = np.argsort(conversion * len(seen) + touch, kind="stable")
        conversion, touch = conversion[order], touch[order]
        halo = halo_of(con, (touches, conversions.table), conversion, touch, links)
        person = people.at(end)
    offsets = np.searchsorted(conversion, np.arange(len(ordered) + 1))
    in_stretch, touched = (ordered >= start) & (ordered < end), (seen >= start) & (seen < end)
    counted = touched[touch] if by == "click_date" else in_stretch[conversion]
    reported = in_stretch & (np.diff(offsets) == 0)
    reported[conversion[counted]] = True
    touched[touch] = False
    rest = np.flatnonzero(touched & (person >= 0))
    piece = _pieces(person[rest], seen[rest], windows.longest)
    by_piece = np.argsort(piece, kind="stable")
    edges = np.append(np.flatnonzero(np.diff(piece[by_piece], prepend=-1)), len(rest))
    return Paths(
        touches=touches,
        conversions=conversions.table,
        offsets=offsets.astype(np.int64),
        touch=touch,
        counted=counted,
        halo=halo,
        reported=reported,
        unconverted_offsets=edges.astype(np.int64),
        unconverted_touch=rest[by_piece],
    )


def _joined(people: TouchPeople, seen: Int64, ordered: Int64, longest: int) -> tuple[Int64, Int64]:
    """Pair conversions with the touches of their persons' accounts in the longest window before them."""
    numbers, whose = people.at_conversions()
    by_key = np.argsort(people.keys, kind="stable")
    scale = np.int64(1) << 34  # more seconds than any instant has
    sorted_touches = people.keys[by_key] * scale + seen[by_key]
    at = ordered[numbers]
    low = np.searchsorted(sorted_touches, whose * scale + np.maximum(at - longest, 0))
    many = np.searchsorted(sorted_touches, whose * scale + at) - low
    first = np.repeat(low - (np.cumsum(many) - many), many)
    return np.repeat(numbers, many), by_key[first + np.arange(len(first))]


def _pieces(people: Int64, seen: Int64, longest: int) -> Int64:
    """Cut each person's touches every `longest` seconds from the first one on, and number the pieces."""
    first = np.full(int(people.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, people, seen)
    window = (seen - first[people]) // longest
    pieces: Int64 = people * (int(window.max(initial=0)) + 1) + window
    return pieces
