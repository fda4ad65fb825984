"""What every conversion answer needs beside the person: notes, their tallies and what purchases are worth."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Final, Self

import duckdb
import pyarrow as pa

from features.event_log import EventLog
from features.history import NoteHistory
from features.impression_features import ImpressionFeatures
from features.note_tallies import Tallies
from serving.histories import HistoryFill, Shared
from serving.note_catalogue import NoteCatalogue, note_table
from serving.order_values import OrderValues

_ABOUT: Final = "about"
_NOTES: Final = "notes"
_ORDER_VALUES: Final = "order values"
_TALLIES: Final = "tallies of "


def share_facts(
    fill: HistoryFill, log: EventLog, con: duckdb.DuckDBPyConnection, events: Any, *, as_of: int, after: int
) -> None:
    """Give a fill what every answer needs.

    Parameters
    ----------
    fill
        Not yet committed.
    log, con
        The log, and a connection to it.
    events
        The events that were known at the instant, a relation.
    as_of
        Instant of the fill, epoch seconds.
    after
        Events before it are in no window.
    """
    for of, table in ImpressionFeatures().notes(events, log.timezone, after=after).tallies.tables.items():
        fill.share(_TALLIES + of, _written(table))
    fill.share(_NOTES, _written(note_table(log.table(con, "notes"), log.table(con, "items"), as_of)))
    fill.share(_ORDER_VALUES, OrderValues.read(events).to_json())
    fill.share(_ABOUT, json.dumps({"timezone": log.timezone, "currency": log.currency}).encode())


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
        """Read what `share_facts` gave."""
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


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _read(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()
