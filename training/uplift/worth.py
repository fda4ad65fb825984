"""What a ranking by effect is worth in a trial, beside the ranking by probability, on people no fit has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import Floats
from training.uplift.base import fit_mean
from training.uplift.curves import UpliftCurve, uplift_curve
from training.uplift.folds import levelled
from training.uplift.intervals import OUT_OF_FOLD, Interval, RankingDraws, draw_rankings
from training.uplift.learners import UpliftLearner
from training.uplift.trial import Trial


@dataclass(frozen=True)
class RankingWorth:
    """One ranking of the people of an arm and of the control.

    Parameters
    ----------
    curve
        On the people as they are.
    qini, auuc
        See `training.uplift.curves.UpliftCurve`.
    top
        Share → observed mean effect among that share with the highest scores.
    """

    curve: UpliftCurve
    qini: Interval
    auuc: Interval
    top: dict[float, Interval]


@dataclass(frozen=True)
class ArmWorth:
    """One treated arm beside the control.

    Parameters
    ----------
    arm
        Its name.
    treated, control
        Numbers of people.
    effect
        Average effect, which the top of a random order has too.
    by_effect, by_probability
        The two rankings.
    qini_difference
        Qini by effect minus Qini by probability, on the same draws.
    fifths
        Per fifth of the ranking by effect, best first: predicted and observed mean effect.
    """

    arm: str
    treated: int
    control: int
    effect: Interval
    by_effect: RankingWorth
    by_probability: RankingWorth
    qini_difference: Interval
    fifths: tuple[tuple[float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name; intervals as [value, low, high]."""
        rankings = {"by_effect": self.by_effect, "by_probability": self.by_probability}
        return {
            "treated": self.treated,
            "control": self.control,
            "effect": list(self.effect),
            **{
                name: {
                    "qini": list(ranking.qini),
                    "auuc": list(ranking.auuc),
                    "top": {f"{share:.0%}": list(found) for share, found in ranking.top.items()},
                }
                for name, ranking in rankings.items()
            },
            "qini_difference": list(self.qini_difference),
            "fifths": [list(pair) for pair in self.fifths],
        }


@dataclass(frozen=True)
class Ranked:
    """Everybody of a trial with what is expected of them, by fits that did not see them.

    Parameters
    ----------
    effects, probabilities
        Effect of each treated arm, and expected outcome under it, float64 [n, treated arms].
    """

    effects: NDArray[np.float64]
    probabilities: NDArray[np.float64]


def rank_people(trial: Trial, learner: UpliftLearner) -> Ranked:
    """Fit a learner on a trial, and return everybody's effects and probabilities from the fits without their fold.

    Parameters
    ----------
    trial
        The people.
    learner
        Fitted here.
    """
    learner.set_params(control=trial.arms.control)
    learner.fit(trial.X, trial.treatment, trial.outcome, trial.propensity)
    people, arms = len(trial.codes), len(trial.arms.treated)
    probabilities = np.empty((people, arms))
    for fold in range(learner.folds):
        kept, held = learner.fold_ != fold, learner.fold_ == fold
        for arm in range(arms):
            shown = kept & (trial.codes == arm + 1)
            mean = fit_mean(learner.outcome_model, trial.X[shown], trial.outcome[shown], learner.seed)
            probabilities[held, arm] = mean(trial.X[held])
    effects = learner.effects_.reshape(people, arms)
    return Ranked(levelled(effects, learner.fold_), levelled(probabilities, learner.fold_))


def measure(trial: Trial, learner: UpliftLearner, ranked: Ranked, *, resamples: int = 500) -> list[ArmWorth]:
    """Measure both rankings, arm by arm beside the control.

    Parameters
    ----------
    trial, learner, ranked
        What `rank_people` was given and returned.
    resamples
        Bootstrap draws for the intervals.
    """
    found = []
    for arm, name in enumerate(trial.arms.treated):
        rows = (trial.codes == 0) | (trial.codes == arm + 1)
        treated, outcome = trial.codes[rows] == arm + 1, trial.outcome[rows]
        weights = _weights(learner, trial, rows)
        rankings = {"effect": ranked.effects[rows, arm], "probability": ranked.probabilities[rows, arm]}
        draws = draw_rankings(
            rankings, treated, outcome,
            weights=weights, stretch=OUT_OF_FOLD, resamples=resamples, seed=learner.seed,
        )  # fmt: skip
        worth = {
            kind: _worth(draws[kind], uplift_curve(scores, treated, outcome, weights))
            for kind, scores in rankings.items()
        }
        found.append(
            ArmWorth(
                arm=str(name),
                treated=int(treated.sum()),
                control=int((~treated).sum()),
                effect=Interval.of(draws["effect"].effect),
                by_effect=worth["effect"],
                by_probability=worth["probability"],
                qini_difference=Interval.of(draws["effect"].qini - draws["probability"].qini),
                fifths=_fifths(rankings["effect"], treated, outcome, weights),
            )
        )
    return found


def _weights(learner: UpliftLearner, trial: Trial, rows: NDArray[np.bool_]) -> Floats | None:
    """One over the chance of the arm that a person was in; none where it is the same for all of an arm."""
    if trial.propensity is None and not learner.fit_propensity:
        return None
    return np.asarray(1 / learner.arm_chances_[rows, trial.codes[rows]])


def _worth(draws: RankingDraws, curve: UpliftCurve) -> RankingWorth:
    top = {share: Interval.of(found) for share, found in draws.top.items()}
    return RankingWorth(curve, Interval.of(draws.qini), Interval.of(draws.auuc), top)


def _fifths(
    effects: Floats, treated: NDArray[np.bool_], outcome: Floats, weights: Floats | None
) -> tuple[tuple[float, float], ...]:
    weight = np.ones(len(effects)) if weights is None else weights
    found = []
    for part in np.array_split(np.argsort(-effects, kind="stable"), 5):
        arms = [part[treated[part]], part[~treated[part]]]
        if not all(len(arm) for arm in arms):
            observed = float("nan")
        else:
            shown, kept = (float(np.average(outcome[arm], weights=weight[arm])) for arm in arms)
            observed = shown - kept
        found.append((float(effects[part].mean()), observed))
    return tuple(found)
