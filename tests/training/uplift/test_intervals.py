from __future__ import annotations

import numpy as np
import pytest

from training.uplift.curves import uplift_curve
from training.uplift.intervals import OUT_OF_FOLD, Interval, draw_rankings
from training.uplift.learners import TLearner


def example(people: int = 60, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    treated = rng.random(people) < 0.4
    outcome = (rng.random(people) < 0.4).astype(float)
    return rng.integers(0, 5, people).astype(float), rng.random(people), treated, outcome


def test_the_same_as_copying_the_people_of_every_draw() -> None:
    coarse, fine, treated, outcome = example()
    found = draw_rankings({"coarse": coarse, "fine": fine}, treated, outcome, resamples=12, seed=9)
    rng = np.random.default_rng(9)
    rows = [np.arange(60)]
    for _ in range(12):
        arms = (np.flatnonzero(treated), np.flatnonzero(~treated))
        rows.append(np.concatenate([arm[rng.integers(len(arm), size=len(arm))] for arm in arms]))
    for name, scores in (("coarse", coarse), ("fine", fine)):
        curves = [uplift_curve(scores[drawn], treated[drawn], outcome[drawn]) for drawn in rows]
        assert found[name].qini == pytest.approx([curve.qini for curve in curves])
        assert found[name].auuc == pytest.approx([curve.auuc for curve in curves])


def test_effect_of_the_top_cuts_through_ties_in_proportion() -> None:
    # The first two are certain; of the four that tie, two are needed: half of each of them.
    scores = np.array([3.0, 3, 2, 2, 2, 2, 1, 1])
    treated = np.array([True, False] * 4)
    outcome = np.array([1.0, 0, 1, 1, 0, 0, 0, 0])
    found = draw_rankings({"a": scores}, treated, outcome, shares=(0.25, 0.5, 1.0), resamples=1)
    tops = [float(found["a"].top[share][0]) for share in (0.25, 0.5, 1.0)]
    assert tops == pytest.approx([1.0, 1.5 / 2 - 0.5 / 2, 2 / 4 - 1 / 4])


def test_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, fine, treated, outcome = example()
    whole = draw_rankings({"fine": fine}, treated, outcome, resamples=10)["fine"]
    monkeypatch.setattr("training.uplift.intervals._WEIGHTS_AT_ONCE", 180)
    parts = draw_rankings({"fine": fine}, treated, outcome, resamples=10)["fine"]
    assert parts.qini.tolist() == whole.qini.tolist()


def test_a_ranking_beside_itself_differs_by_nothing() -> None:
    _, fine, treated, outcome = example()
    found = draw_rankings({"a": fine, "b": fine * 2}, treated, outcome, resamples=20)
    assert Interval.of(found["a"].qini - found["b"].qini) == (0.0, 0.0, 0.0)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    # Outcome and ranking have nothing to do with each other: the Qini is 0 in truth.
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores, treated = rng.random(300), rng.random(300) < 0.5
        drawn = draw_rankings({"a": scores}, treated, (rng.random(300) < 0.3).astype(float), resamples=120)
        low, high = Interval.of(drawn["a"].qini)[1:]
        held += low <= 0 <= high
    assert 51 <= held <= 60


def test_stretching_widens_what_the_ranking_adds_and_nothing_else() -> None:
    _, fine, treated, outcome = example()
    as_is, wide = (
        draw_rankings({"a": fine}, treated, outcome, shares=(0.5,), resamples=8, stretch=factor)["a"]
        for factor in (1.0, 2.0)
    )
    assert wide.effect.tolist() == as_is.effect.tolist()
    assert wide.qini - wide.qini[0] == pytest.approx(2 * (as_is.qini - as_is.qini[0]))
    for base, share in ((as_is.effect / 2, "auuc"), (as_is.effect, "top")):
        old, new = ((d.auuc if share == "auuc" else d.top[0.5]) - base for d in (as_is, wide))
        assert new - new[0] == pytest.approx(2 * (old - old[0]))


def test_cross_validated_ranking_of_people_whom_nothing_changes_is_seldom_found_good_or_bad() -> None:
    # With scores held fixed the interval left out 0 in 34 of 150 such trials.
    missed = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X, t = rng.normal(size=(500, 2)), rng.integers(0, 2, 500)
        y = (rng.random(500) < 0.3).astype(float)
        scores = TLearner(folds=5, seed=seed).fit(X, t, y).effects_
        drawn = draw_rankings({"a": scores}, t == 1, y, resamples=80, seed=seed, stretch=OUT_OF_FOLD)
        low, high = Interval.of(drawn["a"].qini)[1:]
        missed += not low <= 0 <= high
    assert missed <= 4


def test_draws_without_an_arm_at_the_top_are_left_out() -> None:
    scores, treated = np.array([4.0, 3, 2, 1]), np.array([True, True, False, False])
    found = draw_rankings({"a": scores}, treated, np.array([1.0, 0, 1, 0]), shares=(0.25,), resamples=5)
    assert np.isnan(Interval.of(found["a"].top[0.25])).all()
