"""What may answer an impression, read from the log: the impressions in question and the events after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import FeatureError
from features.events import NOTE_ITEMS
from features.impressions.table import Impressions
from features.joins import relation_of
from features.people.person_links import PersonLinks
from features.small_tables import columns_of

Match = Literal["note", "brand", "items"]
MATCHES: Final = ("note", "brand", "items")

_TOUCHES: Final = """
select e.event_time as time, e.account, e.note, e.brand, e.prediction_id, r.row
from (select * from events_ where kind = 'impression' and note is not null and arrived_at <= {known_at}
    and event_time >= {start} and event_time < {end}) e
left join rows_ r using (event_id)
where r.row is not null or e.note in (select note from rows_) or e.brand in (select brand from rows_)
order by e.event_time, e.event_id
"""
_ANSWERS: Final = """
with answers as (
    select case when kind = 'read' then 'deep_read' else kind end as kind, event_time as time, arrived_at, account,
        note, brand, item, "order", prediction_id
    from events_
    where kind in ('click', 'read', 'save', 'comment', 'share', 'follow', 'search', 'link_click', 'store_visit',
            'cart', 'purchase')
        and (kind <> 'read' or coalesce(dwell_ms, 0) >= 5000 or coalesce(read_percent, 0) >= 50)
        and event_time >= {start} and event_time < {end} and arrived_at <= {known_at}
), {refunds} numbered as (
    select row_number() over () as event, * from answers {kept}
)
select event, kind, time, arrived_at, account, prediction_id, note, brand
from numbered where (kind not in ('store_visit', 'cart', 'purchase') or {by_note})
    and (note in (select note from rows_) or brand in (select brand from rows_))
{by_items}
"""
_REFUNDS: Final = """
refunds as (
    select distinct account, "order", item from events_
    where kind = 'refund' and "order" is not null and arrived_at <= {known_at}
),
"""
_KEPT: Final = """
where kind <> 'purchase' or not exists (
    select 1 from refunds r where r.account = answers.account and r."order" = answers."order"
        and (r.item is null or answers.item is null or r.item = answers.item)
)
"""
_BY_ITEMS: Final = """
union all
select event, kind, time, arrived_at, account, prediction_id, l.note, null as brand
from numbered join (select distinct note, item from links_ where note in (select note from rows_)) l using (item)
where kind in ('store_visit', 'cart', 'purchase')
"""


@dataclass(frozen=True)
class Material:
    """Impressions and events that may answer them, each with its person.

    Parameters
    ----------
    touches
        ``time``, ``note``, ``brand``, ``prediction_id``, ``row`` (null for an impression that is none of the asked
        ones), ``person`` and ``held`` (since when the account is that person's), by time and event id.
    answers
        ``event`` (its number; with match ``items`` an event stands once per note that links its item), ``kind``,
        ``time``, ``known_at``, ``note``, ``brand``, ``prediction_id``, ``person``, ``account``, ``held``.
    """

    touches: pa.Table
    answers: pa.Table


def read_material(
    events: Any,
    identities: Any | None,
    impressions: Impressions,
    *,
    longest: int,
    match: Match,
    note_items: Any | None,
    net_of_refunds: bool,
    span: tuple[int, int],
) -> Material:
    """Read what `features.impressions.responses.responses` matches.

    Parameters
    ----------
    longest
        Longest window in seconds; the others as there.

    Raises
    ------
    FeatureError
        The match is unknown, or no item of any note is known to match by.
    """
    if match not in MATCHES:
        raise FeatureError("unknown way to match events with impressions", value=match, valid=MATCHES)
    relation, known_at = relation_of(events), impressions.known_at
    # What a click of before the first impression led to belongs to that click.
    bounds = {"start": span[0] - longest, "end": span[1] + longest, "known_at": known_at}
    rows_ = impressions.table.select(["event_id", "note", "brand"]).append_column(  # noqa: F841
        "row", pa.array(np.arange(len(impressions)))
    )
    links_ = _links(note_items, impressions) if match == "items" else None  # noqa: F841
    touches = relation.query("events_", _TOUCHES.format(**bounds)).to_arrow_table()
    answers = relation.query(
        "events_",
        _ANSWERS.format(
            refunds=_REFUNDS.format(**bounds) if net_of_refunds else "",
            kept=_KEPT if net_of_refunds else "",
            by_note="true" if match != "items" else "false",
            by_items=_BY_ITEMS if match == "items" else "",
            **bounds,
        ),
    ).to_arrow_table()
    links = PersonLinks(identities, known_at)
    return Material(_owned(touches, links, known_at), _owned(answers, links, known_at))


def _owned(table: pa.Table, links: PersonLinks, at: int) -> pa.Table:
    persons, since = links.present(table["account"].combine_chunks(), at)
    return table.append_column("person", persons).append_column("held", pa.array(since))


def _links(note_items: Any | None, impressions: Impressions) -> pa.Table:
    """Items that notes link: those of the table, and the one that each impression names."""
    own = impressions.table.select(["note", "item"]).filter(pc.is_valid(impressions.table["item"]))
    links = pa.concat_tables([columns_of(note_items, NOTE_ITEMS, ("note", "item")).cast(own.schema), own])
    if not links.num_rows:
        raise FeatureError(
            "events cannot be matched by items: no item of any note is known", next_step="pass note_items"
        )
    return links
