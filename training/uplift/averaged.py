"""The learner that is used where none is named: the mean of two that err in different ways."""

from __future__ import annotations

from training.quality.metrics import Floats
from training.uplift.arms import Codes
from training.uplift.base import Matrix
from training.uplift.learners import Effects, SLearner, UpliftLearner, XLearner


class AveragedLearner(UpliftLearner):
    """The mean of S- and X-learner.

    The S-learner draws effects towards none and follows whoever is likely to have the outcome; the X-learner
    follows the differences between the arms, and their noise. Choosing between them by a loss is itself mostly
    noise where outcomes are rare: ``docs/uplift.md`` says what was measured.

    Parameters
    ----------
    outcome_model, control, folds, fit_propensity, seed
        As in `UpliftLearner`; the outcome model is that of both.

    Examples
    --------
    >>> import numpy as np
    >>> X, t = np.arange(400.0)[:, None] % 7, np.arange(400) % 2
    >>> AveragedLearner(folds=2).fit(X, t, 3.0 * t).predict(X[:2]).round(1).tolist()
    [2.9, 2.9]
    """

    def _fit_member(self, X: Matrix, codes: Codes, y: Floats) -> Effects:
        fitted = []
        for kind in (SLearner, XLearner):
            learner = kind(self.outcome_model, seed=self.seed)
            learner.arms_ = self.arms_
            fitted.append(learner._fit_member(X, codes, y))

        def effects(rows: Matrix, chances: Matrix) -> Matrix:
            first, second = (member(rows, chances) for member in fitted)
            return (first + second) / 2

        return effects
