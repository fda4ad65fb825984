"""How the head's share is chosen, what stands for everybody, and a head under another calibration."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BundleError, TrainingError
from training.new_tags.choice import blended, choices_of, choose_share, measured, spread
from training.new_tags.model import rescaled
from training.new_tags.seeds import LEAST_SEEDS, everybody, others_wanted, require_seeds
from training.quality.calibration import Platt, sigmoid
from training.quality.metrics import tag_metrics
from training.tags.assignment import AssignmentRule
from training.tags.bundle import Bundle


def scored(n: int = 4_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of a model that is right, of one that knows nothing, and labels."""
    rng = np.random.default_rng(seed)
    right = rng.normal(-1.0, 1.5, n)
    return right, np.full(n, right.mean()), (rng.random(n) < sigmoid(right)).astype(np.uint8)


def test_the_better_model_gets_the_larger_share() -> None:
    right, blind, labels = scored()
    assert choose_share(right, blind, labels, Platt(), usual=0.5) <= 0.1
    assert choose_share(blind, right, labels, Platt(), usual=0.5) >= 0.9


def test_where_the_figures_cannot_tell_the_usual_share_is_taken() -> None:
    right, _, labels = scored(200)
    assert choose_share(right, right, labels, Platt(), usual=0.35) == pytest.approx(0.35)


def test_nobody_is_blended_by_a_share_that_was_chosen_on_them() -> None:
    right, blind, labels = scored()
    changed = labels.copy()
    changed[::2] = 1 - changed[::2]
    _, before = blended(blind, right, labels, Platt(), 0.5)
    _, after = blended(blind, right, changed, Platt(), 0.5)
    np.testing.assert_array_equal(after[::2], before[::2])
    assert not np.array_equal(after[1::2], before[1::2])


def test_quality_is_that_of_the_probabilities() -> None:
    right, blind, labels = scored()
    quality = measured(
        "tea", labels, sigmoid(right), AssignmentRule(), alone=(right, blind), head_share=0.2, learned_from=7
    )
    expected = tag_metrics(labels, sigmoid(right))
    assert (quality.auc, quality.ap, quality.positives) == (expected.auc, expected.ap, expected.positives)
    assert quality.pooled_auc == pytest.approx(quality.auc)
    assert quality.head_auc == 0.5
    assert quality.assigned == pytest.approx(labels.mean(), abs=1e-3)
    poor = measured("tea", labels, sigmoid(-right), AssignmentRule(), head_share=0.0, learned_from=0)
    assert (poor.assign_at, poor.assigned, poor.head_auc) == (1.0, 0.0, None)


@given(seeds=st.integers(1, 5), others=st.integers(1, 9), more=st.integers(0, 30))
def test_each_of_the_others_stands_for_about_as_many(seeds: int, others: int, more: int) -> None:
    labels = np.repeat(np.array([1, 0], np.uint8), [seeds, others])
    people = seeds + others + more
    truth, logits = everybody(labels, np.arange(seeds + others, dtype=float), people)
    assert len(truth) == len(logits) == people
    assert truth.sum() == seeds
    counts = np.bincount(logits[seeds:].astype(int))[seeds:]
    assert counts.min() >= (others + more) // others
    assert counts.max() <= -(-(others + more) // others)


def test_too_few_seeds_are_refused_with_the_number_needed() -> None:
    require_seeds(LEAST_SEEDS)
    with pytest.raises(TrainingError, match=r"too few seeds: 93 .* 100 are needed; add at least 7 people"):
        require_seeds(93)


def test_others_grow_with_the_list() -> None:
    assert others_wanted(10) == 10_000
    assert others_wanted(5_000) == 100_000


def test_people_are_spread_over_all_keys() -> None:
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    chosen = spread(100_000, 1_000)
    assert (len(chosen), chosen[0], chosen[-1]) == (1_000, 0, 99_999)


def test_a_rescaled_head_has_its_own_calibration_under_the_shared_one() -> None:
    rng = np.random.default_rng(1)
    matrix, labels = rng.normal(size=(500, 3)), rng.integers(0, 2, 500)
    head = lgb.train({"verbosity": -1, "num_leaves": 5, "objective": "binary"}, lgb.Dataset(matrix, labels), 8)
    own, shared = Platt(0.7, -1.5), Platt(1.1, 0.2)
    copy = rescaled(head, own, shared)
    np.testing.assert_allclose(
        shared.apply(copy.predict(matrix, raw_score=True)),
        own.apply(head.predict(matrix, raw_score=True)),
        rtol=1e-12,
    )
    contributions = copy.predict(matrix, pred_contrib=True).sum(axis=1)
    np.testing.assert_allclose(contributions, copy.predict(matrix, raw_score=True), atol=1e-9)
    again = lgb.Booster(model_str=copy.model_to_string())
    np.testing.assert_array_equal(again.predict(matrix), copy.predict(matrix))


def test_a_bundle_that_does_not_say_how_it_was_trained() -> None:
    with pytest.raises(BundleError, match="tags-1 does not say how it was trained; run `zhongcao retrain`"):
        choices_of(Bundle("tags-1", 0, None, {"made": "elsewhere"}))  # type: ignore[arg-type]
