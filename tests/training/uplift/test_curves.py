from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import TrainingError
from training.uplift.curves import normalised_qini, uplift_curve


def plain(scores: list[float], treated: list[bool], outcome: list[float]) -> tuple[float, float]:
    """Qini and AUUC by counting from scratch at every distinct score, and summing trapezoids by hand."""
    people = list(zip(scores, treated, outcome, strict=True))
    all_treated = sum(1 for _, t, _ in people if t)
    points = [(0.0, 0.0, 0.0)]
    for score in sorted(set(scores), reverse=True):
        top = [(t, y) for s, t, y in people if s >= score]
        n_t, n_c = sum(1 for t, _ in top if t), sum(1 for t, _ in top if not t)
        y_t, y_c = sum(y for t, y in top if t), sum(y for t, y in top if not t)
        rate_t, rate_c = (y_t / n_t if n_t else 0.0), (y_c / n_c if n_c else 0.0)
        depth = len(top) / len(people)
        points.append((depth, (y_t - rate_c * n_t) / all_treated, (rate_t - rate_c) * depth))
    area_qini = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
    area_gain = sum((b[0] - a[0]) * (a[2] + b[2]) / 2 for a, b in itertools.pairwise(points))
    return area_qini - points[-1][1] / 2, area_gain


PEOPLE = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans(), st.sampled_from([0.0, 1.0, 2.5])),
    min_size=2,
    max_size=25,
).filter(lambda rows: len({treated for _, treated, _ in rows}) == 2)


@settings(max_examples=150, deadline=None)
@given(PEOPLE, st.randoms(use_true_random=False))
def test_areas_are_those_of_counting_from_scratch_in_any_row_order(rows: list, random: object) -> None:
    expected = plain(*(list(column) for column in zip(*rows, strict=True)))
    random.shuffle(rows)
    scores, treated, outcome = (np.array(column) for column in zip(*rows, strict=True))
    curve = uplift_curve(scores, treated, outcome)
    assert (curve.qini, curve.auuc) == pytest.approx(expected, abs=1e-12)
    assert curve.effect == pytest.approx(outcome[treated].mean() - outcome[~treated].mean())


def test_a_ranking_that_knows_nothing_is_worth_nothing() -> None:
    treated = np.array([True, True, False, False, False])
    curve = uplift_curve(np.ones(5), treated, np.array([1.0, 0.0, 0.0, 0.0, 1.0]))
    assert curve.qini == 0.0
    assert curve.auuc == pytest.approx(curve.effect / 2)


def test_reversed_ranking_of_a_balanced_trial_is_worth_the_opposite() -> None:
    # At each score one person of either arm: the curve of the reversed order mirrors the other one.
    scores = np.repeat([4.0, 3.0, 2.0, 1.0], 2)
    treated = np.tile([True, False], 4)
    outcome = np.array([1.0, 0, 1, 1, 0, 0, 0, 1])
    assert uplift_curve(scores, treated, outcome).qini == pytest.approx(0.1875)
    assert uplift_curve(-scores, treated, outcome).qini == pytest.approx(-0.1875)


def test_weights_stand_for_people() -> None:
    rng = np.random.default_rng(5)
    scores, treated = rng.integers(0, 4, 40).astype(float), np.arange(40) % 2 == 0
    outcome, weights = rng.random(40), rng.integers(1, 4, 40)
    weighted = uplift_curve(scores, treated, outcome, weights.astype(float))
    copied = uplift_curve(*(np.repeat(part, weights) for part in (scores, treated, outcome)))
    assert weighted.incremental == pytest.approx(copied.incremental)


def test_a_constant_weight_per_arm_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    scores, treated, outcome = rng.random(50), rng.random(50) < 0.3, rng.random(50)
    plain_curve = uplift_curve(scores, treated, outcome)
    weighted = uplift_curve(scores, treated, outcome, np.where(treated, 1 / 0.3, 1 / 0.7))
    assert (weighted.qini, weighted.auuc) == pytest.approx((plain_curve.qini, plain_curve.auuc))


def test_normalised_qini_is_one_for_the_order_in_hindsight() -> None:
    treated = np.array([True, True, False, False, True, False])
    outcome = np.array([1.0, 0, 1, 0, 1, 0])
    hindsight = np.array([2.0, 1, 0, 1, 2, 1])
    assert normalised_qini(hindsight, treated, outcome) == pytest.approx(1.0)
    assert normalised_qini(np.zeros(6), treated, outcome) == 0.0


def test_one_arm_alone_is_refused() -> None:
    with pytest.raises(TrainingError, match="people of both arms"):
        uplift_curve(np.ones(3), np.ones(3, bool), np.ones(3))
