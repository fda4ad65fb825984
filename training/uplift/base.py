"""Base learners of uplift: expected outcomes and effects, by LightGBM with settings for weak effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier

from training.quality.metrics import Floats
from training.uplift.arms import Codes

Matrix = NDArray[np.float64]
Mean = Callable[[Matrix], Floats]
"""Expected values of rows."""

LEAF_SHARE: Final = 0.04
"""Least share of the rows in a leaf, between 20 and 500 rows: an effect is a difference of two noisy means."""


def weak_effect_settings(rows: int) -> dict[str, Any]:
    """Return LightGBM settings for effects that are small beside the noise: few leaves of many rows, few trees.

    Parameters
    ----------
    rows
        Rows that the model is fitted on.

    Examples
    --------
    >>> weak_effect_settings(5_000)["min_child_samples"]
    200
    """
    return {
        "n_estimators": 60,
        "num_leaves": 4,
        "learning_rate": 0.05,
        "min_child_samples": int(np.clip(LEAF_SHARE * rows, 20, 500)),
        "reg_lambda": 10.0,
    }


def booster(kind: type[Any], rows: int, seed: int) -> Any:
    """Return an unfitted LightGBM estimator whose result depends on nothing but data and seed."""
    fixed = {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "random_state": seed, "verbose": -1}
    return kind(**weak_effect_settings(rows), **fixed)


def fit_mean(model: Any, X: Matrix, y: Floats, seed: int) -> Mean:
    """Fit the expected outcome given the columns.

    Parameters
    ----------
    model
        Unfitted estimator of scikit-learn's kind, left as it is; a classifier gives the probability of 1. None
        means LightGBM: a classifier where outcomes are 0 and 1, else a regressor.
    X, y
        Rows and their outcomes.
    seed
        Of the default model.

    Returns
    -------
    Callable
        Rows → expected outcomes. A constant where all outcomes are the same.
    """
    values = np.unique(y)
    if len(values) == 1:
        only = float(values[0])
        return lambda rows: np.full(len(rows), only)
    binary = set(values.tolist()) == {0.0, 1.0}
    if model is None:
        fitted = booster(lgb.LGBMClassifier if binary else lgb.LGBMRegressor, len(X), seed)
    else:
        fitted = clone(model)
    if is_classifier(fitted):
        fitted.fit(X, y.astype(np.int64))
        return lambda rows: np.asarray(fitted.predict_proba(rows)[:, 1], np.float64)
    fitted.fit(X, y)
    return lambda rows: np.asarray(fitted.predict(rows), np.float64)


def fit_arm_chances(X: Matrix, codes: Codes, arms: int, seed: int) -> Callable[[Matrix], Matrix]:
    """Fit the chance of each arm given the columns, for trials that were not drawn by lot.

    Parameters
    ----------
    X, codes
        Rows, and the arm of each: 0 … arms - 1, each at least once.
    arms
        Number of arms.
    seed
        Of the models.

    Returns
    -------
    Callable
        Rows → chances float64 [n, arms], each at least 0.01 before they are made to sum to 1.
    """
    each = [fit_mean(None, X, (codes == arm).astype(np.float64), seed) for arm in range(arms)]

    def chances(rows: Matrix) -> Matrix:
        raw = np.maximum(np.stack([mean(rows) for mean in each], axis=1), 0.01)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True))

    return chances
