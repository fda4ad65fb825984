"""Scores of tags as of the week before an impression, by a model that knew nothing of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from features.errors import TrainingError
from features.events import EVENTS
from features.impressions.table import read_impressions
from features.people.acts import code_of
from features.rows.catalog import layout_for
from tests.features.logs import DAY, START
from tests.features.test_impressions import NOTE_ROWS, canonical, seen
from tests.training.small_log import small_taxonomy
from training.conversion.tag_scorer import BundleScorer
from training.source import LogSource

TAXONOMY = small_taxonomy()
LAYOUT = layout_for(TAXONOMY, {"purchase", "impression"})
BOUGHT = "purchase_count_all"


class CountingModel:
    """Stands in for a tag model: says of every tag how many purchases the row knows of, in hundredths."""

    active = np.array([tag.pattern != "" for tag in TAXONOMY.tags])

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        place = [feature.name for feature in LAYOUT.person_features].index(BOUGHT)
        return np.repeat(LAYOUT.person(rows)[:, [place]] / 100.0, len(TAXONOMY.tags), axis=1)


def bundle(as_of: int) -> Any:
    return SimpleNamespace(version="tags-x", as_of=as_of, taxonomy=TAXONOMY, layout=LAYOUT, model=CountingModel())


def buys(number: int, at: int, account: str = "a", late: int = 0) -> dict[str, Any]:
    event = seen(f"p{number}", at, account, kind="purchase", note=None, category="tea", amount=100, quantity=1)
    return event | {"arrived_at": START + at + late}


def test_each_week_has_the_scores_of_its_first_moment() -> None:
    events = [buys(1, 0), buys(2, 8 * DAY), buys(3, 9 * DAY, late=9 * DAY), buys(4, 0, "b")]
    shown = [
        seen("e1", 2 * DAY), seen("e2", 13 * DAY, category="tea"), seen("e3", 14 * DAY), seen("e4", 21 * DAY),
        seen("e5", 21 * DAY, "b"), seen("e6", 2 * DAY, "new"),
    ]  # fmt: skip
    con = duckdb.connect(config={"threads": 1})
    log = LogSource(con, con.from_arrow(canonical(EVENTS, events + shown)), None, "UTC", "v", START)  # type: ignore[arg-type]
    impressions = read_impressions(
        log.events, None, NOTE_ROWS, start=START, end=START + 90 * DAY, known_at=START + 90 * DAY, timezone="UTC"
    )
    scorer = BundleScorer(bundle(START), log, START + DAY)
    scores = scorer.scores(log.events, None, impressions)
    assert scores.instants.tolist() == [START + DAY + 7 * DAY * week for week in range(3)]
    found = scores.columns(
        scorer.patterns,
        np.array([code_of(name) for name in impressions.table["person"].to_pylist()]),
        np.full(len(impressions), code_of("tea")),
        impressions.times,
    )
    # What was bought on the eighth day is known from the next week on, what came late from its arrival on.
    by_id = dict(zip(impressions.table["event_id"].to_pylist(), found[scorer.patterns[0]].tolist(), strict=True))
    expected = {"e1": 0.01, "e2": 0.01, "e3": 0.01, "e4": 0.02, "e5": 0.01, "e6": np.nan}
    assert by_id == pytest.approx(expected, nan_ok=True)


def test_a_bundle_that_knows_the_outcome_is_refused() -> None:
    with pytest.raises(TrainingError, match="its scores would give the answers away"):
        BundleScorer(bundle(START + 1), None, START)  # type: ignore[arg-type]
