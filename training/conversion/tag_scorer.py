"""Scores of tags for the rows of impressions, by a tag model that was trained before all of these."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError
from features.impressions import Impressions
from features.outcomes import fit_thresholds, label_history
from features.population import population
from features.rows import row_blocks
from features.spine import Spine
from features.tag_scores import TagScores
from features.thresholds import Thresholds
from training.bundle import Bundle
from training.source import LogSource

STEP_DAYS: Final = 7


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
        self._bundle, self._log, self._start = bundle, log, start
        self._levels: dict[int, Thresholds] = {}

    @property
    def facts(self) -> Mapping[str, Any]:
        """Names the scorer."""
        return {"tags_bundle": self._bundle.version, "start": self._start, "step_days": STEP_DAYS}

    @cached_property
    def tags(self) -> NDArray[np.int64]:
        """Numbers of the tags whose scores are columns: learned ones that a pattern made."""
        made = np.array([bool(tag.pattern) for tag in self._bundle.taxonomy.tags])
        return np.flatnonzero(made & self._bundle.model.active)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(dict.fromkeys(self._bundle.taxonomy.tags[tag].pattern for tag in self.tags))

    def scores(self, events: Any, identities: Any | None, impressions: Impressions) -> TagScores:
        """Score the persons of some impressions; the events hold everything that these did."""
        taxonomy = self._bundle.taxonomy
        members = dict(taxonomy.scopes.members)
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
            probabilities.append(self._probabilities(events, spine, instant))
        return TagScores(
            np.array(instants, np.int64),
            tuple(persons),
            tuple(probabilities),
            tuple(taxonomy.tags[tag].pattern for tag in self.tags),
            tuple(tuple(members[taxonomy.tags[tag].scope]) for tag in self.tags),
        )

    def _probabilities(self, events: Any, spine: Spine, instant: int) -> NDArray[np.float32]:
        model, layout = self._bundle.model, self._bundle.layout
        found = np.empty((len(spine), len(self.tags)), np.float32)
        if not len(spine):
            return found
        past = label_history(self._bundle.taxonomy, events, spine, self._thresholds(instant))
        for numbers, rows in row_blocks(layout, events, spine, past):
            found[numbers] = model.predict(rows)[:, self.tags]
        return found

    def _thresholds(self, instant: int) -> Thresholds:
        if instant not in self._levels:
            log, taxonomy = self._log, self._bundle.taxonomy
            everybody = population(log.events, log.identities, [instant], log.timezone)
            self._levels[instant] = fit_thresholds(taxonomy, log.events, everybody)
        return self._levels[instant]
