from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training.calibration import choose_blend, fit_platt, logit, sigmoid


def outcomes_of(logits: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(logits.shape) < sigmoid(logits)).astype(np.uint8)


def test_platt_equals_unregularised_logistic_regression() -> None:
    z = np.random.default_rng(1).normal(size=2000)
    y = outcomes_of(0.5 * z - 1.0, 2)
    platt = fit_platt(z, y)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(z[:, None], y)
    assert platt.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert platt.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)


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
    assert choose_blend(truth, noise, y) <= 0.1
    assert choose_blend(noise, truth, y) >= 0.9
