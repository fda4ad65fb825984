"""Scores of tags for the rows of impressions, by a tag model that was trained before all of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.impressions.table import Impressions
from features.impressions.tag_scores import ScoredTags, TagScores
from features.people.population import population
from features.rows.outcomes import fit_thresholds
from features.rows.thresholds import Thresholds
from features.spine import Spine
from training.source import LogSource
from training.tags.bundle import Bundle
from training.tags.windows import wide_rows

STEP_DAYS: Final = 7


class PeopleScorer:
    """Scores people as of an instant with one bundle.

    Parameters
    ----------
    bundle
        Of tag models.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        made = np.array([bool(tag.pattern) for tag in bundle.taxonomy.tags])
        self._numbers = np.flatnonzero(made & bundle.model.active)
        """Numbers of the tags whose scores are columns: learned ones that a pattern made."""

    @property
    def tags(self) -> ScoredTags:
        """The tags whose scores are columns."""
        members = dict(self.bundle.taxonomy.scopes.members)
        tags = [self.bundle.taxonomy.tags[number] for number in self._numbers]
        return ScoredTags(
            tuple(tag.pattern for tag in tags),
            tuple(tuple(members[tag.scope]) for tag in tags),
            tuple(tag.id for tag in tags),
        )

    @property
    def patterns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(dict.fromkeys(self.tags.patterns))

    def thresholds(self, events: Any, everybody: Spine) -> Thresholds:
        """Return the quantiles that rules compare with, of the whole population of an instant."""
        return fit_thresholds(self.bundle.taxonomy, events, everybody)

    def probabilities(self, events: Any, spine: Spine, thresholds: Thresholds) -> NDArray[np.float32]:
        """Return the scores of some people, float32 [n, T], in bounded memory beside them.

        Parameters
        ----------
        events
            They hold everything that these people did until the instant.
        spine
            n people, as of one instant.
        thresholds
            Of that instant.
        """
        model, taxonomy = self.bundle.model, self.bundle.taxonomy
        found = np.empty((len(spine), len(self._numbers)), np.float32)
        done = 0
        for rows in wide_rows(taxonomy, self.bundle.layout, events, spine, thresholds):
            found[done : done + len(rows)] = model.predict(rows)[:, self._numbers]
            done += len(rows)
        return found


class BundleScorer:
    """Scores persons once a week with one bundle; a row takes the scores of the last instant before it.

    Parameters
    ----------
    bundle
        Of tag models. It learned nothing of what came after its as-of date.
    log
        The whole log: quantiles that rules compare with are those of everybody.
    start
        Impressions from then on are scored.

    Raises
    ------
    TrainingError
        The bundle knows what came after the start: its scores would tell the outcome.
    """

    def __init__(self, bundle: Bundle, log: LogSource, start: int) -> None:
        if bundle.as_of > start:
            raise TrainingError(
                f"tag bundle {bundle.version} was trained on what came after the first impression that is learned "
                "from: its scores would give the answers away",
                value=bundle.as_of,
                valid=[f"{start} or earlier"],
                next_step="train one with zhongcao train tags --as-of an earlier day",
            )
        self.people = PeopleScorer(bundle)
        self._bundle, self._log, self._start = bundle, log, start
        self._levels: dict[int, Thresholds] = {}

    @property
    def patterns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.people.patterns

    @property
    def facts(self) -> Mapping[str, Any]:
        """Names the scorer."""
        return {"tags_bundle": self._bundle.version, "start": self._start, "step_days": STEP_DAYS}

    def scores(self, events: Any, identities: Any | None, impressions: Impressions) -> TagScores:
        """Score the persons of some impressions; the events hold everything that these did."""
        step = STEP_DAYS * DAY_SECONDS
        weeks = np.maximum(impressions.times - self._start, 0) // step
        instants = [int(self._start + week * step) for week in np.unique(weeks)]
        persons, probabilities = [], []
        for week, instant in zip(np.unique(weeks), instants, strict=True):
            asked = pc.unique(impressions.table["person"].filter(pa.array(weeks == week)))
            everybody = population(events, identities, [instant], self._log.timezone)
            there = pc.is_in(everybody.rows["person"], asked).to_numpy(zero_copy_only=False)
            spine = everybody.take(np.flatnonzero(there))
            persons.append(tuple(spine.persons))
            probabilities.append(self.people.probabilities(events, spine, self._thresholds(instant)))
        return TagScores(np.array(instants, np.int64), tuple(persons), tuple(probabilities), self.people.tags)

    def _thresholds(self, instant: int) -> Thresholds:
        if instant not in self._levels:
            log = self._log
            everybody = population(log.events, log.identities, [instant], log.timezone)
            self._levels[instant] = self.people.thresholds(log.events, everybody)
        return self._levels[instant]
