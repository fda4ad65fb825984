"""Tallies of what everybody did with notes, creators, brands and categories, by the hour in which it was known."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from features.definitions import Aggregate
from features.errors import FeatureError
from features.joins import relation_of
from features.people.acts import codes_of

HOUR: Final = 3_600
EVERYTHING: Final = "everything"
NOTE_KEYS: Final = {
    "note": ("note",),
    "note_platform": ("note", "platform"),
    "creator": ("creator",),
    "topic": ("topic",),
    "brand": ("brand",),
    "category": ("category",),
    "item": ("item",),
    EVERYTHING: (),
}
"""Key of a statistic of notes → the columns that make it."""
GAPS: Final = "gap"
LINKS: Final = "link"
_CONDITIONS: Final = {
    None: "true",
    "paid": "campaign is not null",
    "deep_read": "(coalesce(dwell_ms, 0) >= 5000 or coalesce(read_percent, 0) >= 50)",
}
# An account's purchase days of a category span some days; each that becomes known widens the span or divides it.
_GAPS: Final = """
with days as (
    select account, category, day, min(greatest(event_time + 1, arrived_at)) as since from events_
    where kind = 'purchase' and category is not null group by all
), spans as (
    select category, since, max(day) over known - min(day) over known as span, row_number() over known as number,
        account from days
    window known as (partition by account, category order by since, day rows unbounded preceding)
), steps as (
    select category, since, number > 1 as again,
        span - lag(span, 1, 0) over (partition by account, category order by number) as wider from spans
)
select category as key, (since + 3599) // 3600 as hour, sum(wider)::bigint as days, count(*) as times
from steps where again group by all order by all
"""


class Sort(NamedTuple):
    """Which events an aggregate takes and what of them, whatever the window."""

    kinds: tuple[str, ...]
    condition: str | None
    measure: str
    of: str | None

    @property
    def column(self) -> str:
        """Name of the column that holds its tally."""
        return "_".join(part for part in ("+".join(self.kinds), self.measure, self.of, self.condition) if part)


def sort_of(aggregate: Aggregate, measures: Sequence[str] | None = None) -> Sort:
    """Return the sort of an aggregate; recency and tenure are read off what is counted.

    Raises
    ------
    FeatureError
        The measure, the condition or the side of the window cannot be had as of arbitrary instants.
    """
    if measures is not None and aggregate.measure not in measures:
        raise FeatureError("this measure is not kept as of every instant", value=aggregate.name, valid=measures)
    if aggregate.condition not in _CONDITIONS or aggregate.window.side != "past":
        raise FeatureError(
            "past windows are kept as of every instant, with these conditions",
            value=aggregate.name,
            valid=[c for c in _CONDITIONS if c],
        )
    measure = "count" if aggregate.measure in {"recency", "tenure"} else aggregate.measure
    return Sort(aggregate.kinds, aggregate.condition, measure, aggregate.of)


@dataclass(frozen=True)
class Tallies:
    """What `NoteHistory` is made of; small enough to be kept and sent.

    Parameters
    ----------
    tables
        Per key of ``NOTE_KEYS``: ``key`` (code), ``hour`` (full hours since 1970 after which it was known),
        ``day`` of the events, and a column per sort; ``gap``: ``key`` (a category), ``hour``, and by how many
        ``days`` and ``times`` the gaps between purchase days grew; ``link``: the items of notes, where they were
        given, see `features.impressions.note_items.read_links`.
    timezone
        The log's time zone.
    """

    tables: Mapping[str, pa.Table]
    timezone: str

    def rows(self, of: str, sort: Sort) -> pa.Table:
        """Return ``key``, ``hour``, ``day`` and ``value`` of one sort, where there is something.

        Raises
        ------
        FeatureError
            The sort was not tallied for that key.
        """
        table = self.tables[of]
        if sort.column not in table.column_names:
            raise FeatureError(
                f"nothing is tallied of {of} by that name", value=sort.column, valid=table.column_names[3:]
            )
        chosen = table.select(["key", "hour", "day", sort.column]).rename_columns(["key", "hour", "day", "value"])
        return chosen.filter(pc.not_equal(chosen["value"], 0))


def read_tallies(
    events: Any, wanted: Mapping[str, Sequence[Aggregate]], timezone: str, *, after: int = 0, gaps: bool = True
) -> Tallies:
    """Tally a log.

    Parameters
    ----------
    events
        Canonical events, as `features.rows.batch.aggregate` takes them but for Spark.
    wanted
        Key of ``NOTE_KEYS`` → counts and sums that will be asked for.
    timezone
        The log's time zone.
    after
        Leave out events before it, epoch seconds, but for the gaps between purchases.
    gaps
        Whether to tally the gaps between purchases of a category, too.
    """
    relation = relation_of(events)
    sorts = {of: list(dict.fromkeys(sort_of(a, ("count", "sum")) for a in some)) for of, some in wanted.items()}
    tables = {}
    with _summed_once(relation, {sort: None for some in sorts.values() for sort in some}, after) as summed:
        for of, some in sorts.items():
            key = " || chr(31) || ".join(NOTE_KEYS[of]) or "''"
            sums = ", ".join(f'sum("{sort.column}")::bigint as "{sort.column}"' for sort in some)
            found = relation.query(
                "events_",
                f"select {key} as key, hour, day, {sums} from {summed} where ({key}) is not null group by all "  # noqa: S608
                f"having {_some(sort.column for sort in some)} order by all",
            ).to_arrow_table()
            tables[of] = found.set_column(0, "key", pa.array(codes_of(found["key"])))
    if gaps:
        found = relation.query("events_", _GAPS).to_arrow_table()
        tables[GAPS] = found.set_column(0, "key", pa.array(codes_of(found["key"])))
    return Tallies(tables, timezone)


@contextmanager
def _summed_once(relation: Any, sorts: Collection[Sort], after: int) -> Iterator[str]:
    """Name a table of sums by all columns that make keys: much shorter than the log, which is gone through once."""
    kinds = ", ".join(sorted({repr(kind) for sort in sorts for kind in sort.kinds})) or "''"
    columns = ", ".join(dict.fromkeys(column for of in NOTE_KEYS.values() for column in of))
    sums = "".join(f', {_sum(sort)} as "{sort.column}"' for sort in sorts)
    name = f"summed_{uuid4().hex}"
    relation.query(
        "events_",
        f"select {columns}, (greatest(event_time + 1, arrived_at) + 3599) // 3600 as hour, "  # noqa: S608
        f"day::bigint as day{sums} from events_ where event_time >= {int(after)} and kind in ({kinds}) "
        "group by all",
    ).create(name)
    try:
        yield name
    finally:
        relation.query("events_", f"drop table {name}")


def _some(columns: Iterable[str]) -> str:
    """Say that one of these is something else than 0; nothing is tallied elsewhere."""
    return " or ".join(f'sum("{column}") <> 0' for column in columns) or "false"


def _sum(sort: Sort) -> str:
    kinds = ", ".join(repr(kind) for kind in sort.kinds)
    inside = f"kind in ({kinds}) and {_CONDITIONS[sort.condition]}"
    if sort.of is None:
        return f"count(*) filter ({inside})"
    # as in features.people.acts
    value = "greatest(coalesce(quantity, 1), 1)" if sort.of == "quantity" else sort.of
    return f"coalesce(sum({value}) filter ({inside}), 0)::bigint"
