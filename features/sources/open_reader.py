"""Which reader reads a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from features.errors import SourceError
from features.named_files import require_file
from features.sources.delimited import Columns, DelimitedReader, Entry, split_one_by_one, split_record
from features.sources.json_lines import JsonLinesReader, parsed
from features.sources.mapping import Mapping
from features.sources.parquet import ParquetReader
from features.sources.reader import Piece, Reader, Refused

_FORMATS = {
    ".csv": "csv", ".txt": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


def format_of(path: Path) -> str:
    """Return the format that a file's name says.

    Raises
    ------
    SourceError
        The name says none.

    Examples
    --------
    >>> format_of(Path("orders.csv.gz"))
    'csv'
    """
    for suffix in reversed(path.suffixes):
        if suffix.lower() in _FORMATS:
            return _FORMATS[suffix.lower()]
    raise SourceError(
        "cannot tell the format from the file's name", value=path.name, valid=_FORMATS,
        next_step='say format = "csv" in the mapping',
    )  # fmt: skip


def open_reader(path: Path, mapping: Mapping) -> Reader:
    """Return the reader of a file.

    Raises
    ------
    SourceError
        The file cannot be read.
    """
    require_file(path, "data", SourceError, "name a CSV, TSV, JSON lines or Parquet file")
    form = mapping.format or format_of(path)
    if form == "parquet":
        return ParquetReader(path, mapping)
    return JsonLinesReader(path, mapping) if form == "jsonl" else DelimitedReader(path, mapping)


class RefusedReader:
    """Reads rows out of quarantine once more.

    Parameters
    ----------
    name, form, header
        Of the file that they came from.
    rows
        The rows.
    mapping
        Mapping to read them with.
    """

    def __init__(self, name: str, form: str, header: str, rows: Sequence[Refused], mapping: Mapping) -> None:
        self.name = name
        self.form = form
        self.header = header
        self.size = len(rows)
        self._rows = sorted(rows, key=lambda row: row.record)
        self._columns = tuple(mapping.source_columns)
        self._delimiter = mapping.delimiter or ("\t" if mapping.format == "tsv" or ".tsv" in name else ",")

    def pieces(self) -> Iterator[Piece]:
        """Yield all rows as one piece."""
        texts = [row.raw.encode() for row in self._rows]
        records = [row.record for row in self._rows]
        lines = [row.line for row in self._rows]
        if self.form == "jsonl":
            yield partial(parsed, texts, np.array(records), np.array(lines), self._columns, self.size)
            return
        names = tuple(split_record(self.header, ","))
        columns = Columns(names, tuple(name for name in names if name in self._columns), self._delimiter)
        entries = [Entry(*entry) for entry in zip(records, lines, texts, strict=True)]
        yield partial(split_one_by_one, entries, columns, self.size)
