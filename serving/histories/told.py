"""What live events tell of notes: kept by the store beside the histories, without a word of who did it.

The tallies of a fill end with it. Live events are added to them from the next full hour on, as in training: a row
knows of notes what was known at the last full hour before it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.impressions.features import ImpressionFeatures
from features.impressions.note_tallies import HOUR
from features.people.person_links import numbers_of

EVENTS: Final = "events"
TALLIES: Final = "tallies of "
"""Names of parts: those that hold events, and, before the key, those that hold tallies."""
FOLD_AT: Final = 256
"""Parts of events; with more, they are folded into tallies."""
_WHOLE_HOURS: Final = 7 * 24
_KEPT: Final = (
    "kind", "day", "note", "platform", "creator", "topic", "campaign", "item", "brand", "category", "amount",
    "quantity", "dwell_ms", "read_percent",
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """Parts that were told since a fill.

    Parameters
    ----------
    fill, seq
        Name of the fill, and up to which live event it was told.
    events
        Parts of `told_events`, in order.
    tallies
        Key of ``NOTE_KEYS`` → table of tallies, of the parts that were folded.
    """

    fill: str
    seq: int
    events: Sequence[bytes] = ()
    tallies: Mapping[str, bytes] | None = None


def told_events(events: pa.Table) -> bytes:
    """Return what tallies need of events: neither accounts nor times within an hour.

    Parameters
    ----------
    events
        Canonical events.
    """
    known = np.maximum(numbers_of(events["event_time"]) + 1, numbers_of(events["arrived_at"]))
    hour = pa.array(-(-known // HOUR))
    return written(events.select(_KEPT).append_column("hour", hour))


def told_tallies(told: Told, timezone: str) -> dict[str, pa.Table]:
    """Return everything that was told, as tallies by key."""
    found = {of: [read(content)] for of, content in (told.tallies or {}).items()}
    if told.events:
        events = pa.concat_tables([read(content) for content in told.events])
        known = pc.multiply(events["hour"], HOUR)
        events = events.append_column("arrived_at", known).append_column("event_time", pc.subtract(known, 1))
        with duckdb.connect() as con:
            counted = ImpressionFeatures().counted(con.from_arrow(events), timezone)
        for of, table in counted.tables.items():
            found.setdefault(of, []).append(table)
    return {of: summed(pa.concat_tables(tables, promote_options="permissive")) for of, tables in found.items()}


def folded(told: Told, timezone: str) -> dict[str, bytes]:
    """Return all that was told as one part per key; hours that are more than a week old become one.

    Who asks about a moment longer ago than that, as of which nothing was told yet, is not told of those hours.
    """
    tables = told_tallies(told, timezone)
    latest = max((pc.max(table["hour"]).as_py() for table in tables.values() if table.num_rows), default=0)
    return {TALLIES + of: written(summed(table, latest - _WHOLE_HOURS)) for of, table in tables.items()}


def summed(tallies: pa.Table, hour: int = 0) -> pa.Table:
    """Merge the hours up to one: for whoever asks as of then or later, they are all the same.

    Examples
    --------
    >>> tallies = pa.table({"key": [7, 7, 7], "hour": [1, 2, 9], "day": [0, 0, 0], "click_count": [3, 4, 5]})
    >>> summed(tallies, 2).to_pylist()[0]
    {'key': 7, 'hour': 2, 'day': 0, 'click_count': 7}
    """
    keys = [name for name in ("key", "hour", "day", "item") if name in tallies.column_names]
    sums = [name for name in tallies.column_names if name not in keys]
    merged = pc.max_element_wise(tallies["hour"], hour)
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


def written(table: pa.Table) -> bytes:
    """Return a table as it is stored."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return sink.getvalue()


def read(content: bytes) -> pa.Table:
    """Read what `written` gave."""
    return pa.ipc.open_stream(content).read_all()
