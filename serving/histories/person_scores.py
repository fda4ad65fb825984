"""Scores of tags beside histories: of everybody as of a fill, so that no request needs a second model."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features.settings import Settings
from features.spine import Spine
from serving.histories.store import Scores
from training.bundles.champion import champion_path, verify_bundle
from training.bundles.manifest import CONVERSION
from training.conversion.bundle import tags_inside
from training.conversion.tag_scorer import PeopleScorer
from training.tags.bundle import Bundle, load_bundle

_SOME: Final = "scored_events"


def scoring_tags(settings: Settings) -> Bundle | None:
    """Return the tag models whose scores the conversion champion reads; None where it reads none, or there is none.

    Raises
    ------
    BundleError
        The champion is not whole, or its tag models are refused.
    """
    if not settings.conversion_champion_file.exists():
        return None
    folder = champion_path(settings, CONVERSION)
    inside = tags_inside(folder)
    if inside is None:
        return None
    verify_bundle(folder, CONVERSION)
    return load_bundle(inside)


class PersonScores:
    """Scores everybody as of one instant, some people at a time.

    Parameters
    ----------
    bundle
        Of tag models.
    con, events
        What was known at the instant, and the connection that it lives on.
    everybody
        As of the instant: the quantiles that rules compare with are those of all of them.
    deleted
        Key of a person → tags that must not be inferred.
    """

    def __init__(
        self,
        bundle: Bundle,
        con: duckdb.DuckDBPyConnection,
        events: duckdb.DuckDBPyRelation,
        everybody: Spine,
        deleted: Mapping[str, AbstractSet[str]],
    ) -> None:
        self._deleted = deleted
        self.scored_by = bundle.version
        self._people = PeopleScorer(bundle)
        self._con = con
        self._thresholds = self._people.thresholds(events, everybody)

    def of(self, spine: Spine, events: duckdb.DuckDBPyRelation) -> dict[str, Scores]:
        """Return some people's scores, by key, but for tags that they deleted; their events are held meanwhile."""
        owned = pa.table({"account": pc.unique(spine.accounts["account"])})  # noqa: F841
        own = events.query("events_", "select events_.* from events_ semi join owned using (account)")
        own.create(_SOME)
        try:
            scores = self._people.probabilities(self._con.table(_SOME), spine, self._thresholds)
        finally:
            self._con.execute(f"drop table {_SOME}")
        found = dict(zip(spine.persons, scores, strict=True))
        for person in found.keys() & self._deleted.keys():
            found[person] = self._people.tags.without(found[person][None], self._deleted[person])[0]
        return found
