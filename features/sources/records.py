"""Where the records of delimited text begin and end: at line ends, except inside quotes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LONGEST_RECORD = 1 << 20
"""Bytes; a record with an open quote beyond that has lost its closing quote."""

HEAD_RECORDS = 50
"""Records at the beginning of a file that tell how wide its usual one is."""

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """The records of a piece of text.

    Parameters
    ----------
    starts, ends
        Byte positions; an end is before the record's line end.
    lines
        Line of the piece on which each starts, from 0.
    rest
        Position from which on the text is left for the next piece.
    """

    starts: Int64
    ends: Int64
    lines: Int64
    rest: int

    def text(self, data: bytes, number: int) -> bytes:
        """Return a record."""
        return data[int(self.starts[number]) : int(self.ends[number])]


def is_plain(data: bytes) -> bool:
    r"""Return whether no quoted field goes over a line end, so that records are lines.

    Examples
    --------
    >>> is_plain(b'a,"b"\n'), is_plain(b'a,"b\nc"\n')
    (True, False)
    """
    if b'"' not in data:
        return True
    octets = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(octets == ord("\n"))
    before = np.searchsorted(np.flatnonzero(octets == ord('"')), breaks)
    return data.count(b'"') % 2 == 0 and not bool((before % 2).any())


def plain_records(data: bytes) -> Records:
    """Return the records of text in which every line that is not blank is one."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    octets = np.frombuffer(data + b"\n", np.uint8)
    ends = np.where((ends > starts) & (octets[ends - 1] == ord("\r")), ends - 1, ends)
    filled = np.flatnonzero(ends > starts)
    return Records(starts[filled], ends[filled], filled, len(data))


def count_plain(data: bytes) -> int:
    r"""Return the number of lines that are not blank.

    Examples
    --------
    >>> count_plain(b"a\n\nb\r\n\r\nc")
    3
    """
    if b"\n\n" in data or b"\n\r\n" in data or data[:1] in (b"\n", b"\r"):
        return len(plain_records(data).starts)
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def quoted_records(data: bytes, delimiter: str, *, last: bool) -> Records:
    """Return the records of text in which quoted fields may hold line ends.

    A quote opens a field only at the field's beginning; elsewhere it is a character like any other. Where the
    closing quote is missing for `LONGEST_RECORD` bytes, or until the end, the line is a record of its own.

    Parameters
    ----------
    data
        Text that starts with a record.
    delimiter
        One character.
    last
        Whether nothing follows; else a record that is still open at the end is left over.
    """
    mark = re.escape(delimiter.encode())
    field = rb'(?:"(?:[^"]|"")*+"[^' + mark + rb'\n]*+|(?!")[^' + mark + rb"\n]*+)"
    record = re.compile(field + rb"(?:" + mark + field + rb")*+")
    starts, ends, lines = [], [], []
    start, line, rest = 0, 0, len(data)
    while start < len(data):
        found = record.match(data, start, min(len(data), start + LONGEST_RECORD))
        end = found.end() if found else start
        if found is None or not (end == len(data) or data[end : end + 1] == b"\n"):
            if not last and len(data) - start < LONGEST_RECORD:
                rest = start
                break
            end = data.find(b"\n", start)
            end = len(data) if end < 0 else end
        stop = end - 1 if end > start and data[end - 1 : end] == b"\r" else end
        if stop > start:
            starts.append(start)
            ends.append(stop)
            lines.append(line)
        line += data.count(b"\n", start, end) + 1
        start = end + 1
    return Records(np.array(starts, np.int64), np.array(ends, np.int64), np.array(lines, np.int64), rest)


def usual_width(rows: Iterable[Sequence[str]]) -> int:
    """Return the number of fields that most rows have, the larger of two that are as usual.

    Examples
    --------
    >>> usual_width([["a", "b"], ["c"], ["d", "e"]])
    2
    """
    counts = Counter(len(row) for row in rows if row)
    return max(counts, key=lambda width: (counts[width], width), default=0)
