"""What a contribution report is asked: which brand, which days, which windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, cast

from features.days import DAY_SECONDS, day_text
from features.errors import ContributionError
from features.paths.paths import BY, By, Windows

CLICK_DAYS: Final = (7, 15, 30)
VIEW_DAYS: Final = (1, 7)
_NEAREST: Final = 5

_BRANDS: Final = """
with named as (
    select coalesce(n.brand, i.brand, e.brand) as brand, e.kind, e.note
    from events_ e left join (select note, brand, item from notes) n using (note)
        left join (select item, brand from items) i on i.item = coalesce(e.item, n.item)
    where e.kind in ('impression', 'click', 'purchase')
)
select brand, count(distinct note)::bigint as notes, count(*) filter (kind = 'impression')::bigint as impressions,
    count(*) filter (kind = 'purchase')::bigint as purchases
from named where brand is not null group by brand order by impressions desc, purchases desc, brand
"""


@dataclass(frozen=True)
class Brand:
    """A brand as the log knows it: notes that acted, impressions and purchase lines."""

    name: str
    notes: int
    impressions: int
    purchases: int


@dataclass(frozen=True)
class Question:
    """What is reported on.

    Parameters
    ----------
    brand
        Whose notes.
    start, end
        Epoch seconds, half open: whole days of the log's zone.
    as_of
        The report is made then: only what had happened before and arrived by then counts.
    by
        Whether the touch (``click_date``) or the order (``order_date``) lies in the period.
    windows
        Post-click and post-view.
    """

    brand: str
    start: int
    end: int
    as_of: int
    by: By
    windows: Windows

    @property
    def matures(self) -> int:
        """When the windows of all touches of the period are over, epoch seconds."""
        return self.end + self.windows.longest

    @property
    def days_open(self) -> int:
        """Days until then, 0 if they are over."""
        return max(-(-(self.matures - self.as_of) // DAY_SECONDS), 0)


def question_of(
    brands: Sequence[Brand],
    brand: str,
    *,
    start: int,
    end: int,
    as_of: int,
    timezone: str,
    by: str = "click_date",
    click_days: int = 15,
    view_days: int = 1,
) -> Question:
    """Check what was asked.

    Parameters
    ----------
    brands
        Brands of the log, see `brands_of`.
    brand, start, end, as_of, by
        As in `Question`.
    timezone
        In which days are named.
    click_days, view_days
        Windows, of `CLICK_DAYS` and `VIEW_DAYS`.

    Raises
    ------
    ContributionError
        The log has no such brand, no day is left in the period, or a window is none of those.
    """
    if by not in BY:
        raise ContributionError("unknown way to date conversions", value=by, valid=BY)
    for what, days, valid in (("post-click", click_days, CLICK_DAYS), ("post-view", view_days, VIEW_DAYS)):
        if days not in valid:
            raise ContributionError(f"unknown {what} window in days", value=days, valid=valid)
    names = [known.name for known in brands]
    if brand not in names:
        near = get_close_matches(brand, names, _NEAREST, 0.5) or names[:_NEAREST]
        raise ContributionError(
            "the log has no such brand", value=brand, valid=near,
            next_step="zhongcao contribution without --brand lists all",
        )  # fmt: skip
    if end <= start:
        raise ContributionError(
            "no day lies in the period", value=f"{day_text(start, timezone)} to {day_text(end - 1, timezone)}",
            next_step="let --to be the day of --from or a later one",
        )  # fmt: skip
    if start >= as_of:
        raise ContributionError(
            "the period begins when the report is made, or later", value=day_text(start, timezone),
            next_step=f"let --from be before {day_text(as_of, timezone)}, or name a later --as-of",
        )  # fmt: skip
    # Of the days to come there is nothing to count: cost and credit up to now belong together.
    return Question(brand, start, min(end, as_of), as_of, cast(By, by), Windows(click_days, view_days))


def brands_of(events: Any, notes: Any, items: Any) -> list[Brand]:  # noqa: ARG001  (DuckDB finds them by name)
    """Return the brands that notes or purchases of a log name, those with the most impressions first."""
    return [Brand(*row) for row in events.query("events_", _BRANDS).fetchall()]
