"""Folds that hold the same mix of arms and outcomes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.quality.metrics import Floats
from training.uplift.arms import Codes


def balanced_folds(codes: Codes, y: Floats, folds: int, seed: int) -> Codes:
    """Deal people to folds, arm by arm and those with an outcome apart, so that folds differ as little as possible.

    Parameters
    ----------
    codes, y
        Arm and outcome of each person.
    folds
        How many, at least 2.
    seed
        Fixes who comes where.

    Returns
    -------
    ndarray
        Fold of each person, 0 … folds - 1.

    Raises
    ------
    TrainingError
        There are fewer than two folds, or an arm has fewer people than folds.

    Examples
    --------
    >>> balanced_folds(np.array([0, 0, 1, 1]), np.zeros(4), 2, seed=1).reshape(2, 2).sum(axis=1).tolist()
    [1, 1]
    """
    smallest = int(np.bincount(codes).min())
    if folds < 2 or smallest < folds:
        raise TrainingError(
            "folds are at least two, and no more than the people of the smallest arm",
            value=folds,
            valid=[f"2 … {smallest}"],
            next_step="take fewer folds, or a trial with more people in each arm",
        )
    rng = np.random.default_rng(seed)
    fold = np.empty(len(codes), np.int64)
    dealt = 0
    for arm in np.unique(codes):
        for active in (False, True):
            group = rng.permutation(np.flatnonzero((codes == arm) & ((y != 0) == active)))
            fold[group] = (dealt + np.arange(len(group))) % folds
            dealt += len(group)
    return fold


def levelled(scores: NDArray[np.float64], fold: Codes) -> NDArray[np.float64]:
    """Give the scores of every fold the same mean: they come from different fits, whose levels differ by chance.

    Parameters
    ----------
    scores
        [n], or [n, arms]; each column on its own.
    fold
        Fold of each person.

    Examples
    --------
    >>> levelled(np.array([3.0, 1.0, 0.1, 0.3]), np.array([0, 0, 1, 1])).round(2).tolist()
    [2.1, 0.1, 1.0, 1.2]
    """
    level = np.array(scores)
    for one in np.unique(fold):
        members = fold == one
        level[members] += scores.mean(axis=0) - scores[members].mean(axis=0)
    return level
