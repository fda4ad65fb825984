"""Boosters that learn from impressions whose conversions may still be to come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import lightgbm as lgb
import numpy as np

from training.conversion.examples import Floats, Ints, Mask, Matrix
from training.quality.calibration import sigmoid

_NEWTON_STEPS = 25


@dataclass(frozen=True)
class BoosterSettings:
    """Parameters of every booster of a conversion model."""

    trees: int = 150
    leaves: int = 31
    learning_rate: float = 0.06
    min_data_in_leaf: int = 100
    feature_fraction: float = 0.3
    lambda_l2: float = 10.0
    max_bin: int = 127
    negatives: float = 100.0
    """So many impressions that did not lead to a target are kept per one that did, at most."""
    most_rows: int = 800_000
    """One booster sees so many impressions at most."""

    def for_rows(self, rows: int) -> BoosterSettings:
        """Return smaller trees, with smaller leaves, for some ten thousand rows or less.

        Examples
        --------
        >>> few = BoosterSettings().for_rows(5_500)
        >>> few.leaves, few.min_data_in_leaf
        (5, 55)
        >>> BoosterSettings().for_rows(100_000) == BoosterSettings()
        True
        """
        leaves = min(self.leaves, max(rows // 1_000, 4))
        return replace(self, leaves=leaves, min_data_in_leaf=min(self.min_data_in_leaf, max(rows // 100, 20)))

    def params(self, seed: int, threads: int) -> dict[str, object]:
        """LightGBM's parameters; deterministic for one machine, whatever the number of threads."""
        return {
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
            "min_sum_hessian_in_leaf": 1e-3,
            "feature_fraction_bynode": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "deterministic": True,
            "force_row_wise": True,
            "feature_pre_filter": False,
            "seed": seed,
            "num_threads": threads,
            "verbosity": -1,
        }


def binned(rows: Matrix, settings: BoosterSettings) -> lgb.Dataset:
    """Bin the rows once for all boosters."""
    params = {"max_bin": settings.max_bin, "feature_pre_filter": False, "verbosity": -1}
    names = [f"f{i}" for i in range(rows.shape[1])]
    return lgb.Dataset(rows, feature_name=names, params=params, free_raw_data=True).construct()


class Answers(NamedTuple):
    """What was seen to follow some impressions.

    Parameters
    ----------
    seen
        Whether the target was seen to have come true, bool [m].
    exposure
        Share of the conversions that could be seen by then, in [0, 1], float64 [m].
    weight
        How much each impression counts, float64 [m].
    """

    seen: Mask
    exposure: Floats
    weight: Floats


def fit_booster(
    data: lgb.Dataset, chosen: Ints, answers: Answers, settings: BoosterSettings, *, seed: int, threads: int
) -> tuple[lgb.Booster, float]:
    """Fit one booster on some of the rows.

    Parameters
    ----------
    data
        All rows, binned.
    chosen
        Numbers of the rows to learn from, increasing, int64 [m].
    answers
        What followed them.
    settings, seed, threads
        With the data they fix the booster, byte for byte, whatever the threads.

    Returns
    -------
    tuple
        The booster, and the logit to add to its raw score.
    """
    start = base_logit(answers)
    part = data.subset(chosen).construct()
    part.set_label(answers.seen.astype(np.float32)).set_init_score(np.full(len(chosen), start))
    params = {**settings.for_rows(len(chosen)).params(seed, threads), "objective": _objective(answers)}
    return lgb.train(params, part, num_boost_round=settings.trees), start


def derivatives(logits: Floats, seen: Mask, exposure: Floats) -> tuple[Floats, Floats]:
    """Return gradient and expected second derivative of the loss of what was seen.

    With probability p that a conversion comes at all and the share e that could be seen by now, a conversion is
    seen with probability p e. What is minimised is −log(p) where it was seen and −log(1 − p e) where it was not,
    the likelihood of a cure model whose delays are known: its expected gradient is 0 at the true p whatever the
    ages are, so that probabilities add up. A weight of 1 / e on what was seen would do the same with the noise of
    the youngest impressions blown up. Where e is 1, it is the usual log loss.

    Parameters
    ----------
    logits, seen, exposure
        One-dimensional, same length.

    Notes
    -----
    Source of the model: Chapelle, Modeling delayed feedback in display advertising, 2014, with the delays
    estimated apart.

    Examples
    --------
    >>> gradient, _ = derivatives(np.zeros(3), np.array([True, False, False]), np.array([1.0, 1.0, 0.0]))
    >>> gradient.tolist()
    [-0.5, 0.5, 0.0]
    """
    p = sigmoid(logits)
    missed = exposure * p * (1 - p) / (1 - np.minimum(p * exposure, 1 - 1e-12))
    return np.where(seen, p - 1, missed), np.maximum(missed * (1 - p), 1e-16)


def base_logit(answers: Answers) -> float:
    """Return the logit of one probability for all.

    Examples
    --------
    One of two is seen, of the conversions that half could be seen of: all convert.

    >>> base_logit(Answers(np.array([True, False]), np.array([0.5, 0.5]), np.ones(2))) > 5
    True
    """
    seen, exposure, weight = answers
    could_be_seen = max(float((weight * exposure).sum()), 1e-12)
    share = min(max(float(weight[seen].sum()) / could_be_seen, 1e-9), 1 - 1e-9)
    logit = float(np.log(share) - np.log1p(-share))
    for _ in range(_NEWTON_STEPS):
        gradient, curvature = derivatives(np.full(len(seen), logit), seen, exposure)
        step = float((weight * gradient).sum() / (weight * curvature).sum())
        logit -= min(max(step, -1.0), 1.0)
        if abs(step) < 1e-10:
            break
    return logit


def _objective(answers: Answers) -> Callable[[Floats, lgb.Dataset], tuple[Floats, Floats]]:
    def objective(raw: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        gradient, curvature = derivatives(raw, answers.seen, answers.exposure)
        return answers.weight * gradient, answers.weight * curvature

    return objective
