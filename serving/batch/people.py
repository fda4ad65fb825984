"""Whom batch scoring scores: everybody, in parts by key."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from serving.batch.row_source import RowSource
from serving.consent.log import WITHDRAWN
from serving.online.store import RowBlock

PEOPLE_PER_PART: Final = 65_536
PEOPLE_PER_BLOCK: Final = 1_024

Block = tuple[RowBlock, dict[str, pa.Array]]
"""Rows of some people, and what the input list said of each, by column."""


@dataclass(frozen=True)
class LeftOut:
    """A row of an input list that has no scores.

    Parameters
    ----------
    line
        Line of the file, from 1; for Parquet the number of the row, from 1.
    reason
        Why.
    row
        The row as it stands in the file.
    """

    line: int
    reason: str
    row: str


@dataclass
class ScorePart:
    """The people of one file of scores.

    Parameters
    ----------
    number
        Of the file, from 0.
    depends_on
        What its content depends on beside what all parts depend on.
    of
        Size of all parts together, in people or rows of the input; an estimate until the last part.
    blocks
        Gives the part's rows, block by block; asked at most once.
    left_out
        Rows of the input that have no scores, in order; complete once the blocks were read.
    reasons
        How many were left out, by reason.
    """

    number: int
    depends_on: str
    of: int
    blocks: Callable[[], Iterator[Block]]
    left_out: list[LeftOut] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


class ScoredPeople(ABC):
    """Whom a run scores.

    Attributes
    ----------
    source
        Their rows.
    facts
        Names the people: equal facts and rows, equal parts.
    echoed
        Columns of the input list that every score repeats.
    """

    source: RowSource
    facts: Mapping[str, object]
    echoed: tuple[str, ...] = ()

    @abstractmethod
    def parts(self) -> Iterator[ScorePart]:
        """Yield the parts in order; memory grows with no more than one part."""


class Everybody(ScoredPeople):
    """Everybody of whom there are rows, in parts that are ranges of keys.

    Keys are hashes, so the ranges are of about equal size, and a person stays in the same part as long as the
    number of parts stays the same.

    Parameters
    ----------
    source
        Their rows.
    withdrawn
        Keys of people who must not be scored, sorted.
    """

    def __init__(self, source: RowSource, withdrawn: Sequence[str]) -> None:
        self.source = source
        self._withdrawn = withdrawn
        self._count = max(1, -(-source.people // PEOPLE_PER_PART))
        self.facts = {"people": "all", "parts": self._count}

    def parts(self) -> Iterator[ScorePart]:
        """Yield the parts in the order of keys."""
        bounds = ["", *(f"{part * 0x10000 // self._count:04x}" for part in range(1, self._count)), None]
        for number, (first, end) in enumerate(pairwise(bounds)):
            yield self._part(number, first or "", end)

    def _part(self, number: int, first: str, end: str | None) -> ScorePart:
        stop = len(self._withdrawn) if end is None else bisect_left(self._withdrawn, end)
        withdrawn = self._withdrawn[bisect_left(self._withdrawn, first) : stop]
        part = ScorePart(number, digest(withdrawn), self.source.people, lambda: self._blocks(part, first, end))
        return part

    def _blocks(self, part: ScorePart, first: str, end: str | None) -> Iterator[Block]:
        withdrawn = set(self._withdrawn)
        for block in self.source.scan(first, end, PEOPLE_PER_BLOCK):
            kept = np.array([person not in withdrawn for person in block.persons])
            part.reasons[WITHDRAWN] += int((~kept).sum())
            if kept.all():
                yield block, {}
            elif kept.any():
                persons = [person for person, keep in zip(block.persons, kept, strict=True) if keep]
                yield RowBlock(persons, block.as_of[kept], block.matrix[kept]), {}


def digest(keys: Sequence[str]) -> str:
    """Return a short hash of some keys.

    Examples
    --------
    >>> digest(["a", "b"]) == digest(["ab"])
    False
    """
    return hashlib.sha256("\x1f".join(keys).encode()).hexdigest()[:16]
