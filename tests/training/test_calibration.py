from __future__ import annotations

import numpy as np
import pytest

from training.quality.calibration import Platt, choose_blend, fit_levels, fit_platt, logit, sigmoid


def outcomes_of(logits: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(logits.shape) < sigmoid(logits)).astype(np.uint8)


def test_platt_is_where_the_likelihood_is_flat() -> None:
    z = np.random.default_rng(1).normal(size=2000)
    y = outcomes_of(0.5 * z - 1.0, 2)
    platt = fit_platt(z, y)
    residual = platt.apply(z) - y
    assert residual.sum() == pytest.approx(0.0, abs=1e-4)
    assert (residual * z).sum() == pytest.approx(0.0, abs=1e-4)
    assert platt.slope == pytest.approx(0.5, abs=0.15)


def test_platt_does_not_run_away_on_counts() -> None:
    counts = np.random.default_rng(2).poisson(0.2, 5000).astype(float)
    y = outcomes_of(3 * counts - 6, 3)
    platt = fit_platt(np.log1p(counts), y)
    assert platt.apply(np.log1p(counts)).mean() == pytest.approx(y.mean(), abs=1e-6)


def test_one_class_leaves_logits_as_they_are() -> None:
    assert fit_platt(np.array([-1.0, 2.0]), np.array([0, 0], np.uint8)) == Platt(1.0, 0.0)


def test_calibrated_mean_is_the_base_rate() -> None:
    z = np.random.default_rng(3).normal(size=3000)
    y = outcomes_of(2 * z + 1, 4)
    assert fit_platt(z, y).apply(z).mean() == pytest.approx(y.mean(), abs=1e-6)


def test_logit_and_sigmoid_are_inverse() -> None:
    p = np.array([1e-5, 0.2, 0.5, 1 - 1e-5])
    assert sigmoid(logit(p)) == pytest.approx(p)


def test_blend_prefers_the_model_that_knows() -> None:
    truth = np.random.default_rng(5).normal(size=(400, 5))
    y = outcomes_of(2 * truth, 6)
    noise = np.random.default_rng(7).normal(size=truth.shape)
    assert choose_blend(truth, noise, y).max() <= 0.1
    assert choose_blend(noise, truth, y).min() >= 0.9


def test_a_tag_gets_its_own_share_only_on_evidence() -> None:
    rng = np.random.default_rng(8)
    truth = rng.normal(size=(800, 6))
    y = outcomes_of(2 * truth, 9)
    heads = rng.normal(size=truth.shape)
    heads[:, 2] = 2 * truth[:, 2]
    pooled = 2 * truth
    pooled[:, 2] = rng.normal(size=800)
    heads[:, 5] = np.nan
    shares = choose_blend(pooled, heads, y)
    assert shares[2] >= 0.8
    assert shares[[0, 1, 3, 4]].max() < 0.5
    assert shares[5] == 0
    assert choose_blend(pooled, np.full_like(pooled, np.nan), y).tolist() == [0.0] * 6


@pytest.mark.parametrize("spread", [0.0, 1e-7])
def test_logits_that_hardly_differ_are_calibrated_to_the_base_rate(spread: float) -> None:
    z = np.full(200, -3.0) + spread * np.random.default_rng(8).normal(size=200)
    y = (np.arange(200) < 60).astype(np.uint8)
    assert fit_platt(z, y).apply(z).mean() == pytest.approx(0.3)


def test_levels_follow_common_tags_and_leave_rare_ones_to_the_shared_curve() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(-1.5, 1.0, (4_000, 3))
    y = (rng.random(z.shape) < sigmoid(z + np.array([0.4, -0.4, 0.4]))).astype(np.uint8)
    z[40:, 2], y[40:, 2] = -20, 0  # of the last tag, forty people are known
    levels = fit_levels(z, y, Platt())
    assert 0.35 < levels[0] - levels[1] < 0.8
    assert abs(levels[2] - (levels[0] + levels[1]) / 2) < 0.15
    # but for a move that all tags share, the penalised likelihood is highest where its slope is nought
    slopes = [
        (y - sigmoid(z + levels - m)).sum(axis=0) - (levels - m) / 0.05**2 for m in np.linspace(-0.2, 0.2, 4001)
    ]
    assert min(np.abs(slope).max() for slope in slopes) < 0.2


def test_levels_keep_the_mean_probability() -> None:
    z = np.random.default_rng(4).normal(-1.5, 1.0, (2_000, 4))
    platt = Platt(0.9, -0.1)
    more = (np.random.default_rng(5).random(z.shape) < sigmoid(z + 0.5)).astype(np.uint8)
    kept = sigmoid(platt.slope * z + platt.intercept + fit_levels(z, more, platt)).mean()
    assert kept == pytest.approx(platt.apply(z).mean(), abs=1e-9)


def test_levels_of_tags_that_came_true_for_all_or_nobody_stay_finite() -> None:
    z = np.zeros((500, 2))
    levels = fit_levels(z, np.tile(np.array([0, 1], np.uint8), (500, 1)), Platt(1.0, 12.0))
    assert np.isfinite(levels).all()
    assert levels[0] < levels[1]
