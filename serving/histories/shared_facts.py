"""What every conversion answer needs beside the person: notes, their tallies and what purchases are worth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from features.days import DAY_SECONDS, day_of, utc_of_local
from features.impressions.features import ImpressionFeatures
from features.impressions.history import NoteHistory
from features.impressions.note_tallies import HOUR, Tallies
from features.log.event_log import EventLog
from serving.histories.note_catalogue import NoteCatalogue, note_table
from serving.histories.order_values import OrderValues
from serving.histories.store import Shared
from serving.histories.told import TALLIES, Told, read, summed, told_tallies, written

_ABOUT: Final = "about"
_NOTES: Final = "notes"
_ORDER_VALUES: Final = "order values"


def shared_parts(
    log: EventLog,
    con: duckdb.DuckDBPyConnection,
    events: Any,
    *,
    as_of: int,
    after: int,
    versions: Mapping[str, int],
) -> Iterator[tuple[str, bytes]]:
    """Yield what every answer needs, by name, as a fill keeps it.

    Parameters
    ----------
    log, con
        The log, and a connection to it.
    events
        The events that were known at the instant, a relation.
    as_of
        Instant of the fill, epoch seconds.
    after
        Events before it are in no window.
    versions
        Of the log's tables that are read.
    """
    today = int(utc_of_local(int(day_of(as_of, log.timezone)) * DAY_SECONDS, log.timezone))
    linked = log.table(con, "note_items", versions["note_items"]).filter(f"arrived_at <= {as_of}")
    everybody = ImpressionFeatures().notes(events, log.timezone, after=after, note_items=linked)
    for of, table in everybody.tallies.tables.items():
        yield TALLIES + of, written(summed(table, today // HOUR))
    notes, items = (log.table(con, name, versions[name], known_at=as_of) for name in ("notes", "items"))
    yield _NOTES, written(note_table(notes, items, as_of))
    yield _ORDER_VALUES, OrderValues.read(events).to_json()
    yield _ABOUT, json.dumps({"timezone": log.timezone, "currency": log.currency}).encode()


@dataclass(frozen=True)
class SharedFacts:
    """What every answer needs beside the person, as of a fill.

    Parameters
    ----------
    fill, as_of
        Name and instant of the fill.
    timezone, currency
        The log's.
    notes
        Notes by id.
    tallies
        What everybody did with notes.
    order_values
        What purchases are worth.
    told
        Last live event that is in the tallies; None where they are the fill's alone.
    """

    fill: str
    as_of: int
    timezone: str
    currency: str
    notes: NoteCatalogue
    tallies: NoteHistory
    order_values: OrderValues
    told: int | None = None

    @classmethod
    def of(cls, shared: Shared, told: Told | None = None) -> Self:
        """Read what `shared_parts` gave, and what live events told since."""
        about = json.loads(shared.parts[_ABOUT])
        tables = {
            name.removeprefix(TALLIES): read(content)
            for name, content in shared.parts.items()
            if name.startswith(TALLIES)
        }
        if told is not None:
            for of, table in told_tallies(told, about["timezone"]).items():
                tables[of] = pa.concat_tables([tables[of], table], promote_options="permissive")
        return cls(
            fill=shared.fill,
            as_of=shared.as_of,
            timezone=about["timezone"],
            currency=about["currency"],
            notes=NoteCatalogue(read(shared.parts[_NOTES])),
            tallies=NoteHistory(Tallies(tables, about["timezone"])),
            order_values=OrderValues.of_json(shared.parts[_ORDER_VALUES]),
            told=None if told is None or told.seq < 0 else told.seq,
        )
