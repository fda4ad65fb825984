"""The question behind the funnel: every act of a brand's notes as one long table, grouped five ways in one pass."""

from __future__ import annotations

from typing import Final

from features.paths.conversions import GIVEN_BACK

SESSION_SECONDS: Final = 1_800
"""After so long without entering the shop, a jump from a note's link was a bounce."""

DEEP_ACTS: Final = ("save", "comment", "share", "follow")
"""Deep interactions 深度互动; a search of the brand after the click is one too."""

_BRAND_ACTS: Final = ("store_visit", "item_view", "favourite", "cart", "purchase", "search")

# An event is of whoever owned its account at its time; each account of somebody who refuses is somebody of its own.
# It belongs to the brand of its note; without a note, to the brand that it names or its item is of. An act on a
# note that names no campaign is of the one that showed the note.
_KNOWN: Final = """
with known_notes as (
    select n.note, n.creator, n.campaign, coalesce(n.brand, linked.brand, c.brand) as brand
    from notes n left join items linked using (item) left join campaigns c on c.campaign = n.campaign
), picked as materialized (
    select event_id, kind, event_time, day, platform, account, note, creator, campaign, brand, "order", item,
        amount, cost_micros, dwell_ms, read_percent
    from events_ where event_time < {as_of} and arrived_at <= {as_of} and kind <> 'refund' and (
        brand = {brand} or note in (select note from known_notes where brand = {brand})
        or campaign in (select campaign from campaigns where brand = {brand})
        or brand is null and item in (select item from items where brand = {brand}))
), named as materialized (
    select e.event_id, e.kind, e.event_time as moment, e.day, e.platform, e.account,
        case when o.refuses then e.account else coalesce(o.person, e.account) end as person,
        coalesce(o.refuses, false) as refuses, e.note,
        coalesce(e.creator, n.creator) as creator,
        e.campaign,
        coalesce(e.note, e.campaign) is not null and coalesce(n.brand, c.brand, e.brand) = {brand} as of_note,
        coalesce(e.brand, i.brand) = {brand} as of_brand,
        e."order" as bill, e.item, e.amount, e.cost_micros,
        coalesce(e.dwell_ms, 0) >= 5000 or coalesce(e.read_percent, 0) >= 50 as deep
    from picked e
        left join owned o on o.account = e.account and e.event_time >= o.since and e.event_time < o.until
        left join known_notes n on n.note = e.note
        left join campaigns c on c.campaign = e.campaign
        left join items i on i.item = e.item
), known as materialized (
    select n.* replace (coalesce(n.campaign, s.campaign) as campaign)
    from named n asof left join (select * from named where kind = 'impression' and note is not null) s
        on s.person = n.person and s.note = n.note and s.moment <= n.moment
)
"""

# A click is followed for {window} seconds. By click date the click lies in the period and what follows it counts
# whenever it came; by order date what follows lies in the period and the click may lie before it. Shares of the
# people who clicked are of the period's clicks either way (`after`). An act that names the note but has no known
# click (the shop account was never linked) counts by its own time.
_ACTS: Final = """
, clicks as materialized (
    select * from known where of_note and kind = 'click' and moment >= {start} - {before} and moment < {end}
), acts as materialized (
    select kind, moment, day, person from known where (of_brand or of_note) and kind in ({brand_acts})
), firsts as materialized (
    select person, min(moment) as moment from acts where kind = 'purchase' group by person
), after as materialized (
    select c.note, c.creator, c.campaign, c.day, c.person, a.kind from clicks c join acts a on a.person = c.person
        and a.moment >= c.moment and a.moment < c.moment + {window} and not c.refuses
    where c.moment >= {start} and a.kind in ('store_visit', 'search')
), followed as materialized (
    select c.note, c.creator, c.campaign, c.person, case when {by_click} then c.day else a.day end as day,
        a.kind, a.kind = 'purchase' and f.moment >= c.moment as new
    from clicks c join acts a on a.person = c.person and a.moment >= c.moment and a.moment < c.moment + {window}
            and not c.refuses
        left join firsts f on f.person = c.person
    where case when {by_click} then c.moment else a.moment end between {start} and {end} - 1
), direct as (
    select a.*, c.moment as clicked, c.day as clicked_day
    from known a asof left join (select * from known where of_note and kind = 'click') c
        on c.person = a.person and c.note = a.note and c.moment <= a.moment
    where a.of_note and a.kind not in ('impression', 'click', 'hide', 'link_click')
), through as materialized (
    select * exclude (day), coalesce(case when {by_click} then clicked_day end, day) as day from direct
    where coalesce(case when {by_click} then clicked end, moment) between {start} and {end} - 1
        and (clicked is null or moment < clicked + {window})
), orders as materialized (
    select e.event_id, e.kind, e.platform, e.account, e."order", e.item, coalesce(e.brand, i.brand) as brand,
        coalesce(e.amount, 0) as amount
    from events_ e left join items i on i.item = e.item
        semi join through t
            on t.kind = 'purchase' and t.platform = e.platform and t.account = e.account and t.bill = e."order"
    where e.kind in ('purchase', 'refund') and e.event_time < {as_of} and e.arrived_at <= {as_of}
), lines as (select * from orders where kind = 'purchase'
), refunds as (select * from orders where kind = 'refund'
), given_back as ({given_back}
), returned as (
    select t.note, t.creator, t.campaign, t.day, g.refunded from given_back g join through t using (event_id)
), jumps as materialized (
    select j.*, v.moment is not null and v.moment <= j.moment + {session} as entered
    from (select * from known where of_note and kind = 'link_click' and moment between {start} and {end} - 1) j
        asof left join (select person, moment from acts where kind = 'store_visit') v
        on v.person = j.person and v.moment >= j.moment
), strangers as (
    select * from known where of_note and kind = 'store_visit' and moment between {start} and {end} - 1
        and person not in (select person from known where of_note and kind in ('impression', 'click', 'link_click'))
)
"""

# One row per thing to count: its note, creator, campaign and day; who; how much.
_LONG: Final = """
, long as materialized (
    select kind as what, note, creator, campaign, day, person as who, 1 as n from known
    where of_note and kind in ('impression', 'click', 'hide') and moment between {start} and {end} - 1
    union all
    select 'cost', note, creator, campaign, day, null, cost_micros from known
    where of_note and kind = 'impression' and cost_micros > 0 and moment between {start} and {end} - 1
    union all  -- a campaign's spending counts where its impressions name no cost
    select 'cost', null, null, s.campaign, s.day, null, s.cost_micros from spent s
    where s.campaign in (select campaign from campaigns where brand = {brand}) and s.campaign not in (
        select campaign from known where of_note and cost_micros > 0 and campaign is not null)
    union all
    select 'open', note, creator, campaign, day, person, 1 from clicks
    where moment >= {start} and moment + {window} > {as_of}
    union all select 'link_click', note, creator, campaign, day, person, 1 from jumps
    union all
    select 'bounce', note, creator, campaign, day, person, 1 from jumps
    where not entered and moment + {session} < {as_of}
    union all  -- who is known in the shop alone jumped there under another account: one jump less was a bounce
    select 'bounce', note, creator, campaign, day, null, -1 from strangers
    union all
    select 'deep_read', note, creator, campaign, day, person, 1 from through where kind = 'read' and deep
    union all
    select 'deep_act', note, creator, campaign, day, person, 1 from through where kind in ({deep_acts})
    union all
    select 'won', note, creator, campaign, day, person, 1 from through
    where clicked is not null and (kind in ({deep_acts}) or kind = 'read' and deep)
    union all select 'won', note, creator, campaign, day, person, 1 from followed where kind = 'search'
    union all
    select 'clicker_won', note, creator, campaign, clicked_day, person, 1 from direct
    where (kind in ({deep_acts}) or kind = 'read' and deep) and clicked between {start} and {end} - 1
        and moment < clicked + {window}
    union all
    select unnest(if(kind = 'search', ['clicker_won', 'clicker_searched'], ['clicker_entered'])), note, creator,
        campaign, day, person, 1 from after
    union all
    select 'entered', note, creator, campaign, day, person, 1 from followed where kind = 'store_visit'
    union all
    select 'searched', note, creator, campaign, day, person, 1 from followed where kind = 'search'
    union all
    select 'bought', note, creator, campaign, day, person, 1 from followed where kind = 'purchase'
    union all select 'bought_new', note, creator, campaign, day, person, 1 from followed where new
    union all  -- whoever came through the link is there even where the shop account was never linked
    select case kind when 'purchase' then 'bought' else 'entered' end, note, creator, campaign, day, person, 1
    from through where kind in ('purchase', 'store_visit')
    union all
    select 'clicker_entered', note, creator, campaign, day, person, 1 from through
    where clicked is null and kind = 'store_visit'
    union all
    select 'bought_new', t.note, t.creator, t.campaign, t.day, t.person, 1
    from through t join firsts f on f.person = t.person
    where t.kind = 'purchase' and f.moment >= t.moment
    union all
    select kind, note, creator, campaign, day, person, 1 from through where kind in ('store_visit', 'cart')
    union all
    select 'order', note, creator, campaign, day, coalesce(platform || account || bill, event_id), 1
    from through where kind = 'purchase'
    union all
    select 'revenue', note, creator, campaign, day, null, amount from through where kind = 'purchase'
    union all
    select 'revenue', note, creator, campaign, day, null, -refunded from returned
)
"""

_COUNTS: Final = {
    "impressions": "sum(n) filter (what = 'impression')",
    "reached": "count(who) filter (what = 'impression')",
    "clicks": "sum(n) filter (what = 'click')",
    "clickers": "count(who) filter (what = 'click')",
    "open_clicks": "sum(n) filter (what = 'open')",
    "deep_reads": "sum(n) filter (what = 'deep_read')",
    "deep_acts": "sum(n) filter (what = 'deep_act')",
    "true_interest": "count(who) filter (what = 'won')",
    "hides": "sum(n) filter (what = 'hide')",
    "link_clicks": "sum(n) filter (what = 'link_click')",
    "clickers_won": "count(who) filter (what = 'clicker_won')",
    "clickers_entered": "least(count(who) filter (what = 'clicker_entered'), count(who) filter (what = 'click'))",
    "clickers_searched": "count(who) filter (what = 'clicker_searched')",
    "bounces": "greatest(sum(n) filter (what = 'bounce'), 0)",
    "store_visits": "sum(n) filter (what = 'store_visit')",
    "entered": "count(who) filter (what = 'entered')",
    "searched": "count(who) filter (what = 'searched')",
    "carts": "sum(n) filter (what = 'cart')",
    "orders": "count(who) filter (what = 'order')",
    "revenue": "sum(n) filter (what = 'revenue')",
    "bought": "count(who) filter (what = 'bought')",
    "bought_new": "count(who) filter (what = 'bought_new')",
    "cost_micros": "sum(n) filter (what = 'cost')",
}

# First to one row per person (or order), then to counts: people are counted once without sets of them.
_GROUPED: Final = """
, each as (
    select case when grouping(note) = 0 then 'note' when grouping(creator) = 0 then 'creator'
        when grouping(campaign) = 0 then 'campaign' when grouping(day) = 0 then 'day' else 'all' end as "by",
        coalesce(note, creator, campaign, cast(day as varchar)) as "key", what, who, sum(n) as n
    from long group by grouping sets (
        (what, who), (what, who, note), (what, who, creator), (what, who, campaign), (what, who, day))
)
select "by", "key", {counts} from each group by "by", "key" order by "by", "key"
"""


def funnel_query(brand: str, *, start: int, end: int, as_of: int, window: int, by_click: bool) -> str:
    """Return the question, over ``events_``, ``owned``, ``notes``, ``items``, ``campaigns`` and ``spent``.

    Parameters
    ----------
    brand
        Whose notes.
    start, end
        Epoch seconds, half open.
    as_of
        Only what had happened and arrived by then is read.
    window
        Seconds after a click.
    by_click
        Whether the click or what followed it lies in the period.
    """
    quoted = "'" + brand.replace("'", "''") + "'"
    return (_KNOWN + _ACTS + _LONG + _GROUPED).format(
        brand=quoted,
        start=int(start),
        end=int(end),
        as_of=int(as_of),
        window=int(window),
        before=0 if by_click else int(window),
        by_click="true" if by_click else "false",
        session=SESSION_SECONDS,
        given_back=GIVEN_BACK,
        brand_acts=", ".join(f"'{kind}'" for kind in _BRAND_ACTS),
        deep_acts=", ".join(f"'{kind}'" for kind in DEEP_ACTS),
        counts=", ".join(f"coalesce(cast({sql} as bigint), 0) as {name}" for name, sql in _COUNTS.items()),
    )
