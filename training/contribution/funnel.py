"""The funnel of a brand's notes: seen, clicked, won, jumped, entered, bought, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS, day_of
from features.errors import FeatureError
from features.people.ownership import owners
from training.contribution.funnel_query import funnel_query

Basis = Literal["click_date", "order_date"]
BASES: Final[tuple[Basis, ...]] = ("click_date", "order_date")
_SPENT: Final = pa.schema([("campaign", pa.string()), ("day", pa.int32()), ("cost_micros", pa.int64())])


@dataclass(frozen=True)
class Funnel:
    """Counts of one note, creator, campaign or day, or of everything; `people` are counted once in each.

    Parameters
    ----------
    by, key
        What the counts are of: ``all``, ``note``, ``creator``, ``campaign`` or ``day`` (days since 1970-01-01) and
        which; None where an act named none.
    impressions, reached
        Times shown; people who saw it.
    clicks, clickers
        Times opened; people who did.
    open_clicks
        Clicks whose window was not over: what follows them is still to come.
    deep_reads, deep_acts
        Reads of at least 5 s or half of it; saves, comments, shares, follows.
    true_interest
        People with either after the click, or who searched for the brand within the window.
    hides
        Times hidden.
    link_clicks, bounces
        Jumps to the shop; those not followed within half an hour by entering it. A visit through the link by an
        account that is known in the shop alone stands for one jump whose person is not known there.
    store_visits, carts, orders, revenue
        What came through the note's link; revenue in minor units, refunds of these orders taken off.
    entered, searched, bought, bought_new
        People who clicked and within the window entered the brand's shop, searched for the brand, bought it, and
        bought it for the first time, by whatever way; with them who came through the link.
    clickers_won, clickers_entered, clickers_searched
        Those of `clickers` who did so within the window after a click of the period: what the rates are made of. A
        visit through the link by an account that is known in the shop alone is one of theirs, too.
    cost_micros
        Millionths of a currency unit: that of the impressions, and the spending of campaigns whose impressions name
        no cost.
    """

    by: str
    key: str | None
    impressions: int = 0
    reached: int = 0
    clicks: int = 0
    clickers: int = 0
    open_clicks: int = 0
    deep_reads: int = 0
    deep_acts: int = 0
    true_interest: int = 0
    hides: int = 0
    link_clicks: int = 0
    bounces: int = 0
    store_visits: int = 0
    entered: int = 0
    searched: int = 0
    carts: int = 0
    orders: int = 0
    revenue: int = 0
    bought: int = 0
    bought_new: int = 0
    clickers_won: int = 0
    clickers_entered: int = 0
    clickers_searched: int = 0
    cost_micros: int = 0

    @property
    def rates(self) -> dict[str, float]:
        """Shares, NaN where nobody is counted: see the names in ``docs/contribution.md``.

        Examples
        --------
        >>> Funnel("all", None, clicks=10, clickers=8, clickers_entered=2).rates["store_entry_rate"]
        0.25
        """
        return {
            "click_rate": _share(self.clicks, self.impressions),
            "true_interest_rate": _share(self.clickers_won, self.clickers),
            "store_entry_rate": _share(self.clickers_entered, self.clickers),
            "search_back_rate": _share(self.clickers_searched, self.clickers),
            "bounce_rate": _share(self.bounces, self.link_clicks),
            "hide_rate": _share(self.hides, self.impressions),
            "new_customer_share": _share(self.bought_new, self.bought),
        }

    def cost(self, minor_digits: int) -> int:
        """Return the cost in minor units, rounded half up."""
        unit = int(10 ** (6 - minor_digits))
        return (2 * self.cost_micros + unit) // (2 * unit)

    def cost_per_entry(self, minor_digits: int) -> float:
        """Return minor units per person who entered the shop 进店成本; NaN where nobody did."""
        return self.cost_micros / 10 ** (6 - minor_digits) / self.entered if self.entered else math.nan

    def counts(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: value for name, value in asdict(self).items() if name not in {"by", "key"}}


def funnel(
    events: Any,
    *,
    identities: Any,
    notes: Any,  # noqa: ARG001  (DuckDB finds tables by their names)
    items: Any,  # noqa: ARG001
    campaigns: Any,  # noqa: ARG001
    spend: pa.Table,
    brand: str,
    start: int,
    end: int,
    as_of: int,
    timezone: str,
    minor_digits: int = 2,
    post_click_days: int = 15,
    by: Basis = "click_date",
) -> list[Funnel]:
    """Count what happened with a brand's notes in a period, in one pass over the log.

    A note is the brand's if the notes table says so, or the item behind its link is; else if its campaign is; else
    if the event names the brand. An event is of the person who owned its account at its time. Accounts of somebody
    who refuses to be personalised are not looked at together, and nobody is followed from their clicks.

    Parameters
    ----------
    events
        A DuckDB relation of canonical events.
    identities, notes, items, campaigns
        Canonical tables, relations on the same connection or Arrow tables.
    spend
        Canonical rows of spending.
    brand
        Whose notes.
    start, end
        Period in epoch seconds, half open.
    as_of
        Only what had happened before and arrived by then is read.
    timezone
        The log's.
    minor_digits
        Decimals of its currency.
    post_click_days
        Window after a click.
    by
        ``click_date``: clicks of the period and what followed them, whenever it came. ``order_date``: what happened
        in the period within the window after a click. Impressions, clicks, hides, jumps, cost and the shares of
        the people who clicked are of the period either way.

    Returns
    -------
    list of Funnel
        One for everything, then per note, creator, campaign and day that something happened with.

    Raises
    ------
    FeatureError
        The basis is unknown or the period is empty.
    """
    if by not in BASES:
        raise FeatureError("unknown basis of a period", value=by, valid=BASES)
    if end <= start:
        raise FeatureError("the period is empty", value=(start, end), next_step="let it end after it starts")
    owned = owners(pa.array([], pa.string()), identities, as_of)  # noqa: F841
    spent = _spent(spend, start, end, as_of, timezone, minor_digits)  # noqa: F841
    query = funnel_query(
        brand,
        start=start,
        end=end,
        as_of=as_of,
        window=post_click_days * DAY_SECONDS,
        by_click=by == "click_date",
    )
    return _read(events.query("events_", query).to_arrow_table())


def _read(table: pa.Table) -> list[Funnel]:
    names = {field.name for field in fields(Funnel)}
    found = [Funnel(**{k: v for k, v in row.items() if k in names}) for row in table.to_pylist()]
    if not found:
        return [Funnel("all", None)]
    order = ("all", "note", "creator", "campaign", "day")
    return sorted(found, key=lambda row: order.index(row.by))


def _spent(spend: pa.Table, start: int, end: int, as_of: int, timezone: str, minor_digits: int) -> pa.Table:  # noqa: PLR0917
    inside = (pc.field("spent_at") >= start) & (pc.field("spent_at") < end) & (pc.field("arrived_at") <= as_of)
    known = spend.filter(inside)
    micros = pc.multiply(known["amount"], 10 ** (6 - minor_digits))
    days = pa.array(day_of(known["spent_at"].to_numpy(), timezone), pa.int32())
    return pa.table([known["campaign"], days, micros], schema=_SPENT)


def by_key(rows: Sequence[Funnel], by: str) -> dict[str | None, Funnel]:
    """Return the rows of one grouping by their key."""
    return {row.key: row for row in rows if row.by == by}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
