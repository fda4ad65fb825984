"""Comparing learners and their settings by what they say of people they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from training.quality.metrics import Floats
from training.uplift.arms import Codes
from training.uplift.base import Matrix, fit_mean
from training.uplift.learners import UpliftLearner

INNER_FOLDS = 3


def r_losses(candidates: Sequence[UpliftLearner], X: Matrix, codes: Codes, y: Floats, *, seed: int = 7) -> Floats:
    """Return how badly each candidate explains the outcomes of people it has not seen.

    The R-loss of effects τ is the mean of ((y - m(x)) - (w - e) τ(x))², where m is the expected outcome without
    regard to the arm, w whether the person was treated and e the arm's share; arm by arm beside the control, and
    the mean over the arms. Effects and m are those of fits on the other folds. Less is better. Nearly all of it is
    noise that the candidates share.

    Parameters
    ----------
    candidates
        Unfitted learners, left as they are; their number of folds is not used.
    X, codes, y
        Columns, arm (0 is the control) and outcome of each person.
    seed
        Fixes the folds.

    Notes
    -----
    Source: Nie and Wager, Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108(2), 2021,
    section 2. That it chooses among learners better than other criteria: Schuler et al., A comparison of methods
    for model selection when estimating individual treatment effects, 2018.
    """
    arms = range(1, int(codes.max()) + 1)
    expected: list[Floats] = []
    found: list[float] = []
    for candidate in candidates:
        learner = clone(candidate).set_params(control=0, folds=INNER_FOLDS, seed=seed).fit(X, codes, y)
        effects = learner.effects_.reshape(len(y), -1)
        if not expected:
            expected = [_expected(X, y, (codes == 0) | (codes == arm), learner.fold_, seed) for arm in arms]
        each = []
        for arm, mean in zip(arms, expected, strict=True):
            rows = (codes == 0) | (codes == arm)
            w = (codes[rows] == arm).astype(np.float64)
            each.append(np.mean((y[rows] - mean[rows] - (w - w.mean()) * effects[rows, arm - 1]) ** 2))
        found.append(float(np.mean(each)))
    return np.array(found)


def _expected(X: Matrix, y: Floats, rows: NDArray[np.bool_], fold: Codes, seed: int) -> Floats:
    """Return outcomes that are expected whatever the arm, by fits on the rows without the person's fold."""
    mean = np.empty(len(y))
    for one in np.unique(fold):
        kept, held = rows & (fold != one), fold == one
        mean[held] = fit_mean(None, X[kept], y[kept], seed)(X[held])
    return mean
