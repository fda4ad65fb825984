"""S-, T- and X-learners: the effect of being treated, person by person, in scikit-learn's manner."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from features.errors import TrainingError
from training.quality.metrics import Floats
from training.uplift.arms import Arms, Codes, find_arms
from training.uplift.base import Matrix, fit_arm_chances, fit_mean
from training.uplift.folds import balanced_folds

Effects = Callable[[Matrix, Matrix], Matrix]
"""Rows and chances of the arms → effects, rows × treated arms."""


class UpliftLearner(BaseEstimator, ABC):  # type: ignore[misc]
    """What all learners share: several arms against one control, cross-fitted.

    The learner is fitted once without each fold. `effects_` holds for every person the effect according to the fit
    that did not see them; a new person's effect is the mean over the fits.

    Parameters
    ----------
    outcome_model
        Unfitted estimator of scikit-learn's kind for outcomes; a classifier gives the probability of 1. None is
        LightGBM with `training.uplift.base.weak_effect_settings`.
    control
        Value of the control arm; None finds it, see `training.uplift.arms.find_arms`.
    folds
        Number of fits, at least 2.
    fit_propensity
        Whether the chance of each arm is fitted from the columns. By default it is what is given to `fit`, or the
        arms' shares.
    seed
        Fixes folds and default models.

    Attributes
    ----------
    arms_ : Arms
        Control and treated values.
    effects_ : ndarray
        float64 [n], or [n, treated arms] where there are several.
    fold_ : ndarray
        Fold of each person.
    arm_chances_ : ndarray
        float64 [n, arms], the control's first: as given, as fitted without the person's fold, or the arms' shares.

    Notes
    -----
    Source: Künzel, Sekhon, Bickel and Yu, Metalearners for estimating heterogeneous treatment effects using machine
    learning, PNAS 116(10), 2019, section 2.
    """

    def __init__(
        self,
        outcome_model: Any = None,
        *,
        control: Any = None,
        folds: int = 5,
        fit_propensity: bool = False,
        seed: int = 7,
    ) -> None:
        self.outcome_model = outcome_model
        self.control = control
        self.folds = folds
        self.fit_propensity = fit_propensity
        self.seed = seed

    def fit(self, X: ArrayLike, treatment: ArrayLike, y: ArrayLike, propensity: ArrayLike | None = None) -> Self:
        """Fit the effects.

        Parameters
        ----------
        X
            Columns known before the treatment, [n, columns]; NaN where unknown.
        treatment
            Arm of each person.
        y
            Outcome of each person, a finite number.
        propensity
            Known chances: one number or [n] for the one treated arm, or [n, arms] with the control first and the
            treated in ascending order.

        Raises
        ------
        TrainingError
            Shapes do not fit, an outcome is not finite, the control cannot be told, or a chance is not within 0 and
            1.
        """
        rows = _matrix(X)
        values, outcome = np.asarray(treatment), np.asarray(y, np.float64)
        if not rows.shape[:1] == values.shape == outcome.shape or not np.isfinite(outcome).all():
            raise TrainingError(
                "rows, arms and finite outcomes are needed for the same people",
                value=(rows.shape, values.shape, outcome.shape),
            )
        self.arms_: Arms = find_arms(values, self.control)
        codes = self.arms_.codes(values)
        self.n_features_in_ = rows.shape[1]
        self.fold_: Codes = balanced_folds(codes, outcome, self.folds, self.seed)
        shares = np.bincount(codes)[None] / len(codes)
        chances = _chances(shares if propensity is None else propensity, len(rows), len(self.arms_))
        self._usual_chances = chances.mean(axis=0, keepdims=True)
        self._members: list[tuple[Effects, Callable[[Matrix], Matrix] | None]] = []
        effects = np.empty((len(rows), len(self.arms_.treated)))
        for fold in range(self.folds):
            kept, held = self.fold_ != fold, self.fold_ == fold
            member = self._fit_member(rows[kept], codes[kept], outcome[kept])
            fitted = None
            if self.fit_propensity:
                fitted = fit_arm_chances(rows[kept], codes[kept], len(self.arms_), self.seed)
                chances[held] = fitted(rows[held])
            effects[held] = member(rows[held], chances[held])
            self._members.append((member, fitted))
        self.arm_chances_ = chances
        self.effects_ = _flat(effects)
        return self

    def predict(self, X: ArrayLike, propensity: ArrayLike | None = None) -> Floats:
        """Return how much larger the expected outcome is under each treated arm than under the control.

        Parameters
        ----------
        X
            Columns as in `fit`.
        propensity
            Known chances of the arms as in `fit`; by default those of the trial on average, or the fitted ones.

        Returns
        -------
        ndarray
            float64 [n], or [n, treated arms] where there are several.
        """
        check_is_fitted(self, "effects_")
        rows = _matrix(X)
        if rows.shape[1] != self.n_features_in_:
            raise TrainingError("the rows have other columns than those of the trial", value=rows.shape[1])
        known = _chances(self._usual_chances if propensity is None else propensity, len(rows), len(self.arms_))
        total = np.zeros((len(rows), len(self.arms_.treated)))
        for member, fitted in self._members:
            total += member(rows, fitted(rows) if fitted is not None and propensity is None else known)
        return _flat(total / len(self._members))

    @abstractmethod
    def _fit_member(self, X: Matrix, codes: Codes, y: Floats) -> Effects:
        """Fit once on some of the people."""


class SLearner(UpliftLearner):
    """One model of the outcome in which the arm is a column like any other.

    The effect is the change of its prediction when that column changes. Shrinks weak effects most.

    Examples
    --------
    >>> X, t = np.arange(400.0)[:, None] % 7, np.arange(400) % 2
    >>> SLearner(folds=2).fit(X, t, 3.0 * t).predict(X[:2]).round(1).tolist()
    [2.8, 2.8]
    """

    def _fit_member(self, X: Matrix, codes: Codes, y: Floats) -> Effects:
        arms = len(self.arms_)

        def with_arm(rows: Matrix, arm: Codes) -> Matrix:
            return np.column_stack([rows, *(arm == one for one in range(1, arms))])

        mean = fit_mean(self.outcome_model, with_arm(X, codes), y, self.seed)

        def effects(rows: Matrix, chances: Matrix) -> Matrix:  # noqa: ARG001
            means = [mean(with_arm(rows, np.full(len(rows), arm))) for arm in range(arms)]
            return np.stack(means[1:], axis=1) - means[0][:, None]

        return effects


class TLearner(UpliftLearner):
    """A model of the outcome for each arm; the effect is their difference.

    Examples
    --------
    >>> X, t = np.arange(400.0)[:, None] % 7, np.arange(400) % 2
    >>> TLearner(folds=2).fit(X, t, 3.0 * t).predict(X[:2]).tolist()
    [3.0, 3.0]
    """

    def _fit_member(self, X: Matrix, codes: Codes, y: Floats) -> Effects:
        means = [
            fit_mean(self.outcome_model, X[codes == arm], y[codes == arm], self.seed)
            for arm in range(len(self.arms_))
        ]

        def effects(rows: Matrix, chances: Matrix) -> Matrix:  # noqa: ARG001
            return np.stack([mean(rows) for mean in means[1:]], axis=1) - means[0](rows)[:, None]

        return effects


class XLearner(UpliftLearner):
    """Effects imputed for each person from the other arm's outcome model, then modelled in their own right.

    With μ₀ fitted on the control and μ₁ on an arm, τ₁ is fitted to y - μ₀(x) over the arm's people and τ₀ to
    μ₁(x) - y over the control's; neither outcome model has seen the people whose effects it imputes. The effect is
    e(x) τ₀(x) + (1 - e(x)) τ₁(x), where e is the arm's chance beside the control's.

    Parameters
    ----------
    outcome_model, control, folds, fit_propensity, seed
        As in `UpliftLearner`.
    effect_model
        Unfitted regressor for the imputed effects; None is LightGBM as for outcomes.

    Examples
    --------
    >>> X, t = np.arange(400.0)[:, None] % 7, np.arange(400) % 2
    >>> XLearner(folds=2).fit(X, t, 3.0 * t).predict(X[:2]).tolist()
    [3.0, 3.0]
    """

    def __init__(
        self,
        outcome_model: Any = None,
        effect_model: Any = None,
        *,
        control: Any = None,
        folds: int = 5,
        fit_propensity: bool = False,
        seed: int = 7,
    ) -> None:
        super().__init__(outcome_model, control=control, folds=folds, fit_propensity=fit_propensity, seed=seed)
        self.effect_model = effect_model

    def _fit_member(self, X: Matrix, codes: Codes, y: Floats) -> Effects:
        apart, y_apart = X[codes == 0], y[codes == 0]
        control = fit_mean(self.outcome_model, apart, y_apart, self.seed)
        pairs = []
        for arm in range(1, len(self.arms_)):
            shown, y_shown = X[codes == arm], y[codes == arm]
            treated = fit_mean(self.outcome_model, shown, y_shown, self.seed)
            of_control = fit_mean(self.effect_model, apart, treated(apart) - y_apart, self.seed)
            of_treated = fit_mean(self.effect_model, shown, y_shown - control(shown), self.seed)
            pairs.append((of_control, of_treated))

        def effects(rows: Matrix, chances: Matrix) -> Matrix:
            columns = []
            for arm, (of_control, of_treated) in enumerate(pairs, 1):
                e = chances[:, arm] / (chances[:, arm] + chances[:, 0])
                columns.append(e * of_control(rows) + (1 - e) * of_treated(rows))
            return np.stack(columns, axis=1)

        return effects


LEARNERS: Final[dict[str, type[UpliftLearner]]] = {"s": SLearner, "t": TLearner, "x": XLearner}
"""Learners by the letter that names them on the command line."""


def _matrix(X: ArrayLike) -> Matrix:
    rows: Matrix = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
    return rows


def _chances(given: ArrayLike, people: int, arms: int) -> Matrix:
    """Bring known chances of the arms into one row per person that sums to 1."""
    known = np.asarray(given, np.float64)
    if known.shape in {(), (people,)} and arms == 2:
        known = np.atleast_2d(np.stack([1 - known, known], axis=-1))
    if known.shape not in {(1, arms), (people, arms)} or not ((known > 0) & (known < 1)).all():
        raise TrainingError(
            "chances of the arms lie between 0 and 1 and have one column per arm, the control first",
            value=known.shape,
            valid=[(people, arms)],
        )
    return np.array(np.broadcast_to(known / known.sum(axis=-1, keepdims=True), (people, arms)))


def _flat(effects: NDArray[np.float64]) -> Floats:
    return effects[:, 0] if effects.shape[1] == 1 else effects
