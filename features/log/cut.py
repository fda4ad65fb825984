"""Rows cut into parts in one pass: a single Arrow file, in which every part is some of the batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa

Relation: TypeAlias = duckdb.DuckDBPyRelation
_ROWS: Final = "rows.arrow"
_BATCHES: Final = "batches.json"
_AT_ONCE: Final = 500_000


def write_cut(rows: Relation, part: str, folder: Path) -> None:
    """Write rows so that those of a part can be read alone.

    Parameters
    ----------
    rows
        Rows, read once and never held as a whole.
    part
        Column that says in which part a row is, integers; it is not written itself.
    folder
        Made anew; whole once this returns.

    Notes
    -----
    One file, however many parts: an open one for each would end at what the system allows. DuckDB's own partitioned
    Parquet takes more than twice the CPU time, and closes and opens files again from a hundred parts on.
    """
    folder.mkdir(parents=True)
    reader = rows.to_arrow_reader(_AT_ONCE)
    schema = reader.schema.remove(reader.schema.get_field_index(part))
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    numbers: list[int] = []
    with pa.OSFile(str(folder / _ROWS), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for batch in reader:
            of = batch.column(part).to_numpy()
            order = np.argsort(of, kind="stable")
            found, starts = np.unique(of[order], return_index=True)
            together = batch.drop_columns([part]).take(pa.array(order))
            for number, start, end in zip(found, starts, [*starts[1:], len(of)], strict=True):
                writer.write_batch(together.slice(int(start), int(end - start)))
                numbers.append(int(number))
    (folder / _BATCHES).write_text(json.dumps(numbers), encoding="utf-8")


class Cut:
    """Reads what `write_cut` wrote, in any number of threads.

    Parameters
    ----------
    folder
        Where it was written.
    """

    def __init__(self, folder: Path) -> None:
        # Not mapped: batches are unpacked, and the pages of the file would count as this process's memory.
        self._file = pa.ipc.open_file(pa.OSFile(str(folder / _ROWS)))
        self._numbers = np.array(json.loads((folder / _BATCHES).read_text(encoding="utf-8")), np.int64)

    def __getitem__(self, number: int) -> pa.Table:
        """Return the rows of a part, in the order in which they were written; none where there is no such part."""
        batches = [self._file.get_batch(place) for place in np.flatnonzero(self._numbers == number).tolist()]
        return pa.Table.from_batches(batches, self._file.schema).combine_chunks()
