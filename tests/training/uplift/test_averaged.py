from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.training.uplift.trials import made_trial
from training.uplift.averaged import AveragedLearner
from training.uplift.learners import SLearner, XLearner


@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize("model", [None, LinearRegression()])
def test_effects_are_the_mean_of_both_learners(arms: int, model: LinearRegression | None) -> None:
    trial = made_trial(600, arms=arms)
    X = np.nan_to_num(trial.X)
    both = [kind(model, folds=2).fit(X, trial.treatment, trial.y) for kind in (SLearner, XLearner)]
    found = AveragedLearner(model, folds=2).fit(X, trial.treatment, trial.y)
    assert found.effects_ == pytest.approx((both[0].effects_ + both[1].effects_) / 2, abs=1e-12)
    assert found.predict(X) == pytest.approx((both[0].predict(X) + both[1].predict(X)) / 2, abs=1e-12)
    assert not np.allclose(both[0].effects_, both[1].effects_)


def test_chances_of_the_arms_are_heeded() -> None:
    trial = made_trial(600)
    X = np.nan_to_num(trial.X)
    chance = np.where(np.arange(600) % 2, 0.2, 0.7)
    both = [
        kind(LinearRegression(), folds=2).fit(X, trial.treatment, trial.y, chance) for kind in (SLearner, XLearner)
    ]
    found = AveragedLearner(LinearRegression(), folds=2).fit(X, trial.treatment, trial.y, chance)
    assert found.effects_ == pytest.approx((both[0].effects_ + both[1].effects_) / 2, abs=1e-12)
