"""Impressions of notes: to whom, when, of what, and what was known of the note."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.asof import Int64
from features.errors import FeatureError
from features.events import EVENTS, ITEMS, NOTES
from features.joins import relation_of
from features.people.person_links import PersonLinks, numbers_of
from features.small_tables import columns_of

_FROM_EVENTS: Final = (
    "event_id", "event_time", "day", "account", "note", "creator", "topic", "campaign", "brand", "category",
    "platform", "position", "cost_micros", "propensity", "prediction_id",
)  # fmt: skip
_NAMES: Final = {"event_time": "time"}
IMPRESSION_SCHEMA: Final = pa.schema(
    [
        *(pa.field(_NAMES.get(name, name), EVENTS.column(name).arrow) for name in _FROM_EVENTS[:4]),
        pa.field("person", pa.string()),
        *(pa.field(name, EVENTS.column(name).arrow) for name in _FROM_EVENTS[4:]),
        pa.field("media", pa.string()),
        pa.field("paid", pa.bool_()),
        pa.field("published_at", pa.int64()),
        pa.field("item", pa.string()),
        pa.field("price", pa.int64()),
    ]
)
"""Columns of `Impressions.table`; `price` is the list price of the item behind the note's link, in minor units."""

_SHOWN: Final = """
from (select * from events_ where kind in ({kinds}) and note is not null
    and event_time >= {start} and event_time < {end} and arrived_at <= {known_at}) e
asof left join ({notes}) n on e.note = n.note and e.event_time >= n.since
"""
_QUERY: Final = """
select {columns}, e.campaign is not null or coalesce(n.paid, false) as paid,
    n.media, n.published_at, n.item, i.price
{shown}
asof left join ({items}) i on n.item = i.item and e.event_time >= i.since
{only}
order by e.event_time, e.event_id
"""
# The first version that came to be known stands for the time before: catalogues often come with their import.
_VERSIONS: Final = """
select *, case when lag(arrived_at) over versions is null then 0 else arrived_at end as since
from {table} where arrived_at <= {known_at} window versions as (partition by {key} order by arrived_at)
"""
_PAID: Final = "where e.campaign is not null or coalesce(n.paid, false)"
_NOTE_COLUMNS: Final = ("note", "arrived_at", "media", "paid", "published_at", "item")
_ITEM_COLUMNS: Final = ("item", "arrived_at", "price")


@dataclass(frozen=True)
class Impressions:
    """Impressions in the order of time, then event id.

    Parameters
    ----------
    table
        n rows, schema ``IMPRESSION_SCHEMA``. ``person`` is whose the account was at that time; ``paid`` says that
        a campaign paid for it or that the note is an advertisement.
    timezone
        The log's time zone.
    known_at
        Only what had arrived by then was read.
    """

    table: pa.Table
    timezone: str
    known_at: int

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def times(self) -> Int64:
        """Epoch seconds of the impressions."""
        return numbers_of(self.table["time"])

    def take(self, rows: npt.ArrayLike) -> Impressions:
        """Return the given rows in the given order."""
        chosen = pa.array(np.asarray(rows, np.int64))
        return Impressions(self.table.take(chosen), self.timezone, self.known_at)

    def by_person(self, size: int) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the sorted row numbers of parts of about `size` rows, a person's rows always together.

        Examples
        --------
        >>> table = IMPRESSION_SCHEMA.empty_table().select(["person"])
        >>> table = pa.table({"person": ["ann", "bob", "ann", "zoe"]})
        >>> [rows.tolist() for rows in Impressions(table, "UTC", 0).by_person(3)]
        [[0, 1, 2], [3]]
        """
        persons = self.table["person"].combine_chunks().dictionary_encode()
        codes = numbers_of(persons.indices)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(persons.dictionary)))
        start = 0
        while start < len(order):
            whole = ends[(ends > start) & (ends <= start + size)]
            end = int(whole[-1]) if len(whole) else int(ends[np.searchsorted(ends, start, side="right")])
            yield np.sort(order[start:end])
            start = end


def read_impressions(
    events: Any,
    identities: Any | None,
    notes: Any,
    *,
    start: int,
    end: int,
    known_at: int,
    timezone: str,
    items: Any | None = None,
    paid_only: bool = False,
) -> Impressions:
    """Read the impressions of notes in a stretch of time.

    Parameters
    ----------
    events
        Canonical events, as `features.rows.batch.aggregate` takes them but for Spark.
    identities
        Canonical identities, or None where accounts were never linked.
    notes
        Canonical notes. Of a note's versions each impression takes the one that was known when it happened, or else
        the first; of two with one ``arrived_at`` only one may be given.
    start, end
        Impressions in [start, end), epoch seconds.
    known_at
        Only what had arrived by then is read.
    timezone
        The log's time zone.
    items
        Canonical items, for prices, by version as notes are; None leaves the price empty.
    paid_only
        Leave out what nobody paid for.

    Returns
    -------
    Impressions
        Without those of people whose latest word on consent was no at the time or is no by `known_at`.

    Raises
    ------
    FeatureError
        The stretch is empty.
    """
    if start >= end:
        raise FeatureError("the stretch of impressions is empty", value=(start, end), next_step="name an end later")
    question = _QUERY.format(
        columns=", ".join(f'e."{name}" as "{_NAMES.get(name, name)}"' for name in _FROM_EVENTS),
        shown=_shown("'impression'", start, end, known_at),
        items=_VERSIONS.format(table="items_", key="item", known_at=int(known_at)),
        only=_PAID if paid_only else "",
    )
    notes_ = columns_of(notes, NOTES, _NOTE_COLUMNS)  # noqa: F841
    items_ = columns_of(items, ITEMS, _ITEM_COLUMNS)  # noqa: F841
    found = relation_of(events).query("events_", question).to_arrow_table()
    links, instants = PersonLinks(identities, known_at), numbers_of(found["time"])
    accounts = found["account"].combine_chunks()
    persons = links.persons(accounts, instants)
    refused = links.refused(persons, instants) | links.refused(persons, np.full(len(instants), known_at))
    owned = found.add_column(4, "person", persons).select(IMPRESSION_SCHEMA.names).cast(IMPRESSION_SCHEMA)
    return Impressions(owned.filter(pa.array(~refused)), timezone, int(known_at))


def count_impressions(
    events: Any, notes: Any, *, start: int, end: int, known_at: int, paid_only: bool = False
) -> tuple[int, int]:
    """Return how many impressions of notes there are in a stretch, and how many clicks on notes.

    Parameters are those of `read_impressions`; people who said no are counted, too.
    """
    notes_ = columns_of(notes, NOTES, _NOTE_COLUMNS)  # noqa: F841
    question = "select e.kind, count(*) {shown} {only} group by e.kind".format(
        shown=_shown("'impression', 'click'", start, end, known_at), only=_PAID if paid_only else ""
    )
    found = dict(relation_of(events).query("events_", question).fetchall())
    return found.get("impression", 0), found.get("click", 0)


def _shown(kinds: str, start: int, end: int, known_at: int) -> str:
    versions = _VERSIONS.format(table="notes_", key="note", known_at=int(known_at))
    return _SHOWN.format(kinds=kinds, start=int(start), end=int(end), known_at=int(known_at), notes=versions)
