from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from training.uplift.choice import r_losses
from training.uplift.learners import SLearner, TLearner


def crossing(people: int = 2_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The treatment helps people above zero as much as it harms those below; a line with one slope sees nothing."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(people, 1))
    t = rng.integers(0, 2, people)
    return X, t, X[:, 0] * t + rng.normal(0, 0.5, people)


def test_r_loss_is_the_noise_for_the_true_effects_and_more_for_wrong_ones() -> None:
    X, t, y = crossing()
    one_slope, two_slopes = r_losses([SLearner(LinearRegression()), TLearner(LinearRegression())], X, t, y)
    assert two_slopes == pytest.approx(0.25, abs=0.03)
    # Effects of variance 1 that are not explained cost a quarter of it where half of the people are treated.
    assert one_slope - two_slopes == pytest.approx(0.25, abs=0.03)
