from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression

from features.errors import TrainingError
from tests.training.uplift.trials import made_trial
from training.uplift.folds import balanced_folds, levelled
from training.uplift.learners import LEARNERS, SLearner, TLearner, UpliftLearner, XLearner

EACH = pytest.mark.parametrize("kind", LEARNERS.values(), ids=LEARNERS)


@EACH
def test_planted_effects_are_found(kind: type[UpliftLearner]) -> None:
    trial = made_trial()
    learner = kind().fit(trial.X, trial.treatment, trial.y)
    fresh = made_trial(seed=2)
    for effects, truth in ((learner.effects_, trial.effect), (learner.predict(fresh.X), fresh.effect)):
        assert effects.shape == truth.shape
        # The planted difference is 0.3; settings for weak effects draw it towards nothing.
        assert 0.18 < effects[truth > 0].mean() - effects[truth == 0].mean() < 0.36
        assert effects.mean() == pytest.approx(0.15, abs=0.04)


@EACH
def test_arms_are_told_apart(kind: type[UpliftLearner]) -> None:
    trial = made_trial(4_000, arms=2)
    names = np.array(["no ad", "strong", "void"])[trial.treatment]
    learner = kind(folds=2).fit(trial.X, names, trial.y)
    assert learner.arms_.treated == ("strong", "void")
    assert learner.effects_.shape == learner.predict(trial.X).shape == (4_000, 2)
    assert learner.effects_.mean(axis=0) == pytest.approx([0.15, 0.0], abs=0.04)


@EACH
def test_parameters_can_be_read_set_and_cloned(kind: type[UpliftLearner]) -> None:
    learner = kind(LinearRegression(), control=0, folds=3)
    twin = clone(learner.set_params(seed=5))
    assert twin.get_params(deep=False).keys() == learner.get_params(deep=False).keys()
    assert (twin.folds, twin.seed, twin.control) == (3, 5, 0)
    assert "outcome_model__fit_intercept" in learner.get_params()


@EACH
def test_same_seed_same_bytes(kind: type[UpliftLearner]) -> None:
    trial = made_trial(800)
    first, second, other = (kind(seed=s).fit(trial.X, trial.treatment, trial.y).effects_ for s in (7, 7, 8))
    assert first.tobytes() == second.tobytes() != other.tobytes()


def linear(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares with intercept, by the normal equations."""
    A = np.column_stack([np.ones(len(X)), X])
    return np.asarray(np.linalg.solve(A.T @ A, A.T @ y))


def at(beta: np.ndarray, X: np.ndarray) -> np.ndarray:
    return np.asarray(np.column_stack([np.ones(len(X)), X]) @ beta)


def trial_without_gaps() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    trial = made_trial(200)
    return trial.X[:, :2], trial.treatment, trial.y


def test_t_learner_is_the_difference_of_two_regressions_that_did_not_see_the_person() -> None:
    X, t, y = trial_without_gaps()
    learner = TLearner(LinearRegression(), folds=4).fit(X, t, y)
    for fold in range(4):
        kept, held = learner.fold_ != fold, learner.fold_ == fold
        treated, control = (linear(X[kept & (t == arm)], y[kept & (t == arm)]) for arm in (1, 0))
        assert learner.effects_[held] == pytest.approx(at(treated - control, X[held]))


def test_x_learner_weighs_imputed_effects_by_the_chance_of_the_arm() -> None:
    X, t, y = trial_without_gaps()
    chance = np.where(X[:, 0] > 0, 0.7, 0.2)
    learner = XLearner(LinearRegression(), LinearRegression(), folds=2).fit(X, t, y, propensity=chance)
    kept, held = learner.fold_ != 0, learner.fold_ == 0
    one, none = kept & (t == 1), kept & (t == 0)
    of_treated = linear(X[one], y[one] - at(linear(X[none], y[none]), X[one]))
    of_control = linear(X[none], at(linear(X[one], y[one]), X[none]) - y[none])
    e = chance[held]
    expected = e * at(of_control, X[held]) + (1 - e) * at(of_treated, X[held])
    assert learner.effects_[held] == pytest.approx(expected)


def test_known_chances_of_new_people_are_taken_one_by_one() -> None:
    X, t, y = trial_without_gaps()
    learner = XLearner(LinearRegression(), LinearRegression(), folds=2).fit(X, t, y)
    both = learner.predict(X[:2], propensity=[0.2, 0.7])
    alone = [learner.predict(X[[n]], propensity=p)[0] for n, p in ((0, 0.2), (1, 0.7))]
    assert both == pytest.approx(alone)


def test_s_learner_with_a_line_gives_everybody_the_coefficient_of_the_arm() -> None:
    X, t, y = trial_without_gaps()
    learner = SLearner(LinearRegression(), folds=2).fit(X, t, y)
    coefficients = [linear(np.column_stack([X, t])[learner.fold_ != f], y[learner.fold_ != f])[-1] for f in (0, 1)]
    assert learner.predict(X) == pytest.approx(np.full(200, np.mean(coefficients)))


def test_classifiers_give_probabilities() -> None:
    X, t, y = trial_without_gaps()
    effects = TLearner(LogisticRegression()).fit(X, t, y).effects_
    assert len(np.unique(effects)) > 100
    assert np.abs(effects).max() < 1


def test_an_arm_without_outcomes_has_a_constant_mean() -> None:
    X, t, y = trial_without_gaps()
    effects = XLearner(folds=2).fit(X, t, y * (t == 1)).effects_
    assert effects.mean() == pytest.approx(y[t == 1].mean(), abs=0.1)


def test_fitted_chances_follow_the_columns() -> None:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(3_000, 2))
    t = (rng.random(3_000) < np.where(X[:, 0] > 0, 0.8, 0.2)).astype(int)
    learner = XLearner(fit_propensity=True, folds=2).fit(X, t, rng.random(3_000))
    chances = learner.arm_chances_
    assert chances.sum(axis=1) == pytest.approx(np.ones(3_000))
    assert chances[X[:, 0] > 0, 1].mean() == pytest.approx(0.8, abs=0.05)
    assert chances[X[:, 0] < 0, 1].mean() == pytest.approx(0.2, abs=0.05)
    assert learner.predict(X).shape == (3_000,)


def test_chances_default_to_the_shares_of_the_arms() -> None:
    X, t, y = trial_without_gaps()
    learner = TLearner(folds=2).fit(X, t, y)
    assert learner.arm_chances_[0].tolist() == pytest.approx([1 - t.mean(), t.mean()])


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"y": [1.0, np.nan] * 100}, "finite outcomes"),
        ({"treatment": [0, 1] * 99}, "for the same people"),
        ({"treatment": [1] * 200}, "at least two arms"),
        ({"treatment": [2, 3] * 100}, "which arm is the control cannot be told: None; valid: 2, 3"),
        ({"propensity": 1.0}, "between 0 and 1"),
        ({"propensity": [[0.2, 0.3, 0.5]] * 200}, "one column per arm"),
    ],
)
def test_what_cannot_be_fitted_is_said(changed: dict[str, object], match: str) -> None:
    X, t, y = trial_without_gaps()
    with pytest.raises(TrainingError, match=match):
        TLearner().fit(**({"X": X, "treatment": t, "y": y} | changed))


def test_other_columns_are_refused() -> None:
    X, t, y = trial_without_gaps()
    learner = TLearner(folds=2).fit(X, t, y)
    with pytest.raises(TrainingError, match="other columns"):
        learner.predict(X[:, :1])


def test_folds_hold_the_same_mix() -> None:
    codes, y = np.arange(100) % 3, (np.arange(100) % 10 == 0).astype(float)
    fold = balanced_folds(codes, y, 4, seed=1)
    for arm in range(3):
        per_fold = np.bincount(fold[codes == arm], minlength=4)
        assert per_fold.max() - per_fold.min() <= 2
    with pytest.raises(TrainingError, match="no more than the people of the smallest arm: 40"):
        balanced_folds(codes, y, 40, seed=1)


def test_levels_of_folds_are_made_equal_and_nothing_else() -> None:
    scores, fold = np.array([[1.0, 5], [3, 5], [11, 7], [13, 9]]), np.array([0, 0, 1, 1])
    level = levelled(scores, fold)
    assert level[:2].mean(axis=0).tolist() == level[2:].mean(axis=0).tolist() == scores.mean(axis=0).tolist()
    assert np.diff(level[:2], axis=0).tolist() == np.diff(scores[:2], axis=0).tolist()
