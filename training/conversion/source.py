"""Reads examples from a log: impressions, what came of them, and their rows, of a sample only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS
from features.errors import LogTooShortError, TrainingError
from features.event_log import EventLog, latest_rows
from features.impression_features import ImpressionFeatures, rows_by_person
from features.impressions import Impressions, read_impressions
from features.response_query import Match
from features.responses import TARGETS, Responses, responses
from features.settings import Settings
from features.tag_scores import TagScores
from training.conversion.examples import Examples, Floats, Ints
from training.conversion.sampling import hash_share, shares_of, thinned
from training.source import LogSource, open_source
from training.steps import Steps

_AT_ONCE = 2_000_000
_CLICKS: Final = [TARGETS.index(target) for target in ("click", "true_interest")]
_LEVELS: Final = (_CLICKS, [number for number in range(len(TARGETS)) if number not in _CLICKS])
_CATALOGUE: Final = ("notes", "items", "note_items")


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


@dataclass(frozen=True)
class Sample:
    """Examples, and the impressions that they are."""

    examples: Examples
    impressions: Impressions


class ConversionSource:
    """One frozen version of a log, to read examples from.

    Parameters
    ----------
    log
        Events and identities.
    catalogue
        Stored rows of notes, items and note_items, replaced ones too, on the same connection, by the names of
        their tables.
    outcomes
        What counts as an answer.
    steps
        Shows progress.
    """

    def __init__(
        self, log: LogSource, catalogue: Mapping[str, duckdb.DuckDBPyRelation], outcomes: Outcomes, steps: Steps
    ) -> None:
        self.log = log
        self.outcomes = outcomes
        self._catalogue = catalogue
        self._steps = steps

    @classmethod
    def open(cls, settings: Settings, outcomes: Outcomes, steps: Steps) -> ConversionSource:
        """Read the log's present version.

        Raises
        ------
        EventLogError
            There is no log yet, or it holds no events.
        """
        log, stored = open_source(settings), EventLog.open(settings)
        for name in _CATALOGUE:
            stored.rows(log.con, name).create(f"log_{name}")
        return cls(log, {name: log.con.table(f"log_{name}") for name in _CATALOGUE}, outcomes, steps)

    @cached_property
    def data_version(self) -> str:
        """Names the data: events, identities, and what is known of notes and items."""
        said = [
            relation.query("rows", "select count(*), coalesce(bit_xor(hash(rows)), 0) from rows").fetchall()
            for relation in self._catalogue.values()
        ]
        return f"{self.log.data_version}-{hashlib.sha256(repr(said).encode()).hexdigest()[:8]}"

    def features(self, as_of: int, patterns: tuple[str, ...] = ()) -> ImpressionFeatures:
        """Return the columns of the rows, for the platforms that were known by an instant."""
        seen = self.log.events.filter(f"kind = 'impression' and event_time < {as_of} and arrived_at <= {as_of}")
        platforms = sorted(name for (name,) in seen.project("platform").distinct().fetchall() if name)
        return ImpressionFeatures(platforms=tuple(platforms), patterns=patterns)

    def train_sample(
        self, start: int, as_of: int, *, most: int, seed: int,
        features: ImpressionFeatures, scores: TagScores | None = None,
        known_at: int | None = None,
    ) -> Sample:  # fmt: skip
        """Read the impressions from a start to an instant that led to the shop, and some of the others.

        Parameters
        ----------
        start, as_of
            Impressions in [start, as_of).
        most
            About how many of them.
        seed
            Chooses which.
        features, scores
            Columns of the rows.
        known_at
            What was known by then is read; `as_of` by default.
        """
        impressions, clicks = self._counts(start, as_of)
        if not impressions:
            raise TrainingError(
                "the log holds no impression of a note in the training span",
                value=f"{(as_of - start) / DAY_SECONDS:.0f} days",
                next_step="import impressions that name their note, or name another date",
            )
        shares = shares_of(impressions, clicks, most)
        self._steps.say(
            f"{impressions:,} impressions and {clicks:,} clicks in the training span; learned from: all that led "
            f"further, {shares.clicked:.3g} of the other clicked ones, {shares.others:.3g} of the rest"
        )
        parts, weights = [], []
        for part, found in self._answered(start, as_of, known_at or as_of):
            happened = found.known_at > 0
            clicked, further = (np.asarray(happened[:, kinds].any(axis=1), bool) for kinds in _LEVELS)
            kept, weight = thinned(part.table["event_id"], clicked, further, shares, seed)
            parts.append((part.take(kept), found.known_at[kept]))
            weights.append(weight)
        return self._sample(parts, np.concatenate(weights), features, scores)

    def test_sample(
        self, start: int, end: int, known_at: int, *, most: int, seed: int, features: ImpressionFeatures,
        scores: TagScores | None = None,
    ) -> Sample:  # fmt: skip
        """Read an even sample of the impressions of a stretch, with what was known of them by an instant."""
        share = min(1.0, most / max(self._counts(start, end)[0], 1))
        parts = []
        for part, found in self._answered(start, end, known_at):
            kept = np.flatnonzero(hash_share(part.table["event_id"], seed) < share)
            parts.append((part.take(kept), found.known_at[kept]))
        if not sum(len(part) for part, _ in parts):
            raise LogTooShortError(
                "the log holds no impressions after the as-of date to evaluate on", next_step="name an earlier date"
            )
        return self._sample(parts, np.ones(sum(len(part) for part, _ in parts)), features, scores)

    def _counts(self, start: int, end: int) -> tuple[int, int]:
        seen = self.log.events.filter(f"event_time >= {start} and event_time < {end} and note is not null")
        counts = dict(seen.filter("kind in ('impression', 'click')").aggregate("kind, count(*)").fetchall())
        return counts.get("impression", 0), counts.get("click", 0)

    def _answered(self, start: int, end: int, known_at: int) -> Iterator[tuple[Impressions, Responses]]:
        """Yield the impressions of some days at a time, and what came of them, in bounded memory."""
        many = max(self._counts(start, end)[0], 1)
        pieces = max(1, -(-many // _AT_ONCE))
        notes, items = (
            latest_rows(self.log.con, self._catalogue[name], name, known_at) for name in ("notes", "items")
        )
        edges = np.linspace(start, end, pieces + 1).astype(np.int64).tolist()
        with self._steps.step("what came of impressions", pieces) as advance:
            for low, high in pairwise(edges):
                part = read_impressions(
                    self.log.events,
                    self.log.identities,
                    notes,
                    start=low,
                    end=high,
                    known_at=known_at,
                    timezone=self.log.timezone,
                    items=items,
                    paid_only=self.outcomes.paid_only,
                )
                found = responses(
                    self.log.events,
                    self.log.identities,
                    part,
                    windows=self.outcomes.windows,
                    match=self.outcomes.match,
                    note_items=self._catalogue["note_items"],
                    arrival_delay=self.outcomes.arrival_delay,
                )
                yield part, found
                advance()

    def _sample(
        self, parts: list[tuple[Impressions, Ints]], weight: Floats, features: ImpressionFeatures,
        scores: TagScores | None,
    ) -> Sample:  # fmt: skip
        first = parts[0][0]
        impressions = Impressions(
            pa.concat_tables([part.table for part, _ in parts]), first.timezone, first.known_at
        )
        rows = np.empty((len(impressions), len(features.columns)), np.float32)
        with self._steps.step(f"rows of {len(rows):,} impressions", len(rows)) as advance:
            for places, some in rows_by_person(
                features,
                self.log.events,
                self.log.identities,
                impressions,
                scores=scores,
                note_items=self._catalogue["note_items"],
            ):
                rows[places] = some
                for _ in places:
                    advance()
        table = impressions.table
        person = table["person"].combine_chunks().dictionary_encode()
        examples = Examples(
            features=features.columns,
            targets=TARGETS,
            rows=rows,
            time=impressions.times,
            known_at=np.concatenate([known_at for _, known_at in parts]),
            windows=np.array([self.outcomes.windows[target] for target in TARGETS], np.int64),
            weight=weight,
            group=np.asarray(pc.fill_null(table["category"], "").to_numpy(zero_copy_only=False), str),
            person=person.indices.to_numpy().astype(np.int64),
            arrival_delay=self.outcomes.arrival_delay,
        )
        return Sample(examples, impressions)
