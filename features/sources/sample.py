"""The first rows of an unknown file: its format, encoding, delimiter, header, and values by column."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import SourceError
from features.named_files import require_file
from features.sources.records import HEAD_RECORDS, usual_width
from features.sources.text_files import opened

SAMPLE_ROWS = 2_000
_SAMPLE_BYTES = 512 << 10
_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Sample:
    """The beginning of a file.

    Parameters
    ----------
    format
        csv, tsv, jsonl or parquet, with the reason in `why`.
    encoding, delimiter, header
        Of delimited text.
    columns
        Column → texts, empty where there is no value; all of one length.
    why
        Guess → its reason.
    """

    format: str
    encoding: str
    delimiter: str
    header: bool
    columns: dict[str, list[str]]
    why: dict[str, str]


def take_sample(path: Path) -> Sample:
    """Read the beginning of a file and tell its format.

    Raises
    ------
    SourceError
        The file cannot be read, or holds no rows.
    """
    require_file(path, "data", SourceError, "name a CSV, TSV, JSON lines or Parquet file")
    with opened(path) as (stream, _):
        start = stream.read(_SAMPLE_BYTES)
    if start[:4] == b"PAR1":
        return _found("parquet", _of_parquet(path), {"format": "the file starts with PAR1"})
    if not start.strip():
        raise SourceError("the data is empty", value=path.name)
    cut = start.rfind(b"\n") + 1 if len(start) == _SAMPLE_BYTES else len(start)
    data = start[:cut].removeprefix(b"\xef\xbb\xbf")
    try:
        text, encoding, reason = data.decode("utf-8"), "utf-8", "the bytes are valid utf-8"
    except UnicodeDecodeError:
        text, encoding, reason = data.decode("gb18030", "replace"), "gb18030", "the bytes are not valid utf-8"
    why = {"encoding": reason}
    if text.lstrip().startswith("{"):
        return _found(
            "jsonl", _of_json(text), why | {"format": "the first line is a JSON object"}, encoding=encoding
        )
    return _of_delimited(text, path, encoding, why)


def _found(form: str, columns: dict[str, list[str]], why: dict[str, str], *, encoding: str = "utf-8") -> Sample:
    return Sample(form, encoding, ",", True, columns, why)


def _of_parquet(path: Path) -> dict[str, list[str]]:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(SAMPLE_ROWS), None)
    rows = [] if batch is None else pa.Table.from_batches([batch]).to_pylist()
    return _columns(rows, path.name)


def _of_json(text: str) -> dict[str, list[str]]:
    rows = []
    for line in text.split("\n")[:SAMPLE_ROWS]:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(_flat(row))
    return _columns(rows, "the file")


def _flat(row: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _columns(rows: list[dict[str, Any]], name: str) -> dict[str, list[str]]:
    if not rows:
        raise SourceError("the data holds no rows", value=name)
    names = dict.fromkeys(column for row in rows for column in row)
    return {column: ["" if row.get(column) is None else str(row[column]) for row in rows] for column in names}


def _of_delimited(text: str, path: Path, encoding: str, why: dict[str, str]) -> Sample:
    # Not splitlines: fields may hold line separators such as U+2028.
    lines = [line for line in re.split(r"\r\n?|\n", text)[:HEAD_RECORDS] if line.strip()]
    delimiter, reason = _delimiter(lines, path)
    rows = list(islice((row for row in _split(text, delimiter) if row), SAMPLE_ROWS))
    width = usual_width(rows[:HEAD_RECORDS])
    first = [field.strip() for field in rows[0]]
    header, because = _header(first, width)
    names = first if header else [str(n + 1) for n in range(width)]
    body = [row for row in rows[header:] if len(row) == len(names)]
    if not body:
        raise SourceError("the data holds no rows below its header", value=",".join(first))
    columns = {name: [row[n].strip() for row in body] for n, name in enumerate(names)}
    form = "tsv" if delimiter == "\t" else "csv"
    return Sample(form, encoding, delimiter, header, columns, why | {"delimiter": reason, "header": because})


def _split(text: str, delimiter: str) -> Iterable[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(lines: list[str], path: Path) -> tuple[str, str]:
    """Return the delimiter that splits most lines into the same number of fields, many of them, and the reason.

    Where the file's name says tabs and a usual line has some, they are it.
    """
    widths = {d: [len(row) for row in _split("\n".join(lines), d)] for d in _DELIMITERS}
    usual = {d: usual_width([[""] * width for width in found]) for d, found in widths.items()}
    agree = {d: widths[d].count(usual[d]) / len(widths[d]) if usual[d] > 1 else 0.0 for d in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda d: agree[d] * (usual[d] - 1))
    named = ".tsv" in (suffix.lower() for suffix in path.suffixes) and usual["\t"] > 1
    best = "\t" if named else best
    if usual[best] < 2:
        return best, "the first lines hold no delimiter"
    reason = f"{usual[best]} fields in {agree[best]:.0%} of the first lines"
    return best, f"the file's name ends in .tsv, and it gives {reason}" if named else f"it gives {reason}"


def _header(first: list[str], width: int) -> tuple[bool, str]:
    if len(first) != width:
        return False, f"the first line has {len(first)} fields, most have {width}"
    if any(_is_number(field) or re.match(r"\d{4}[-/年]\d", field) for field in first):
        return False, "the first line holds numbers or times"
    if "" in first or len(set(first)) < width:
        return False, "the first line holds empty or equal fields"
    return True, "no field of the first line is a number"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
