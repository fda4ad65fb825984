from __future__ import annotations

import numpy as np
import pytest

import training.tags.outlook_fit
from features.rows.catalog import layout_for
from features.rows.fitted import fit_affinities
from tests.training.small_log import small_taxonomy
from training.tags.outlook_fit import fit_outlook, window_moments
from training.tags.pairs import Fitted, PairView, Window
from training.tags.statics import tag_statics

TAXONOMY = small_taxonomy()
TAGS = len(TAXONOMY.tags)
VIEW = PairView(layout_for(TAXONOMY, ("purchase",)), TAXONOMY)
PEOPLE = 23


def some_window() -> Window:
    rng = np.random.default_rng(6)
    rows = np.floor(rng.exponential(3.0, (PEOPLE, VIEW.layout.width))).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    fitted = Fitted(
        fit_affinities(VIEW.layout, np.nan_to_num(rows)),
        tag_statics(VIEW.layout, TAXONOMY, rows),
        fit_outlook(VIEW, []),
    )
    outcomes = (rng.random((PEOPLE, TAGS)) < 0.3).astype(np.uint8)
    return Window(0, [f"p{n:02}" for n in range(PEOPLE)], rows, outcomes, fitted)


@pytest.mark.parametrize(("most", "people"), [(20_000, range(PEOPLE)), (3, [0, 11, 22])])
def test_moments_are_sums_over_people_taken_evenly(
    most: int, people: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    window = some_window()
    monkeypatch.setattr(training.tags.outlook_fit, "MOST_PEOPLE", most)
    monkeypatch.setattr(training.tags.outlook_fit, "_AT_ONCE", 4)
    found = window_moments(VIEW, window)
    chosen = np.array(people)
    for tag in range(TAGS):
        pairs = VIEW.gather(window.rows, window.fitted, chosen, np.full(len(chosen), tag))
        terms = VIEW.basis.terms(pairs)
        np.testing.assert_allclose(found.squares[tag], terms.T @ terms)
        np.testing.assert_allclose(found.outcomes[tag], terms.T @ window.outcomes[chosen, tag])


def test_the_outlook_of_a_pair_is_the_same_alone_and_among_others() -> None:
    window = some_window()
    fitted = Fitted(
        window.fitted.affinities, window.fitted.statics, fit_outlook(VIEW, [window_moments(VIEW, window)])
    )
    people, tags = np.repeat(np.arange(PEOPLE), TAGS), np.tile(np.arange(TAGS), PEOPLE)
    together = VIEW.gather(window.rows, fitted, people, tags)
    assert np.isfinite(together[:, -1]).all()
    for pair in range(0, len(people), 29):
        alone = fitted.outlook.expect(VIEW.basis.terms(together[[pair]]), tags[[pair]])
        np.testing.assert_array_equal(alone, together[[pair], -1])
