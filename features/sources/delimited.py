"""CSV and TSV files: pieces of text split into columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from features.errors import SourceError
from features.sources.mapping import Mapping
from features.sources.reader import Chunk, Piece, Reason, Refused
from features.sources.records import (
    HEAD_RECORDS,
    LONGEST_RECORD,
    Records,
    count_plain,
    is_plain,
    plain_records,
    quoted_records,
    usual_width,
)
from features.sources.text_files import PIECE_BYTES, read_lines, shown

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Columns:
    """The columns of a delimited file.

    Parameters
    ----------
    names
        All of them, in order.
    used
        Those that are read.
    delimiter
        One character.
    """

    names: tuple[str, ...]
    used: tuple[str, ...]
    delimiter: str


class DelimitedReader:
    """Reads one delimited file.

    Parameters
    ----------
    path
        The file, gzip or plain.
    mapping
        For encoding, delimiter, header, and the columns that are read.
    piece_bytes
        Size of a piece.
    """

    form = "csv"

    def __init__(self, path: Path, mapping: Mapping, piece_bytes: int = PIECE_BYTES) -> None:
        self.name = path.name
        self._path = path
        self._encoding = mapping.encoding
        self._piece_bytes = piece_bytes
        tabs = mapping.format == "tsv" or ".tsv" in path.suffixes
        delimiter = mapping.delimiter or ("\t" if tabs else ",")
        first = next(read_lines(path, mapping.encoding, LONGEST_RECORD), None)
        records = quoted_records(first.data if first else b"", delimiter, last=True)
        if first is None or not len(records.starts):
            raise SourceError("the data is empty", value=path.name)
        self.size = path.stat().st_size
        head = [
            split_record(shown(records.text(first.data, n)), delimiter)
            for n in range(min(1 if mapping.header else HEAD_RECORDS, len(records.starts)))
        ]
        # Without a header no row can be trusted to be whole, not even the first.
        names = _distinct(head[0]) if mapping.header else tuple(str(n + 1) for n in range(usual_width(head)))
        self.columns = Columns(names, tuple(n for n in names if n in mapping.source_columns), delimiter)
        self.header = joined_record(names)
        after = first.data.find(b"\n", int(records.ends[0])) + 1
        self._header = first.data[: after or len(first.data)] if mapping.header else b""

    def pieces(self) -> Iterator[Piece]:
        """Yield the file's pieces in order."""
        record, line, rest = 0, 1 + self._header.count(b"\n"), b""
        to_skip = len(self._header)
        for lines in read_lines(self._path, self._encoding, self._piece_bytes):
            data = rest + lines.data[to_skip:]
            to_skip = max(0, to_skip - len(lines.data))
            records = None if is_plain(data) else quoted_records(data, self.columns.delimiter, last=lines.last)
            end = len(data) if records is None else records.rest
            data, rest = data[:end], data[end:]
            count = count_plain(data) if records is None else len(records.starts)
            if count:
                yield partial(_split, _Text(data, records, count, line, record, lines.size), self.columns)
            record += count
            line += data.count(b"\n")


@dataclass(frozen=True)
class Entry:
    """One record: its position among the records of its file, its line, and its text in UTF-8."""

    record: int
    line: int
    raw: bytes


@dataclass(frozen=True)
class _Text:
    """Text of whole records; `quoted` is None where every line that is not blank is one."""

    data: bytes
    quoted: Records | None
    count: int
    line: int
    record: int
    size: int

    @cached_property
    def records(self) -> Records:
        """Where the records are."""
        return plain_records(self.data) if self.quoted is None else self.quoted

    def is_padded(self, delimiter: str) -> bool:
        """Return whether some field may have a blank at its beginning or end."""
        octets = np.frombuffer(b"\n" + self.data + b"\n", np.uint8)
        blanks = np.flatnonzero(octets == ord(" "))
        if delimiter != "\t" and b"\t" in self.data:
            blanks = np.concatenate([blanks, np.flatnonzero(octets == ord("\t"))])
        ends = np.zeros(256, bool)
        ends[list(delimiter.encode() + b'\n\r" \t')] = True
        return bool(ends[octets[blanks - 1]].any() or ends[octets[blanks + 1]].any())

    def located(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Return line and raw text of records."""
        if not len(numbers):
            return []
        records = self.records
        return [(self.line + int(records.lines[n]), shown(records.text(self.data, n))) for n in numbers]

    def entries(self) -> list[Entry]:
        """Return all records."""
        records = self.records
        return [
            Entry(self.record + n, self.line + int(line), records.text(self.data, n))
            for n, line in enumerate(records.lines)
        ]


def _split(text: _Text, columns: Columns) -> Chunk:
    found = _split_at_once(text, columns)
    if found is None:
        return split_one_by_one(text.entries(), columns, text.size)
    table, wrong = found
    kept = np.delete(np.arange(text.count), wrong)
    broken = [
        Refused(text.record + number, line, raw, (_miscounted(split_record(raw, columns.delimiter), columns),))
        for number, (line, raw) in zip(wrong, text.located(wrong), strict=True)
    ]

    def locate(places: Sequence[int]) -> list[tuple[int, str]]:
        return text.located([int(kept[place]) for place in places])

    padded = text.is_padded(columns.delimiter)
    return Chunk(table, pa.array(kept + text.record), locate, broken, text.size, padded)


def _split_at_once(text: _Text, columns: Columns) -> tuple[pa.Table, list[int]] | None:
    """Split into columns with Arrow; None where single records need a closer look."""
    wrong: list[int] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            io.BytesIO(text.data),
            arrow_csv.ReadOptions(column_names=columns.names, use_threads=False, block_size=_BLOCK_BYTES),
            arrow_csv.ParseOptions(
                delimiter=columns.delimiter,
                newlines_in_values=text.quoted is not None,
                invalid_row_handler=note,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns.names, pa.string()),
                include_columns=columns.used,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    return None if table.num_rows + len(wrong) != text.count else (table, wrong)


def split_one_by_one(entries: Sequence[Entry], columns: Columns, size: int) -> Chunk:
    """Split records that need a closer look, such as those with wrong bytes or line ends inside quotes."""
    places = [columns.names.index(name) for name in columns.used]
    kept: list[Entry] = []
    values: list[list[str]] = [[] for _ in places]
    broken = []
    for entry in entries:
        try:
            fields = split_record(entry.raw.decode(), columns.delimiter)
            reason = None if len(fields) == len(columns.names) else _miscounted(fields, columns)
        except (UnicodeDecodeError, csv.Error) as error:
            fields, reason = [], Reason("row", f"cannot be split into columns ({type(error).__name__})")
        if reason is not None:
            broken.append(Refused(entry.record, entry.line, shown(entry.raw), (reason,)))
            continue
        kept.append(entry)
        for column, place in zip(values, places, strict=True):
            column.append(fields[place])
    table = pa.table({n: pa.array(v, pa.string()) for n, v in zip(columns.used, values, strict=True)})
    records = pa.array([entry.record for entry in kept], pa.int64())
    return Chunk(table, records, lambda rows: [(kept[n].line, shown(kept[n].raw)) for n in rows], broken, size)


def split_record(raw: str, delimiter: str) -> list[str]:
    """Return the fields of one record.

    Examples
    --------
    >>> split_record('1,"a, b",', ",")
    ['1', 'a, b', '']
    """
    return next(csv.reader(io.StringIO(raw, newline=""), delimiter=delimiter), [])


def joined_record(fields: Sequence[str]) -> str:
    """Return fields as one comma-separated record."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _miscounted(fields: Sequence[str], columns: Columns) -> Reason:
    return Reason("row", f"another number of columns; valid: {len(columns.names)}", str(len(fields)))


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names without blanks around them; the second of two that are equal ends with #2."""
    found: list[str] = []
    for name in (name.strip() for name in names):
        again = sum(1 for other in found if other == name or other.startswith(f"{name}#"))
        found.append(f"{name}#{again + 1}" if again else name)
    return tuple(found)
