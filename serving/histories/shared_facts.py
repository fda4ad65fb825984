"""What every conversion answer needs beside the person: notes, their tallies and what purchases are worth."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS, day_of, utc_of_local
from features.impressions.features import ImpressionFeatures
from features.impressions.history import NoteHistory
from features.impressions.note_tallies import HOUR, Tallies
from features.log.event_log import EventLog
from serving.histories.note_catalogue import NoteCatalogue, note_table
from serving.histories.order_values import OrderValues
from serving.histories.store import Shared

_ABOUT: Final = "about"
_NOTES: Final = "notes"
_ORDER_VALUES: Final = "order values"
_TALLIES: Final = "tallies of "


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
        yield _TALLIES + of, _written(compacted(table, today // HOUR))
    notes, items = (log.table(con, name, versions[name], known_at=as_of) for name in ("notes", "items"))
    yield _NOTES, _written(note_table(notes, items, as_of))
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
    """

    fill: str
    as_of: int
    timezone: str
    currency: str
    notes: NoteCatalogue
    tallies: NoteHistory
    order_values: OrderValues

    @classmethod
    def of(cls, shared: Shared) -> Self:
        """Read what `shared_parts` gave."""
        about = json.loads(shared.parts[_ABOUT])
        tables = {
            name.removeprefix(_TALLIES): _read(content)
            for name, content in shared.parts.items()
            if name.startswith(_TALLIES)
        }
        return cls(
            fill=shared.fill,
            as_of=shared.as_of,
            timezone=about["timezone"],
            currency=about["currency"],
            notes=NoteCatalogue(_read(shared.parts[_NOTES])),
            tallies=NoteHistory(Tallies(tables, about["timezone"])),
            order_values=OrderValues.of_json(shared.parts[_ORDER_VALUES]),
        )


def compacted(tallies: pa.Table, hour: int) -> pa.Table:
    """Merge the hours up to one: for whoever asks as of then or later, they are all the same.

    Examples
    --------
    >>> tallies = pa.table({"key": [7, 7, 7], "hour": [1, 2, 9], "day": [0, 0, 0], "click_count": [3, 4, 5]})
    >>> compacted(tallies, 2).to_pylist()[0]
    {'key': 7, 'hour': 2, 'day': 0, 'click_count': 7}
    """
    merged = pc.max_element_wise(tallies["hour"], hour)
    keys = [name for name in ("key", "hour", "day", "item") if name in tallies.column_names]
    sums = [name for name in tallies.column_names if name not in keys]
    grouped = (
        tallies.set_column(tallies.column_names.index("hour"), "hour", merged)
        .group_by(keys)
        .aggregate([(name, "sum") for name in sums])
    )
    return (
        grouped.rename_columns([*keys, *sums])
        .select(tallies.column_names)
        .sort_by([(k, "ascending") for k in keys])
    )


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _read(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()
