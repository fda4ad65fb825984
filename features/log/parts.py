"""Writing spooled rows as the Parquet parts of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.days import day_of
from features.events import Table
from features.log.dedupe import Verdict
from features.log.delta_table import Part
from features.log.spool import Spooled

_ROWS_A_PART = 2_000_000
# Enough for the accounts of a row group; Parquet gives a dictionary up beyond.
_DICTIONARY_BYTES = 16 << 20
RANGED = ("event_time", "arrived_at", "day", "platform")
"""Columns whose smallest and largest value are told to readers; never one that says who."""
# Words that come again and again; ids, which hardly do, are written plainly.
_REPEATING = (
    "source", "kind", "platform", "account", "note", "creator", "topic", "campaign", "item", "brand", "category",
    "shop", "currency", "policy", "day", "arm", "attribute", "value", "department",
)  # fmt: skip


@dataclass(frozen=True)
class Stamp:
    """What the log adds to every row of a source.

    Parameters
    ----------
    source
        Name of the source.
    true_from
        Column that says when a row became true; None where rows are true from their acceptance.
    delay
        Seconds from there to its arrival; None where rows arrive with their acceptance.
    currency
        Currency of money columns without one.
    """

    source: str
    true_from: str | None
    delay: int | None
    currency: str


@dataclass
class PartWriter:
    """Writes canonical rows into parts of bounded size.

    Parameters
    ----------
    folder
        Folder of the table.
    table
        The canonical table.
    names
        File names to use, one per part.
    timezone
        Zone of the log's days.
    now
        Time of acceptance.
    """

    folder: Path
    table: Table
    names: Sequence[str]
    timezone: str
    now: int
    parts: list[Part] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None
    _rows: int = 0
    _ranges: dict[str, tuple[int | str, int | str]] = field(default_factory=dict)

    def write(self, spooled: Spooled, verdict: Verdict, stamp: Stamp) -> None:
        """Write what is to be kept of a chunk."""
        rows = spooled.read()
        key = self.table.key
        if verdict.rename:
            ids = np.array(rows[key].to_pylist(), object)
            ids[list(verdict.rename)] = list(verdict.rename.values())
            rows = rows.set_column(rows.column_names.index(key), key, pa.array(ids, pa.string()))
        if len(verdict.drop):
            keep = np.ones(rows.num_rows, bool)
            keep[verdict.drop] = False
            rows = rows.filter(pa.array(keep))
        if rows.num_rows:
            self.append(self._stamped(rows, stamp))

    def append(self, rows: pa.Table) -> None:
        """Write rows that have every column of the table."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.folder / self.names[len(self.parts)],
                self.table.schema,
                compression="snappy",
                use_dictionary=[c.name for c in self.table.columns if c.name in _REPEATING],
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                write_statistics=[c.name for c in self.table.columns if c.name in RANGED] or False,
                store_schema=False,
            )
        self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._rows += rows.num_rows
        for name in RANGED:
            if name in rows.column_names:
                bounds = pc.min_max(rows[name])
                low, high = bounds["min"].as_py(), bounds["max"].as_py()
                if low is not None:
                    before = self._ranges.get(name, (low, high))
                    self._ranges[name] = (min(before[0], low), max(before[1], high))
        if self._rows >= _ROWS_A_PART:
            self.close()

    def close(self) -> list[Part]:
        """Finish the last part and return all."""
        if self._writer is not None:
            self._writer.close()
            # A version must not name a file that a power cut can still take away.
            with (self.folder / self.names[len(self.parts)]).open("rb") as file:
                os.fsync(file.fileno())
            self.parts.append(Part(self.names[len(self.parts)], self._rows, self._ranges))
            self._writer, self._rows, self._ranges = None, 0, {}
        return self.parts

    def _stamped(self, rows: pa.Table, stamp: Stamp) -> pa.Table:
        columns = []
        for column in self.table.columns:
            if column.name == "source":
                value = pa.repeat(stamp.source, rows.num_rows)
            elif column.name == "day":
                value = pa.array(day_of(rows["event_time"].to_numpy(), self.timezone))
            elif column.name == "arrived_at" and "arrived_at" not in rows.column_names:
                value = self._arrival(rows, stamp)
            elif column.name == "currency" and "amount" in rows.column_names:
                given = rows["currency"] if "currency" in rows.column_names else pa.scalar(None, pa.string())
                value = pc.if_else(pc.is_null(rows["amount"]), given, pc.coalesce(given, pa.scalar(stamp.currency)))
            elif column.name in rows.column_names:
                value = rows[column.name]
            else:
                value = pa.nulls(rows.num_rows, column.arrow)
            columns.append(value)
        return pa.table(columns, schema=self.table.schema)

    def _arrival(self, rows: pa.Table, stamp: Stamp) -> pa.Array | pa.ChunkedArray:
        if stamp.delay is None or stamp.true_from is None or stamp.true_from not in rows.column_names:
            return pa.repeat(self.now, rows.num_rows)
        # A statement may hold from a later moment on; it was known when it was accepted at the latest.
        since = pc.coalesce(rows[stamp.true_from], pa.scalar(self.now))
        return pc.min_element_wise(pc.add(since, stamp.delay), pa.scalar(self.now))
