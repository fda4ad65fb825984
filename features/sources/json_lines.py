"""JSON lines files: one object a line, nested fields by dotted path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from features.sources.mapping import Mapping
from features.sources.reader import Chunk, Piece, Reason, Refused
from features.sources.records import plain_records
from features.sources.text_files import PIECE_BYTES, read_lines, shown

_NOT_AN_OBJECT = Reason("row", "no JSON object")


class JsonLinesReader:
    """Reads one JSON lines file.

    Parameters
    ----------
    path
        The file, gzip or plain.
    mapping
        For the encoding and the fields that are read; ``user.id`` is field id of field user.
    piece_bytes
        Size of a piece.
    """

    form = "jsonl"
    header = ""

    def __init__(self, path: Path, mapping: Mapping, piece_bytes: int = PIECE_BYTES) -> None:
        self.name = path.name
        self._path = path
        self._mapping = mapping
        self._piece_bytes = piece_bytes
        self._columns = tuple(mapping.source_columns)
        self.size = path.stat().st_size if path.exists() else 0

    def pieces(self) -> Iterator[Piece]:
        """Yield the file's pieces in order."""
        record, line = 0, 1
        for lines in read_lines(self._path, self._mapping.encoding, self._piece_bytes):
            records = plain_records(lines.data)
            texts = [records.text(lines.data, n) for n in range(len(records.starts))]
            if texts:
                numbers = np.arange(record, record + len(texts))
                yield partial(parsed, texts, numbers, records.lines + line, self._columns, lines.size)
            record += len(texts)
            line += lines.data.count(b"\n")


def parsed(
    texts: Sequence[bytes], records: np.ndarray, lines: np.ndarray, columns: Sequence[str], size: int
) -> Chunk:
    """Return the fields of JSON objects as text columns.

    Parameters
    ----------
    texts
        One object each, in UTF-8.
    records, lines
        Position of each among the records of its file, and its line.
    columns
        The fields to take.
    size
        Bytes that the objects took.
    """
    known = pa.array([shown(text) for text in texts], pa.string())
    # Each field is looked up by its whole name first, then as a path.
    paths = [p for name in columns for p in (_path([name]), _path(name.split(".")))]
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    chosen = ", ".join(f"coalesce(v[{2 * n + 1}], v[{2 * n + 2}]) AS c{n}" for n in range(len(columns)))
    con = duckdb.connect(config={"threads": 1, "autoload_known_extensions": False})
    try:
        con.register("texts", pa.table({"line": known}))
        made = con.sql(
            f"SELECT j IS NOT NULL AS ok, {chosen} FROM (SELECT j, json_extract_string(j, [{listed}]) AS v FROM "  # noqa: S608
            "(SELECT CASE WHEN json_valid(line) AND json_type(line) = 'OBJECT' THEN line END AS j FROM texts))"
        ).to_arrow_table()
    finally:
        con.close()
    ok = made["ok"].to_numpy()
    kept, wrong = np.flatnonzero(ok), np.flatnonzero(~ok)
    table = made.drop_columns(["ok"]).rename_columns(list(columns)).take(pa.array(kept))
    broken = [Refused(int(records[n]), int(lines[n]), shown(texts[int(n)]), (_NOT_AN_OBJECT,)) for n in wrong]

    def locate(places: Sequence[int]) -> list[tuple[int, str]]:
        return [(int(lines[kept[place]]), shown(texts[kept[place]])) for place in places]

    return Chunk(table, pa.array(records[kept]), locate, broken, size)


def _path(names: Sequence[str]) -> str:
    return "$" + "".join(f".{json.dumps(name, ensure_ascii=False)}" for name in names)
