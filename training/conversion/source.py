"""Reads examples from a log: impressions, what came of them, and their rows, of a sample only."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow.compute as pc

from features.days import DAY_SECONDS
from features.errors import EventLogError, LogTooShortError, TrainingError
from features.impressions.features import ImpressionFeatures
from features.impressions.responses import TARGETS, Responses
from features.impressions.table import Impressions, count_impressions
from features.log.event_log import EventLog
from features.processes import in_threads
from features.settings import Settings
from training.conversion.examples import Examples, Floats, Ints
from training.conversion.kept_parts import KeptParts, Part
from training.conversion.part_reader import Asked, Choose, Outcomes, PartReader, TagScorer, versions
from training.conversion.sampling import hash_share, shares_of, thinned
from training.source import LogSource, open_source
from training.steps import Steps

__all__ = ["ConversionSource", "Outcomes", "Sample", "TagScorer"]

_CLICKS: Final = [TARGETS.index(target) for target in ("click", "true_interest")]
_LEVELS: Final = (_CLICKS, [number for number in range(len(TARGETS)) if number not in _CLICKS])
_CATALOGUE: Final = ("notes", "items", "note_items")
_OF_VERTICALS: Final = "person_vertical_"
_VERTICALS: Final = """
select category, min_by(department, (-rows, department)) from (
    select category, department, count(*) as rows from items
    where arrived_at <= {as_of} and category is not null and department is not null group by all
) group by category order by category
"""


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
    threads
        How many parts of the people are read at once, where several are.
    """

    def __init__(
        self,
        log: LogSource,
        catalogue: Mapping[str, duckdb.DuckDBPyRelation],
        outcomes: Outcomes,
        steps: Steps,
        *,
        threads: int = 1,
    ) -> None:
        self.log = log
        self.threads = threads
        self.outcomes = outcomes
        self._catalogue = catalogue
        self._steps = steps

    @classmethod
    def open(
        cls, settings: Settings, outcomes: Outcomes, steps: Steps, *, version: int | None = None
    ) -> ConversionSource:
        """Read one version of the log's events, the latest by default.

        Raises
        ------
        EventLogError
            There is no log yet, or it holds no events, or the version is gone.
        """
        # The log is gone through a few times only, whatever its size: a copy would cost more than it saves.
        log, stored = open_source(settings, copied=False, version=version), EventLog.open(settings)
        for name in _CATALOGUE:
            stored.rows(log.con, name).create(f"log_{name}")
        catalogue = {name: log.con.table(f"log_{name}") for name in _CATALOGUE}
        return cls(log, catalogue, outcomes, steps, threads=settings.threads)

    @cached_property
    def data_version(self) -> str:
        """Names the data: events, identities, and what is known of notes and items."""
        said = [
            relation.query("rows", "select count(*), coalesce(bit_xor(hash(rows)), 0) from rows").fetchall()
            for relation in self._catalogue.values()
        ]
        return f"{self.log.data_version}-{hashlib.sha256(repr(said).encode()).hexdigest()[:8]}"

    def features(self, as_of: int, patterns: tuple[str, ...] = ()) -> ImpressionFeatures:
        """Return the columns of the rows, for the platforms and verticals that were known by an instant.

        The vertical of a category is the department of most of its items. Where no item names one, the columns of
        verticals are left out.
        """
        seen = self.log.events.filter(f"kind = 'impression' and event_time < {as_of} and arrived_at <= {as_of}")
        platforms = sorted(name for (name,) in seen.project("platform").distinct().fetchall() if name)
        verticals = tuple(self._catalogue["items"].query("items", _VERTICALS.format(as_of=int(as_of))).fetchall())
        every = ImpressionFeatures(platforms=tuple(platforms), verticals=verticals, patterns=patterns)
        if verticals:
            return every
        return every.choose([name for name in every.columns if not name.startswith(_OF_VERTICALS)])

    def train_sample(
        self, start: int, as_of: int, *, most: int, seed: int,
        features: ImpressionFeatures, scores: TagScorer | None = None,
        known_at: int | None = None, folder: Path | None = None,
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
        folder
            Keeps what is finished, so that a run that was cut off goes on behind it; whoever names it deletes it.
        """
        by = as_of if known_at is None else known_at
        impressions, clicks = self._counts(start, as_of, by)
        if not impressions:
            raise TrainingError(
                f"the log holds no {self._kind()} of a note in the training span",
                value=f"{(as_of - start) / DAY_SECONDS:.0f} days",
                next_step="import impressions that name their note, or name another date",
            )
        reader = self._reader(Asked(start, as_of, by, features, scores), few=False)
        shares = shares_of(round(impressions * reader.share), round(clicks * reader.share), most)
        people = "" if reader.share == 1 else f"of {reader.share:.3g} of the people "
        self._steps.say(
            f"{impressions:,} {self._kind()}s and {clicks:,} clicks in the training span; learned from: {people}"
            f"all that led further, {shares.clicked:.3g} of the other clicked ones, {shares.others:.3g} of the rest"
        )

        def choose(part: Impressions, found: Responses) -> tuple[Ints, Floats]:
            happened = found.known_at > 0
            clicked, further = (np.asarray(happened[:, kinds].any(axis=1), bool) for kinds in _LEVELS)
            return thinned(part.table["event_id"], clicked, further, shares, seed)

        facts = {"most": most, "seed": seed, "evenly": False}
        return self._sample(reader, choose, folder, facts)

    def test_sample(
        self, start: int, end: int, known_at: int, *, most: int, seed: int, features: ImpressionFeatures,
        scores: TagScorer | None = None, folder: Path | None = None,
    ) -> Sample:  # fmt: skip
        """Read an even sample of the impressions of a stretch, with what was known of them by an instant."""
        reader = self._reader(Asked(start, end, known_at, features, scores), few=True)
        share = min(1.0, most / max(self._counts(start, end, known_at)[0] * reader.share, 1))

        def choose(part: Impressions, _: Responses) -> tuple[Ints, Floats]:
            kept = np.flatnonzero(hash_share(part.table["event_id"], seed) < share)
            return kept, np.ones(len(kept))

        facts = {"most": most, "seed": seed, "evenly": True}
        sample = self._sample(reader, choose, folder, facts)
        if not len(sample.impressions):
            raise LogTooShortError(
                f"the log holds no {self._kind()}s after the as-of date to evaluate on",
                next_step="name an earlier date",
            )
        return sample

    def _kind(self) -> str:
        return "paid impression" if self.outcomes.paid_only else "impression"

    def _counts(self, start: int, end: int, known_at: int) -> tuple[int, int]:
        notes = versions(self._catalogue["notes"], "notes", known_at)
        return count_impressions(
            self.log.events, notes, start=start, end=end, known_at=known_at, paid_only=self.outcomes.paid_only
        )

    def _reader(self, asked: Asked, *, few: bool) -> PartReader:
        return PartReader(self.log, self._catalogue, self.outcomes, asked, few=few)

    def _sample(self, reader: PartReader, choose: Choose, folder: Path | None, facts: Mapping[str, Any]) -> Sample:
        """Read chosen impressions, part by part: beside them and their rows one part is held."""
        depends_on = {"data_version": self.data_version, **reader.facts, **facts}
        with _kept(folder) as place, _rewritten():
            kept = KeptParts(place, depends_on)
            missing = [part for part in range(reader.number) if part not in kept]
            if len(missing) < reader.number:
                self._steps.say(f"{reader.number - len(missing)} of {reader.number} parts of the rows: reused")
            if missing:
                read = reader.reading(place / "events")
                # Scores are asked of the log's own connection.
                threads = 1 if reader.asked.scores is not None else self.threads
                with self._steps.step("impressions, answers and rows, by parts of people", len(missing)) as advance:
                    made = in_threads(lambda part: (part, read(part, choose)), missing, threads)
                    for part, those in made:
                        kept.keep(part, those)
                        advance()
                shutil.rmtree(place / "events", ignore_errors=True)
            whole = kept.together(range(reader.number))
        return self._of(whole, reader.asked)

    def _of(self, whole: Part, asked: Asked) -> Sample:
        impressions = Impressions(whole.table, self.log.timezone, asked.known_at)
        person = whole.table["person"].combine_chunks().dictionary_encode()
        examples = Examples(
            features=asked.features.columns,
            targets=TARGETS,
            rows=whole.rows,
            time=impressions.times,
            known_at=whole.known_at,
            windows=np.array([self.outcomes.windows[target] for target in TARGETS], np.int64),
            weight=whole.weight,
            group=np.asarray(pc.fill_null(whole.table["category"], "").to_numpy(zero_copy_only=False), str),
            person=person.indices.to_numpy().astype(np.int64),
            arrival_delay=self.outcomes.arrival_delay,
        )
        return Sample(examples, impressions)


@contextmanager
def _rewritten() -> Iterator[None]:
    try:
        yield
    except duckdb.IOException as error:
        raise EventLogError(
            f"the log's files could not be read to the end: {error}",
            next_step="if people were erased meanwhile, run the command again; what was finished is reused as long "
            "as the data are the same",
        ) from error


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
