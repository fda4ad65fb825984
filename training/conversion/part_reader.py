"""Reads the impressions of one part of the people: what came of them, and the rows of those that are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.events import ITEMS, NOTE_ITEMS, NOTES, table
from features.impressions.columns import KEPT_KINDS
from features.impressions.features import ImpressionFeatures, known_after, rows_by_person
from features.impressions.history import NoteHistory
from features.impressions.response_query import Match
from features.impressions.responses import Responses, responses
from features.impressions.table import Impressions, read_impressions
from features.impressions.tag_scores import TagScores
from features.log.person_parts import PersonParts
from features.small_tables import columns_of
from training.conversion.examples import Floats, Ints
from training.conversion.kept_parts import Part
from training.source import LogSource

_EVENTS_AT_ONCE: Final = 500_000
MOST_PARTS: Final = 60
"""Parts that are learned from: of a log of more than 30 million events those of some of its people."""
FEW_PARTS: Final = 20
"""Parts that are judged by, where an even sample is all that is wanted."""
_VERSIONS: Final = """
select * from rows where arrived_at <= {known_at}
qualify row_number() over (partition by "{key}", arrived_at order by hash(rows)) = 1
"""
Choose: TypeAlias = Callable[[Impressions, Responses], tuple[Ints, Floats]]
"""Chooses impressions, and says how many each stands for."""


@dataclass(frozen=True)
class Outcomes:
    """What counts as an answer to an impression.

    Parameters
    ----------
    windows
        Target → seconds.
    match
        What a purchase must share with the impression: note, brand or items.
    arrival_delay
        Seconds that events take to arrive.
    paid_only
        Leave organic impressions out.
    """

    windows: dict[str, int]
    match: Match = "note"
    arrival_delay: int = 0
    paid_only: bool = False


class TagScorer(Protocol):
    """Scores the tags of the persons of some impressions, as of instants before these."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Names the scorer: equal facts, equal scores."""

    def scores(self, events: Any, identities: Any | None, impressions: Impressions) -> TagScores:
        """Return the scores; the events hold everything that these did."""


@dataclass(frozen=True)
class Asked:
    """Which impressions are read, and what is wanted of them.

    Parameters
    ----------
    start, end
        Impressions in [start, end), epoch seconds.
    known_at
        What was known by then.
    features
        Columns of their rows.
    scores
        Makes the scores of tags among them.
    """

    start: int
    end: int
    known_at: int
    features: ImpressionFeatures
    scores: TagScorer | None = None


@dataclass(frozen=True)
class _Facts:
    """What is known beside the people, in memory: any thread may read it."""

    everybody: NoteHistory
    notes: pa.Table
    items: pa.Table
    linked: pa.Table


class PartReader:
    """Cuts a log by person into parts of so many events as are held at once, and reads them one by one.

    Parameters
    ----------
    log, catalogue, outcomes
        As for `training.conversion.source.ConversionSource`.
    asked
        What to read.
    few
        Of a large log, whether some of the people do that are otherwise read.
    """

    def __init__(
        self,
        log: LogSource,
        catalogue: Mapping[str, duckdb.DuckDBPyRelation],
        outcomes: Outcomes,
        asked: Asked,
        *,
        few: bool,
    ) -> None:
        self._log, self._outcomes, self.asked, self._few = log, outcomes, asked, few
        # Tags are about all of the past.
        after = 0 if asked.scores is not None else known_after(asked.start)
        kept = ", ".join(f"'{kind}'" for kind in KEPT_KINDS)
        self._events = log.events.filter(
            f"arrived_at <= {asked.known_at} and (event_time >= {after} or kind in ({kept}))"
        )
        self._linked = catalogue["note_items"].filter(f"arrived_at <= {asked.known_at}")
        self._notes, self._items = (versions(catalogue[name], name, asked.known_at) for name in ("notes", "items"))

    @property
    def number(self) -> int:
        """How many parts are read."""
        return min(self.parts, FEW_PARTS if self._few else MOST_PARTS)

    @property
    def share(self) -> float:
        """Share of the people that is in these."""
        return self.number / self.parts

    @cached_property
    def parts(self) -> int:
        """How many parts the log is cut into."""
        (many,) = self._events.aggregate("count(*)").fetchall()[0]
        return max(1, -(-int(many) // _EVENTS_AT_ONCE))

    @property
    def facts(self) -> dict[str, Any]:
        """Names what is read, JSON-able."""
        asked = self.asked
        return {
            "span": [asked.start, asked.end, asked.known_at],
            "outcomes": asdict(self._outcomes),
            "features": asked.features.to_json(),
            "scores": None if asked.scores is None else dict(asked.scores.facts),
            "parts": [self.number, self.parts],
        }

    def reading(self, folder: Path) -> Callable[[int, Choose], Part]:
        """Cut the log into a folder, and return what reads a part by its number and what is chosen of it.

        Where no scores are asked for, any number of threads may read parts.
        """
        asked, log = self.asked, self._log
        cut = PersonParts(
            self._events,
            log.identities,
            known_at=asked.known_at,
            number=self.parts,
            folder=folder,
            first=self.number,
        )
        everybody = asked.features.notes(
            log.events, log.timezone, after=known_after(asked.start), note_items=self._linked
        )
        facts = _Facts(
            everybody,
            columns_of(self._notes, NOTES, NOTES.schema.names),
            columns_of(self._items, ITEMS, ITEMS.schema.names),
            columns_of(self._linked, NOTE_ITEMS, ("note", "item")),
        )

        def read(number: int, choose: Choose) -> Part:
            with log.con.cursor() as con:
                return self._read(*cut.read(number, con), facts, choose)

        return read

    def _read(self, events: duckdb.DuckDBPyRelation, identities: Any | None, facts: _Facts, choose: Choose) -> Part:
        asked, outcomes = self.asked, self._outcomes
        seen = read_impressions(
            events,
            identities,
            facts.notes,
            start=asked.start,
            end=asked.end,
            known_at=asked.known_at,
            timezone=self._log.timezone,
            items=facts.items,
            paid_only=outcomes.paid_only,
        )
        own = facts.notes.filter(pc.is_valid(facts.notes["item"])).select(["note", "item"])
        found = responses(
            events,
            identities,
            seen,
            windows=outcomes.windows,
            match=outcomes.match,
            note_items=pa.concat_tables([facts.linked, own]),
            arrival_delay=outcomes.arrival_delay,
            span=(asked.start, asked.end),
        )
        chosen, weight = choose(seen, found)
        impressions = seen.take(chosen)
        rows = np.empty((len(impressions), len(asked.features.columns)), np.float32)
        scores = None if asked.scores is None else asked.scores.scores(events, identities, impressions)
        for places, some in rows_by_person(
            asked.features, events, identities, impressions, scores=scores, notes=facts.everybody
        ):
            rows[places] = some
        return Part(impressions.table, found.known_at[chosen], weight, rows)


def versions(rows: duckdb.DuckDBPyRelation, name: str, known_at: int) -> duckdb.DuckDBPyRelation:
    """Return all versions of notes or items that had arrived by an instant, one of those that arrived together."""
    return rows.query("rows", _VERSIONS.format(key=table(name).key, known_at=int(known_at)))
