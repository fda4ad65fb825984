"""How live rows are read from states: by a bundle's layout, with what a fill fitted on everybody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np

from features.incremental.live_layout import LiveLayout
from features.rows.layout import RowLayout
from features.rows.outcomes import fit_thresholds
from features.spine import Spine
from features.taxonomy.taxonomy import Taxonomy

BACKFILL = "run `zhongcao backfill` to fill it from the log"


class RowBundle(Protocol):
    """What is needed of a bundle; `training.tags.bundle.Bundle` has it."""

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def layout(self) -> RowLayout: ...  # noqa: D102

    @property
    def taxonomy(self) -> Taxonomy: ...  # noqa: D102


@dataclass(frozen=True)
class _WithoutAdded:
    """A bundle without the tags that were added to it: the rows of its base."""

    version: str
    layout: RowLayout
    taxonomy: Taxonomy


def reader_of(bundle: RowBundle, schema_hash: str) -> RowBundle | None:
    """Return whose rows a store holds: a bundle's, or those that it had before tags were added; None for neither.

    Parameters
    ----------
    bundle
        What answers.
    schema_hash
        Of the store's rows.
    """
    if schema_hash == bundle.layout.schema_hash:
        return bundle
    if schema_hash == bundle.layout.base.schema_hash:
        return _WithoutAdded(bundle.version, bundle.layout.base, bundle.taxonomy.base)
    return None


@dataclass(frozen=True)
class RowFacts:
    """What a fill knew beside the states, frozen until the next one.

    Parameters
    ----------
    timezone
        The log's.
    as_of
        Instant of the fill: whose accounts are whose is as of then, epoch seconds.
    kinds
        Whoever has an event of these kinds gets a row; None for any event.
    levels
        Population quantiles that the rules of tags compare with, by key; None where nobody had a positive value.
    """

    timezone: str
    as_of: int
    kinds: tuple[str, ...] | None
    levels: Mapping[str, float | None]

    @classmethod
    def fitted(
        cls, taxonomy: Taxonomy, events: Any, people: Spine, as_of: int, kinds: Sequence[str] | None
    ) -> Self:
        """Fit the quantiles on the population of an instant."""
        at = fit_thresholds(taxonomy, events, people).at(np.array([as_of])) if len(people) else {}
        levels = {key: None if np.isnan(level[0]) else float(level[0]) for key, level in at.items()}
        return cls(people.timezone, as_of, None if kinds is None else tuple(kinds), levels)

    def to_json(self) -> str:
        """Return them as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        said = json.loads(text)
        kinds = said["kinds"]
        return cls(said["timezone"], said["as_of"], None if kinds is None else tuple(kinds), said["levels"])

    def layout(self, bundle: RowBundle) -> LiveLayout:
        """Return what reads the rows of a bundle from states."""
        levels = {key: float("nan") if level is None else level for key, level in self.levels.items()}
        return LiveLayout(bundle.layout, self.timezone, bundle.taxonomy, levels)

    def scores(self, kinds: Sequence[str]) -> bool:
        """Tell whether events of these kinds give a person a row."""
        return self.kinds is None or not set(kinds).isdisjoint(self.kinds)
