"""Conversions: what was bought of a brand, order by order, net of refunds, and how the person came to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import duckdb
import pyarrow as pa

from features.days import DAY_SECONDS
from features.errors import FeatureError
from features.events import ITEMS, NOTES
from features.joins import relation_of
from features.people.ownership import owners
from features.small_tables import columns_of, one_of

PER: Final = ("brand", "item")
Per = Literal["brand", "item"]

# Orders are compared column by column: in a comparison of rows DuckDB has two missing orders equal.
# All lines of an order with a line of the brand: a refund that names only the order is spread over all of them.
_LINES: Final = """
with bought as (
    select e.event_id, e.event_time, e.platform, e.account, e."order", e.item, e.note,
        coalesce(e.amount, 0) as amount, coalesce(e.brand, items.brand) as brand
    from events_ e left join items using (item)
    where kind = 'purchase' and event_time < {known_at} and arrived_at <= {known_at}
), judged as (
    select *, coalesce(brand is not null and {brand_wanted}, false) as wanted from bought
)
select * from judged j where wanted or exists (
    select 1 from judged o where o.wanted
        and o.platform = j.platform and o.account = j.account and o."order" = j."order")
"""

_REFUNDS: Final = """
select e.event_id, e.event_time, e.platform, e.account, e."order", e.item, coalesce(e.brand, items.brand) as brand,
    coalesce(e.amount, 0) as amount
from events_ e left join items using (item)
where kind = 'refund' and event_time < {known_at} and arrived_at <= {known_at}
"""

_SEARCHES: Final = """
with searches as (
    select account, event_time, brand, topic from events_
    where kind = 'search' and event_time < {known_at} and arrived_at <= {known_at}
), topics as (select distinct topic, brand from notes where brand is not null)
select account, event_time, brand from searches where brand is not null
union select account, event_time, topic from searches where topic is not null
union select s.account, s.event_time, t.brand from searches s join topics t using (topic)
"""

# A refund is spread over the lines that it names in proportion to what was paid, by rounding the running total:
# the parts add up to it.
GIVEN_BACK: Final = """
with matched as (
    select r.event_id as refund, r.amount as given, l.event_id, l.amount as paid
    from refunds r join lines l on r.platform = l.platform and r.account = l.account and r."order" = l."order"
        and (r.item is null or r.item = l.item) and (r.brand is null or r.brand = l.brand)
), weighed as (
    select refund, event_id, given::hugeint as given,
        if(sum(paid) over (partition by refund) = 0, 1, paid)::hugeint as weight from matched
), running as (
    select refund, given, event_id, weight, sum(weight) over (partition by refund) as total,
        sum(weight) over (partition by refund order by event_id) as upto from weighed
)
select refund, event_id, (given * upto // total - given * (upto - weight) // total)::bigint as refunded from running
"""
"""Over ``lines`` and ``refunds`` with ``event_id, platform, account, order, item, brand, amount``."""

_ORDERS: Final = """
with back as (select event_id, sum(refunded) as refunded from given_back group by event_id)
select min(event_time) as time, min_by(event_id, (event_time, event_id)) as event_id, platform, account, "order",
    brand, {item} as item, list_sort(list_distinct(list(item) filter (item is not null))) as items,
    count(*)::bigint as lines, sum(amount)::bigint as paid, sum(coalesce(refunded, 0))::bigint as refunded,
    min_by(note, (event_time, event_id)) filter (note is not null) as note
from lines left join back using (event_id) where wanted
group by platform, account, "order", coalesce("order", event_id), brand, {item}
having min(event_time) >= {start} and min(event_time) < {end}
"""

_CONVERSIONS: Final = """
with theirs as (
    select o.event_id, o.time, o.brand, who.person, other.account
    from orders o join owned who on who.account = o.account and o.time >= who.since and o.time < who.until
    join owned other on other.person = who.person and o.time >= other.since and o.time < other.until
        and (not who.refuses or other.account = who.account)
), bought as (
    select t.event_id, t.person, max(l.event_time) as bought_at
    from theirs t asof left join lines l on t.account = l.account and t.brand = l.brand and t.time > l.event_time
    group by all
), searched as (
    select t.event_id, max(s.event_time) as searched_at
    from theirs t asof left join searches s on t.account = s.account and t.brand = s.brand and t.time > s.event_time
    group by all
)
select o.time, o.event_id, o.platform, o.account, person, o."order", o.brand, o.item, o.items, o.lines, o.paid,
    o.refunded, greatest(o.paid - o.refunded, 0) as value, o.note,
    case when o.note is not null then 'direct' when searched_at >= o.time - {search} then 'search_back'
        else 'other' end as entry,
    coalesce(bought_at < o.time - {new}, true) as new_customer
from orders o join bought using (event_id) join searched using (event_id)
order by o.time, o.event_id
"""

_UNMATCHED: Final = """
select event_id, event_time as time, brand, amount from refunds
where {brand_wanted} and event_time >= {start} and event_time < {end}
    and event_id not in (select refund from given_back)
order by time, event_id
"""


@dataclass(frozen=True)
class Conversions:
    """Orders of brands in a stretch of time.

    Parameters
    ----------
    table
        One row per order and brand (or item), ordered by ``time``, then ``event_id`` (of the first line):
        ``time``, ``event_id``, ``platform``, ``account``, ``person`` (as of the time), ``order``, ``brand``,
        ``item`` (null per brand), ``items`` (what was bought), ``lines``, ``paid``, ``refunded`` and ``value`` in
        minor units (paid less refunded, but not below 0), ``note`` (whose link led here), ``entry`` (direct,
        search_back or other), ``new_customer``.
    unmatched
        Refunds of the brands in the stretch that name no line of a known order: ``event_id``, ``time``, ``brand``
        and ``amount``. They lower no value.
    """

    table: pa.Table
    unmatched: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)


def read_conversions(
    events: Any,
    identities: Any | None = None,
    *,
    start: int,
    end: int,
    known_at: int,
    brands: Sequence[str] = (),
    notes: Any | None = None,
    items: Any | None = None,
    per: Per = "brand",
    new_days: int = 365,
    search_days: int = 7,
) -> Conversions:
    """Read what was bought of brands in a stretch of time.

    Purchase lines with the same platform, account and order are one order; a line without an order is one of its
    own. A refund lowers the lines of the order that it names (of its item and brand, where it names them), whenever
    it came, if it was known.

    Parameters
    ----------
    events
        DuckDB relation, frame or Arrow table with the canonical columns of the events.
    identities, notes, items
        Canonical tables (relation, frame or Arrow table), or None. Items say the brand of a line that names none,
        notes the topics that a search for the brand may name. Of people who refuse to be personalised, accounts are
        not looked at together.
    start, end
        Epoch seconds: orders whose first line was paid from `start` on and before `end`.
    known_at
        When the report is made: only events before it that had arrived by it count.
    brands
        Only these; all where empty.
    per
        One conversion per order and ``brand``, or per order and ``item``.
    new_days
        A customer is new without a purchase of the brand, on any account, in the `new_days` × 86,400 seconds before
        the order. A purchase at the far edge of that stretch counts, one in the order's own second does not.
    search_days
        An order without a note's link is search-back if the person searched for the brand, or for a topic of its
        notes, in the `search_days` × 86,400 seconds before it, with the same edges.

    Raises
    ------
    FeatureError
        `per` is unknown.
    """
    if per not in PER:
        raise FeatureError("unknown grain of conversions", value=per, valid=PER)
    relation = relation_of(events)
    wanted = {"brand_wanted": one_of("brand", brands), "known_at": int(known_at)}
    # DuckDB finds the small tables by their names.
    items = columns_of(items, ITEMS, ("item", "brand"))
    notes = columns_of(notes, NOTES, ("note", "topic", "brand"))
    tables = {
        "lines": relation.query("events_", _LINES.format(**wanted)).to_arrow_table(),
        "refunds": relation.query("events_", _REFUNDS.format(**wanted)).to_arrow_table(),
        "searches": relation.query("events_", _SEARCHES.format(**wanted)).to_arrow_table(),
    }
    accounts = pa.chunked_array(
        [*tables["lines"]["account"].chunks, *tables["searches"]["account"].chunks], pa.string()
    )
    with duckdb.connect() as con:
        for name, table in (tables | {"owned": owners(accounts, identities, known_at, con)}).items():
            con.register(name, table)
        con.sql(GIVEN_BACK).to_table("given_back")
        span = {"start": int(start), "end": int(end)}
        con.sql(_ORDERS.format(item="null::varchar" if per == "brand" else "item", **span)).to_table("orders")
        days = {"search": search_days * DAY_SECONDS, "new": new_days * DAY_SECONDS}
        table = con.sql(_CONVERSIONS.format(**days)).to_arrow_table()
        unmatched = con.sql(_UNMATCHED.format(**span, **wanted)).to_arrow_table()
    return Conversions(table, unmatched)
