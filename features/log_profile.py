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

HORIZONS: Final = (30, 14, 7, 3, 1)
_WINDOWS_NEEDED: Final = 4


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
    horizon_days
        30, or less on a short log, so that four windows fit into it.
    span_days
        From the first event to `as_of`.
    """

    as_of: int
    act: tuple[str, ...]
    categories: dict[str, int]
    holds: frozenset[str]
    horizon_days: int
    span_days: int


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
        There are no events with categories, or less than four days of them.
    """
    known = known_events(events, as_of)
    kinds = known.query("known", "select kind, min(event_time) from known where category is not null group by kind")
    first = dict(kinds.fetchall())
    if not first:
        raise LogTooShortError("no event before the instant names a category", value=as_of)
    act = next(kinds for kinds in ACTS if not first.keys().isdisjoint(kinds)) if _has_act(first) else tuple(first)
    span = (as_of - min(first.values())) // DAY_SECONDS
    horizon = next((days for days in HORIZONS if span >= days * _WINDOWS_NEEDED), None)
    if horizon is None:
        raise LogTooShortError(
            "the log is too short for a taxonomy: days before the instant",
            value=span,
            valid=(f"at least {_WINDOWS_NEEDED}",),
        )
    acts = known.filter(duckdb.ColumnExpression("kind").isin(*[duckdb.ConstantExpression(k) for k in act]))
    counted = acts.query(
        "acts",
        "select category, count(distinct account) from acts where category is not null "
        "group by 1 order by 2 desc, 1",
    ).fetchall()
    holds = _filled(acts)
    if act[0] in COMMERCE_KINDS and not first.keys().isdisjoint(INTEREST_KINDS):
        holds |= {"interest"}
    return Profile(as_of, act, dict(counted), holds, horizon, int(span))


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
