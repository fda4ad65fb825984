"""What every reader of outside data hands on: chunks of source columns, and the rows it could not split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Reason:
    """Why a row was refused.

    Parameters
    ----------
    column
        Canonical column, with its source column where that has another name; ``row`` for the row as a whole.
    problem
        What is wrong and what would have been valid, without the value.
    value
        The offending text.
    """

    column: str
    problem: str
    value: str | None = None


@dataclass(frozen=True)
class Refused:
    """A row that was refused.

    Parameters
    ----------
    record
        Position of the row among the rows of its file, from 0.
    line
        Line of the file on which it starts, from 1.
    raw
        The row as it stands in the file.
    reasons
        Why; at least one.
    """

    record: int
    line: int
    raw: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of a file.

    Parameters
    ----------
    table
        The source columns.
    records
        Position of each row among the rows of its file, int64, ascending.
    locate
        Positions in this chunk → (line, raw text) of each; only asked for rows that are refused.
    broken
        Rows that could not be split into columns.
    size
        Share of the reader's size that the chunk took, for progress.
    padded
        Whether texts may have blanks around them.
    """

    table: pa.Table
    records: pa.Array
    locate: Callable[[Sequence[int]], list[tuple[int, str]]]
    broken: list[Refused] = field(default_factory=list)
    size: int = 0
    padded: bool = True


Piece = Callable[[], Chunk]


class Reader(Protocol):
    """Reads one file in pieces of bounded size; every call of `pieces` starts from the beginning.

    Attributes
    ----------
    name
        Name of the file.
    size
        Size in the unit of `Chunk.size`.
    form
        csv, or jsonl where raw rows are JSON objects.
    header
        Names of the columns of raw csv rows, as one csv line.
    """

    name: str
    size: int
    form: str
    header: str

    def pieces(self) -> Iterator[Piece]:
        """Yield the file's pieces in order; splitting one into columns may be done by another thread."""
        ...
