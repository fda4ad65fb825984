"""People whom a file lists, by their accounts or by their keys."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ScoresError
from features.people.identity import account_key
from features.sources.mapping import Mapping, mapping_of
from features.sources.open_reader import open_reader
from features.sources.reader import Chunk, Refused
from serving.batch.people import (
    PEOPLE_PER_BLOCK,
    PEOPLE_PER_PART,
    Block,
    LeftOut,
    ScoredPeople,
    ScorePart,
    digest,
)
from serving.batch.row_source import RowSource
from serving.consent.log import WITHDRAWN

ACCOUNT_COLUMNS: Final = ("platform", "account")
UNKNOWN: Final = "unknown: nothing is known of this person as of the rows' instant"
_PERSON: Final = re.compile(r"[0-9a-f]{32}")
_NO_KEY: Final = "person is no key of 32 hexadecimal digits"


def _mapping() -> Mapping:
    """Return how the reader of outside files is to read a list: as links without a time."""
    columns = {name: name for name in (*ACCOUNT_COLUMNS, "person")}
    always = {"valid_from": {"constant": 0}}
    return mapping_of(
        {"source": "people", "table": "identities", "time": "epoch_s", "columns": columns | always}, ""
    )


@dataclass(frozen=True)
class _Rows:
    """Consecutive rows of one chunk of the file: `start` to `end`."""

    chunk: Chunk
    start: int
    end: int


class ListedPeople(ScoredPeople):
    """The people of a CSV, TSV, JSON-lines or Parquet file, in parts of consecutive rows.

    A row names somebody by ``platform`` and ``account``, as the source's events do, or, where there is no column
    ``account``, by ``person``, a pseudonymous key. Every row gets scores or is left out with a reason; someone
    named twice is scored twice.

    Parameters
    ----------
    path
        The file.
    key
        Installation key that account ids are hashed with.
    source
        People's rows.
    withdrawn
        Keys of people who must not be scored.

    Raises
    ------
    SourceError
        The file cannot be read.
    ScoresError
        It has none of the columns.
    """

    def __init__(self, path: Path, key: bytes, source: RowSource, withdrawn: AbstractSet[str]) -> None:
        self.source = source
        self._path = path
        self._key = key
        self._withdrawn = withdrawn
        self._reader = open_reader(path, _mapping())
        self.echoed = ACCOUNT_COLUMNS if "account" in self._columns() else ()
        with path.open("rb") as file:
            self.facts = {"people": "listed", "sha256": hashlib.file_digest(file, "sha256").hexdigest()}

    def _columns(self) -> list[str]:
        """Return the columns that say who people are, once it is sure that they do."""
        first = next((piece().table.schema for piece in self._reader.pieces()), None)
        if first is None:
            raise ScoresError("the list names nobody", value=self._path.name, next_step="give a list with rows")
        wanted = ACCOUNT_COLUMNS if "account" in first.names else ("person",)
        if not set(wanted) <= set(first.names):
            raise ScoresError(
                "the list does not say who its people are",
                value=self._path.name,
                valid=["columns platform and account", "a column person"],
                next_step="name its columns so",
            )
        odd = [name for name in wanted if pa.types.is_floating(first.field(name).type)]
        if odd:
            raise ScoresError(
                f"the ids in column {odd[0]} are fractions", next_step="save them as text or whole numbers"
            )
        return list(first.names)

    def parts(self) -> Iterator[ScorePart]:
        """Yield the parts in the order of the file."""
        number, waiting, broken = 0, list[_Rows](), list[Refused]()
        read, size = 0, 0
        for piece in self._reader.pieces():
            chunk = piece()
            records = np.asarray(chunk.records)
            read, size = read + len(records) + len(chunk.broken), size + chunk.size
            estimate = round(read * max(1.0, self._reader.size / max(1, size)))
            broken += chunk.broken
            start = 0
            while start < len(records):
                end = int(np.searchsorted(records, (number + 1) * PEOPLE_PER_PART))
                if end > start:
                    waiting.append(_Rows(chunk, start, end))
                if end == len(records):
                    break
                until = (number + 1) * PEOPLE_PER_PART
                yield self._part(number, estimate, waiting, [row for row in broken if row.record < until])
                broken = [row for row in broken if row.record >= until]
                number, waiting, start = number + 1, [], end
        if waiting or broken or not number:
            yield self._part(number, read, waiting, broken)

    def _part(self, number: int, of: int, rows: list[_Rows], broken: Sequence[Refused]) -> ScorePart:
        resolved = [(some, *self._resolve(some)) for some in rows]
        withdrawn = [person for _, persons, _ in resolved for person in persons if person in self._withdrawn]
        part = ScorePart(number, digest(withdrawn), of, lambda: self._blocks(part, resolved))
        for row in broken:
            reason = "; ".join(f"{reason.column}: {reason.problem}" for reason in row.reasons)
            part.left_out.append(LeftOut(row.line, reason, row.raw))
            part.reasons[reason] += 1
        return part

    def _resolve(self, rows: _Rows) -> tuple[list[str], dict[str, pa.Array]]:
        """Return the key of each row's person, empty where it names none, and the columns to repeat."""
        table = rows.chunk.table.slice(rows.start, rows.end - rows.start)
        if not self.echoed:
            return [key if _PERSON.fullmatch(key) else "" for key in _texts(table, "person").to_pylist()], {}
        platforms, accounts = (_texts(table, name) for name in ACCOUNT_COLUMNS)
        named = list(zip(platforms.to_pylist(), accounts.to_pylist(), strict=True))
        keys = [account_key(self._key, *name) for name in named if all(name)]
        owners = iter(self.source.resolve(keys))
        persons = [next(owners) if all(name) else "" for name in named]
        return persons, {"platform": platforms, "account": accounts}

    def _blocks(
        self, part: ScorePart, resolved: list[tuple[_Rows, list[str], dict[str, pa.Array]]]
    ) -> Iterator[Block]:
        for rows, persons, echo in resolved:
            for start in range(0, len(persons), PEOPLE_PER_BLOCK):
                asked = persons[start : start + PEOPLE_PER_BLOCK]
                allowed = [place for place, person in enumerate(asked) if person and person not in self._withdrawn]
                known, block = self.source.get([asked[place] for place in allowed])
                places = np.array(allowed, np.int64)[known]
                self._leave_out(part, rows, start, asked, set(places.tolist()))
                if len(places):
                    yield block, {name: column.take(pa.array(start + places)) for name, column in echo.items()}
        part.left_out.sort(key=lambda row: row.line)

    def _leave_out(self, part: ScorePart, rows: _Rows, start: int, asked: list[str], scored: set[int]) -> None:
        left = [place for place in range(len(asked)) if place not in scored]
        where = rows.chunk.locate([rows.start + start + place for place in left])
        for place, (line, raw) in zip(left, where, strict=True):
            reason = self._reason(asked[place])
            part.left_out.append(LeftOut(line, reason, raw))
            part.reasons[reason] += 1

    def _reason(self, person: str) -> str:
        if not person:
            return "platform or account is empty" if self.echoed else _NO_KEY
        return WITHDRAWN if person in self._withdrawn else UNKNOWN


def _texts(table: pa.Table, name: str) -> pa.Array:
    column = pc.fill_null(table[name].cast(pa.string()), "")
    # As the import trims ids before it hashes them.
    return pc.utf8_trim(column, characters=" \t\r").combine_chunks()
