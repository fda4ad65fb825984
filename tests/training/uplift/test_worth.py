from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.uplift.trials import made_trial
from training.uplift.arms import Arms
from training.uplift.learners import TLearner, XLearner
from training.uplift.plots import draw_worth
from training.uplift.trial import Trial
from training.uplift.worth import measure, rank_people


def trial_of(*, arms: int = 1, people: int = 3_000, propensity: np.ndarray | None = None) -> Trial:
    made = made_trial(people, arms=arms)
    return Trial(
        people=np.arange(people),
        columns=("helped", "buys", "noise"),
        X=made.X,
        arms=Arms("none", tuple(f"ad {n}" for n in range(1, arms + 1))),
        codes=made.treatment,
        outcome=made.y,
        propensity=propensity,
        left_out={},
    )


def test_ranking_by_effect_finds_those_who_are_changed() -> None:
    trial, learner = trial_of(), XLearner(folds=3)
    ranked = rank_people(trial, learner)
    (worth,) = measure(trial, learner, ranked, resamples=60)
    assert worth.arm == "ad 1"
    assert worth.treated + worth.control == 3_000
    assert worth.effect.low < 0.15 < worth.effect.high
    # Half of the people gain 0.3, the others nothing: Qini 0.3 / 8 for those who gain first.
    assert 0.025 < worth.by_effect.qini.value < 0.05
    assert worth.by_effect.qini.low > 0
    assert worth.by_effect.top[0.3].low < 0.3 < worth.by_effect.top[0.3].high
    predicted, observed = np.array(worth.fifths).T
    assert np.corrcoef(predicted, observed)[0, 1] > 0.9


def test_ranking_by_probability_is_not_ranking_by_effect() -> None:
    made = trial_of()
    # Those whom nothing changes are now the likeliest to buy.
    always = (made.X[:, 0] < 0) & (np.random.default_rng(1).random(3_000) < 0.9)
    trial = Trial(**(vars(made) | {"outcome": np.maximum(made.outcome, always)}))
    learner = TLearner(folds=3)
    (worth,) = measure(trial, learner, rank_people(trial, learner), resamples=60)
    assert worth.qini_difference.low > 0
    assert worth.by_probability.qini.high < 0 < worth.by_effect.qini.low


def test_every_arm_is_measured_beside_the_control() -> None:
    trial, learner = trial_of(arms=2), TLearner(folds=2)
    ranked = rank_people(trial, learner)
    strong, void = measure(trial, learner, ranked, resamples=40)
    assert ranked.effects.shape == ranked.probabilities.shape == (3_000, 2)
    assert strong.control == void.control == int((trial.codes == 0).sum())
    assert strong.effect.low > 0
    assert void.by_effect.qini.low < 0 < void.by_effect.qini.high
    assert set(strong.as_dict()["by_effect"]["top"]) == {"10%", "20%", "30%"}


def test_unequal_chances_are_weighed_away() -> None:
    # People who buy anyway were treated more often: the plain difference of means is far too large.
    rng = np.random.default_rng(2)
    X = rng.normal(size=(6_000, 2))
    chance = np.where(X[:, 0] > 0, 0.8, 0.2)
    t = (rng.random(6_000) < chance).astype(int)
    y = (rng.random(6_000) < 0.1 + 0.5 * (X[:, 0] > 0) + 0.1 * t).astype(float)
    trial = Trial(np.arange(6_000), ("a", "b"), X, Arms(0, (1,)), t, y, chance, {})
    assert y[t == 1].mean() - y[t == 0].mean() > 0.3
    for known, learner in ((chance, TLearner(folds=2)), (None, TLearner(folds=2, fit_propensity=True))):
        told = Trial(**(vars(trial) | {"propensity": known}))
        (worth,) = measure(told, learner, rank_people(told, learner), resamples=20)
        assert worth.by_effect.curve.effect == pytest.approx(0.1, abs=0.04)


def test_plots_are_drawn_and_the_same_every_time(tmp_path: Path) -> None:
    trial, learner = trial_of(people=400), TLearner(folds=2)
    arms = measure(trial, learner, rank_people(trial, learner), resamples=5)
    first, second = ([path.read_bytes() for path in draw_worth(arms, tmp_path / name)] for name in ("a", "b"))
    assert first == second
    assert len(first) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in first)
