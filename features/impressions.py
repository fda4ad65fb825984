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
from features.person_links import PersonLinks, numbers_of
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

_QUERY: Final = """
select {columns}, e.campaign is not null or coalesce(n.paid, false) as paid,
    n.media, n.published_at, n.item, i.price
from (select * from events_ where kind = 'impression' and note is not null
    and event_time >= {start} and event_time < {end} and arrived_at <= {known_at}) e
left join (select * from notes_ where arrived_at <= {known_at}) n using (note)
left join (select * from items_ where arrived_at <= {known_at}) i on n.item = i.item
{only}
order by e.event_time, e.event_id
"""
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
        Canonical events, as `features.batch.aggregate` takes them but for Spark.
    identities
        Canonical identities, or None where accounts were never linked.
    notes
        Canonical notes, one row per note.
    start, end
        Impressions in [start, end), epoch seconds.
    known_at
        Only what had arrived by then is read.
    timezone
        The log's time zone.
    items
        Canonical items, for prices; None leaves the price empty.
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
        start=int(start),
        end=int(end),
        known_at=int(known_at),
        only="where e.campaign is not null or coalesce(n.paid, false)" if paid_only else "",
    )
    notes_ = columns_of(notes, NOTES, ("note", "arrived_at", "media", "paid", "published_at", "item"))  # noqa: F841
    items_ = columns_of(items, ITEMS, ("item", "arrived_at", "price"))  # noqa: F841
    found = relation_of(events).query("events_", question).to_arrow_table()
    links, instants = PersonLinks(identities, known_at), numbers_of(found["time"])
    accounts = found["account"].combine_chunks()
    persons = links.persons(accounts, instants)
    refused = links.refused(persons, instants) | links.refused(persons, np.full(len(instants), known_at))
    owned = found.add_column(4, "person", persons).select(IMPRESSION_SCHEMA.names).cast(IMPRESSION_SCHEMA)
    return Impressions(owned.filter(pa.array(~refused)), timezone, int(known_at))
