"""What a log holds that a taxonomy could be made of: its acts, columns, categories and span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import duckdb

from features.days import DAY_SECONDS
from features.errors import LogTooShortError
from features.events import COMMERCE_KINDS, EVENTS, INTEREST_KINDS

ACTS: Final = (
    ("purchase",),
    ("cart", "favourite"),
    ("like", "save", "comment", "share", "link_click"),
    ("item_view", "store_visit"),
    ("click", "read"),
    ("impression",),
)
"""Kinds that a tag can be about, the one that says most first."""

HORIZONS: Final = (30, 14, 7, 3, 2, 1)
"""Days ahead that a draft may look."""

_WINDOWS_WISHED: Final = 6
_WINDOWS_NEEDED: Final = 4
"""One of history, one to train on, one to make choices on, one to evaluate on."""


@dataclass(frozen=True)
class Profile:
    """What stands in a log before an instant.

    Parameters
    ----------
    as_of
        Epoch seconds; nothing from it on, and nothing that arrived after it, was looked at.
    act
        Kinds that tags are about: the deepest that the log has with categories.
    categories
        Category code → how many accounts did the act in it, most first, ties by code.
    holds
        Columns of the act's events that are above zero (or true) somewhere, and ``interest`` where there are
        interest events with categories beside commerce.
    first
        First event with a category, epoch seconds.
    rhythm_days
        Usual days from one day with such acts to the next.
    """

    as_of: int
    act: tuple[str, ...]
    categories: dict[str, int]
    holds: frozenset[str]
    first: int
    rhythm_days: int = 1

    @property
    def span_days(self) -> int:
        """Days from the first event to `as_of`, one that has begun counted."""
        return -(-(self.as_of - self.first) // DAY_SECONDS)

    @property
    def horizon_days(self) -> int:
        """Days ahead that a draft should look, see `choose_horizon`."""
        return choose_horizon((self.as_of - self.first) // DAY_SECONDS, self.span_days, self.rhythm_days)


def known_events(events: Any, as_of: int) -> Any:
    """Return the events of a DuckDB relation that happened before an instant and had arrived by then."""
    return events.filter(f"event_time < {int(as_of)} and arrived_at <= {int(as_of)}")


def profile_log(events: Any, as_of: int) -> Profile:
    """Look at a log as of an instant.

    Parameters
    ----------
    events
        DuckDB relation with the canonical columns; columns that are missing count as empty.
    as_of
        Epoch seconds.

    Raises
    ------
    LogTooShortError
        There are no events with categories.
    """
    known = known_events(events, as_of)
    kinds = known.query("known", "select kind, min(event_time) from known where category is not null group by kind")
    first = dict(kinds.fetchall())
    if not first:
        raise LogTooShortError("no event before the instant names a category", value=as_of)
    act = next(kinds for kinds in ACTS if not first.keys().isdisjoint(kinds)) if _has_act(first) else tuple(first)
    acts = known.filter(duckdb.ColumnExpression("kind").isin(*[duckdb.ConstantExpression(k) for k in act]))
    counted = acts.query(
        "acts",
        "select category, count(distinct account) from acts where category is not null "
        "group by 1 order by 2 desc, 1",
    ).fetchall()
    holds = _filled(acts)
    if act[0] in COMMERCE_KINDS and not first.keys().isdisjoint(INTEREST_KINDS):
        holds |= {"interest"}
    return Profile(as_of, act, dict(counted), holds, min(first.values()), usual_gap(acts))


def choose_horizon(whole_days: int, days: int, rhythm_days: int = 1) -> int:
    """Return the days ahead that suit a log: six windows should fit into it, and four must.

    Parameters
    ----------
    whole_days
        Whole days from the first event to the present.
    days
        The same, a day that has begun counted.
    rhythm_days
        Usual days from one day with acts to the next; the horizon is a multiple of it, so that every window holds
        as many such days.

    Raises
    ------
    LogTooShortError
        Not even four of the shortest windows fit.

    Examples
    --------
    >>> [choose_horizon(days, days) for days in (730, 180, 179, 42, 9)], choose_horizon(180, 180, rhythm_days=7)
    ([30, 30, 14, 7, 1], 28)
    """
    fitting = [multiple for days_ahead in HORIZONS if (multiple := days_ahead // rhythm_days * rhythm_days)]
    shortest = min(fitting, default=rhythm_days)
    for horizon in fitting:
        if days >= horizon * _WINDOWS_WISHED:
            return horizon
    if whole_days >= shortest * _WINDOWS_NEEDED:
        return shortest
    every = "" if rhythm_days == 1 else f", which has events every {rhythm_days} days,"
    raise LogTooShortError(
        f"the log{every} is too short for a taxonomy: days before the instant",
        value=whole_days,
        valid=(f"at least {shortest * _WINDOWS_NEEDED}",),
        next_step="import more history, or name a later --as-of",
    )


def usual_gap(events: Any) -> int:
    """Return the median number of days from one day with events to the next; 1 where few days have any.

    It is more than 1 where a log counts in weeks, or in baskets that a mapping has put into time.
    """
    gap, gaps = events.query(
        "events",
        f"select quantile_disc(gap, 0.5), count(gap) from (select day - lag(day) over (order by day) as gap "  # noqa: S608
        f"from (select distinct event_time // {DAY_SECONDS} as day from events))",
    ).fetchall()[0]
    return int(gap) if gaps >= _WINDOWS_NEEDED - 1 else 1


def departments_of(items: Any) -> dict[str, str]:
    """Return the department of each category: the one most of its items are in, ties by name.

    Parameters
    ----------
    items
        DuckDB relation with columns category and department; without them nothing is known.
    """
    if not {"category", "department"} <= set(items.columns):
        return {}
    rows = items.query(
        "items",
        "select category, department, count(*) n from items "
        "where category is not null and department is not null group by 1, 2 order by 1, n, 2 desc",
    ).fetchall()
    return {category: department for category, department, _ in rows}


def _has_act(kinds: dict[str, int]) -> bool:
    return any(not kinds.keys().isdisjoint(act) for act in ACTS)


def _filled(acts: Any) -> frozenset[str]:
    wanted = [c for c in ("amount", "quantity", "coupon", "discount", "own_label") if c in acts.columns]
    if not wanted:
        return frozenset()
    tests = ", ".join(
        f"coalesce(bool_or({c}{'' if EVENTS.column(c).type == 'flag' else ' > 0'}), false)" for c in wanted
    )
    (row,) = acts.query("acts", f"select {tests} from acts").fetchall()  # noqa: S608 - column names are ours
    return frozenset(name for name, some in zip(wanted, row, strict=True) if some)
