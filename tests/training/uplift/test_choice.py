from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.training.uplift.trials import made_trial
from training.uplift.choice import ChosenLearner, r_losses
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


def test_the_better_candidate_is_chosen() -> None:
    X, t, y = crossing()
    candidates = [SLearner(LinearRegression()), TLearner(LinearRegression())]
    chosen = ChosenLearner(candidates=candidates, folds=2).fit(X, t, y)
    assert np.corrcoef(chosen.effects_, X[:, 0])[0, 1] > 0.99


def test_several_arms_are_chosen_for_together() -> None:
    trial = made_trial(900, arms=2)
    chosen = ChosenLearner(LinearRegression(), folds=2)
    assert chosen.fit(np.nan_to_num(trial.X), trial.treatment, trial.y).effects_.shape == (900, 2)
