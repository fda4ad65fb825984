"""Touches: the times a note reached somebody, seen or clicked, organic or paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from features.days import DAY_SECONDS
from features.events import CAMPAIGNS, ITEMS, NOTES
from features.joins import relation_of
from features.small_tables import columns_of, encoded, one_of

CLICK_WITHIN: Final = DAY_SECONDS
"""Seconds within which a click belongs to the impression before it."""

NAMES: Final = ("account", "platform", "note", "creator", "campaign", "brand", "category")
"""Columns of touches that hold names, stored as dictionaries."""

# A click and the impression just before it, of the same account and note, are one touch of kind click.
_TOUCHES: Final = """
with acts as (
    select event_id, account, platform, note, event_time, kind = 'click' as click, creator, campaign, brand,
        category, coalesce(cost_micros, 0) as cost_micros
    from events_ where kind in ('impression', 'click') and note is not null
        and event_time >= {first} and event_time < {last} and arrived_at <= {known_at}
), catalogue as (
    select notes.note, notes.creator, notes.category, coalesce(notes.paid, false) as paid,
        case when notes.paid then notes.campaign end as campaign,
        coalesce(notes.brand, items.brand, campaigns.brand) as brand
    from notes left join items using (item) left join campaigns using (campaign)
), said as (
    select note, coalesce(min(campaigns.brand), min(acts.brand)) as brand
    from acts left join campaigns using (campaign) group by note
), known as (
    select note, c.creator, c.category, c.paid, c.campaign, coalesce(c.brand, said.brand) as brand
    from said left join catalogue c using (note)
), stepped as (
    select acts.*, lag(acts) over step as shown,
        click and not lag(click) over step and event_time - lag(event_time) over step <= {within} as absorbs,
        not click and lead(click) over step and lead(event_time) over step - event_time <= {within} as absorbed
    from acts where note in (select note from known where {brand_wanted})
    window step as (partition by account, note order by event_time, click, event_id)
), touches as (
    select event_id, event_time as time, account, platform, note, known.brand,
        coalesce(s.creator, if(absorbs, shown.creator, null), known.creator) as creator,
        coalesce(s.campaign, if(absorbs, shown.campaign, null), known.campaign) as campaign,
        coalesce(s.category, if(absorbs, shown.category, null), known.category) as category,
        click, coalesce(known.paid, false) as advertised,
        cast(not click or coalesce(absorbs, false) as bigint) as impressions,
        s.cost_micros + if(absorbs, shown.cost_micros, 0) as cost_micros
    from stepped s join known using (note)
    where not coalesce(absorbed, false) and event_time >= {start} and event_time < {end}
)
select event_id, time, account, platform, note, creator, campaign, brand, category, click,
    campaign is not null or cost_micros > 0 or advertised as paid, impressions, cost_micros
from touches where brand is not null
order by time, event_id
"""


def read_touches(
    events: Any,
    notes: Any | None = None,
    *,
    start: int,
    end: int,
    known_at: int,
    brands: Sequence[str] = (),
    items: Any | None = None,
    campaigns: Any | None = None,
) -> pa.Table:
    """Read the touches of brands' notes in a stretch of time.

    A touch is an impression (a view) or a click of a note. A click takes in the impression of that note that the
    account saw just before it, at most `CLICK_WITHIN` seconds earlier: together they are one touch, of kind click,
    at the click's time, with the cost of both. A second click after one impression is a touch of its own.

    Parameters
    ----------
    events
        DuckDB relation, frame or Arrow table with the canonical columns of the events.
    notes, items, campaigns
        Canonical tables (relation, frame or Arrow table), or None. A note is of its own brand, else of that of the
        item behind its link, else of its campaign's; else of the one that its events name. A paid note's touches
        are its campaign's where the event names none.
    start, end
        Epoch seconds: touches from `start` on and before `end`.
    known_at
        When the report is made: only events before it that had arrived by it count.
    brands
        Only touches of these; of all where empty. A note that no brand can be found for is left out.

    Returns
    -------
    pa.Table
        Ordered by ``time``, then ``event_id``: ``event_id, time, account, platform, note, creator, campaign, brand,
        category`` (names as dictionaries), ``click`` (else a view), ``paid`` (a campaign is named, it cost
        something, or the note is an advertisement), ``impressions`` (1, or 0 for a click without one) and
        ``cost_micros``. So sums over touches are sums over events.
    """
    question = _TOUCHES.format(
        first=int(start) - CLICK_WITHIN,
        # An impression at the end belongs to a click after it, which is another stretch's touch.
        last=min(int(end) + CLICK_WITHIN, int(known_at)),
        start=int(start),
        end=int(end),
        known_at=int(known_at),
        within=CLICK_WITHIN,
        brand_wanted=one_of("brand", brands),
    )
    # DuckDB finds the small tables by their names.
    notes = columns_of(notes, NOTES, ("note", "creator", "category", "brand", "item", "campaign", "paid"))
    items = columns_of(items, ITEMS, ("item", "brand"))
    campaigns = columns_of(campaigns, CAMPAIGNS, ("campaign", "brand"))
    return encoded(relation_of(events).query("events_", question), NAMES)
