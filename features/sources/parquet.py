"""Parquet files, in pieces of row batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SourceError
from features.sources.mapping import Mapping
from features.sources.reader import Chunk, Piece

_ROWS_A_PIECE = 200_000


class ParquetReader:
    """Reads one Parquet file.

    Parameters
    ----------
    path
        The file.
    mapping
        For the columns that are read.
    rows_a_piece
        Size of a piece.
    """

    form = "jsonl"
    header = ""

    def __init__(self, path: Path, mapping: Mapping, rows_a_piece: int = _ROWS_A_PIECE) -> None:
        self.name = path.name
        self._path = path
        self._rows_a_piece = rows_a_piece
        try:
            names = pq.read_schema(path).names
            self.size = pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowInvalid) as error:
            raise SourceError("cannot read the data as Parquet", value=str(path)) from error
        self._columns = [name for name in names if name in mapping.source_columns]

    def pieces(self) -> Iterator[Piece]:
        """Yield the file's pieces in order."""
        first = 0
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(self._rows_a_piece, columns=self._columns):
                yield partial(chunk_of, pa.Table.from_batches([batch]), first)
                first += batch.num_rows


def chunk_of(table: pa.Table, first: int) -> Chunk:
    """Return rows that have columns already; `first` is the position of the first one in its file."""

    def locate(places: Sequence[int]) -> list[tuple[int, str]]:
        rows = table.take(pa.array(places, pa.int64())).to_pylist()
        return [
            (first + place + 1, json.dumps(row, ensure_ascii=False, default=str))
            for place, row in zip(places, rows, strict=True)
        ]

    records = pa.array(np.arange(first, first + table.num_rows))
    return Chunk(table, records, locate, size=table.num_rows)
