"""From scores to probabilities that can be acted on: blending and calibration on a later window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.processes import in_threads
from training.quality.metrics import CLIP, Floats, Labels


def logit(probabilities: NDArray[np.floating]) -> Floats:
    """Log odds, with probabilities clipped at 1e-5 so that they stay finite."""
    p = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def sigmoid(logits: Floats) -> Floats:
    """Inverse of `logit`; the sign is split so that no exponential overflows.

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


_STANDARD_ERRORS: Final = 3.0

LOGIT_BOUNDS: Final = (float(logit(np.array(0.0))), float(logit(np.array(1.0))))
"""Logits are kept inside these, so that a blend of two models stays finite."""


@dataclass(frozen=True)
class Platt:
    """Probability = sigmoid(slope × logit + intercept); Platt 1999, without his smoothing of the labels."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, logits: Floats) -> Floats:
        """Return calibrated probabilities of any shape."""
        return sigmoid(self.slope * logits + self.intercept)


def fit_platt(logits: Floats, labels: Labels, weights: Floats | None = None) -> Platt:
    """Fit slope and intercept by maximum likelihood.

    Parameters
    ----------
    logits, labels
        Same shape; flattened. With labels of one class the logits are left as they are; where all logits are
        equal, only the intercept is fitted.
    weights
        How much each counts, same shape; None for alike.

    Examples
    --------
    >>> z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0] * 100)
    >>> y = (np.arange(500) % 100 < 100 * sigmoid(z)).astype(np.uint8)
    >>> fit_platt(z, y).slope > 0
    True
    """
    y = labels.ravel()
    if not 0 < y.sum() < len(y):
        return Platt()
    middle, spread = float(logits.mean()), float(logits.std())
    if spread <= 1e-9 * max(1.0, abs(middle)):
        return Platt(1.0, float(logit(np.asarray(np.average(y, weights=weights)))) - middle)
    # Without penalty the scale changes nothing but how well the equations can be solved.
    scaled = (logits.reshape(-1, 1) - middle) / spread
    # Imported where something is fitted: whoever only scores starts a second earlier without it.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    model.fit(scaled, y, None if weights is None else weights.ravel())
    slope = float(model.coef_[0, 0]) / spread
    return Platt(slope, float(model.intercept_[0]) - slope * middle)


def fit_slope(logits: Floats, labels: Labels) -> Platt:
    """Fit the slope by maximum likelihood and keep the model's own level.

    How far a model over- or understates differences carries over from window to window; whether a month had a few
    more or fewer outcomes than the model expected does not, and the model that is fitted afterwards has seen that
    month. So the intercept is the one with which the mean probability stays what the logits say.

    Parameters
    ----------
    logits, labels
        Same shape; flattened.

    Examples
    --------
    >>> z = np.array([-4.0, 0.0, 4.0] * 50)
    >>> calibrated = fit_slope(z, (np.arange(150) % 5 == 0).astype(np.uint8)).apply(z)
    >>> round(float(calibrated.mean() - sigmoid(z).mean()), 9)
    0.0
    """
    slope = max(fit_platt(logits, labels).slope, 0.0)
    return Platt(slope, keeping_mean(slope * logits, sigmoid(logits)))


def keeping_mean(logits: Floats, probabilities: Floats, weights: Floats | None = None) -> float:
    """Return what is to be added to logits so that their mean probability is that of given probabilities."""
    level = float(np.average(probabilities, weights=weights))
    bound = 2 * LOGIT_BOUNDS[1] + float(np.abs(logits).max())
    return _root(lambda b: float(np.average(sigmoid(logits + b), weights=weights)) - level, bound)


_LEVEL_SPREAD: Final = 0.05
_LEVEL_STEPS: Final = 20


def fit_levels(logits: Floats, labels: Labels, platt: Platt) -> Floats:
    """Fit what is to be added to each tag's calibrated logit, drawn to the curve that all tags share.

    As in `fit_slope` the level over all tags stays the model's own: what all tags missed together was the month.

    Parameters
    ----------
    logits, labels
        People × tags.
    platt
        The shared curve.

    Returns
    -------
    Floats
        One level per tag, float64 [T]; alike for tags with few outcomes.

    Notes
    -----
    The mode of the likelihood times a normal prior with a standard deviation of 0.05, moved for all tags alike so
    that the mean probability stays. A model of all tags does not hit each tag's level, and part of what it misses
    by stays; docs/decisions.md has what levels of one month did to the next. Slopes per tag brought nothing more.
    """
    shared = platt.slope * logits + platt.intercept
    levels = np.zeros(logits.shape[1])
    precision = 1.0 / _LEVEL_SPREAD**2
    for _ in range(_LEVEL_STEPS):
        p = sigmoid(shared + levels)
        gradient = (labels - p).sum(axis=0) - precision * levels
        # A Newton step is bounded, since the likelihood is nearly flat far from where outcomes are.
        levels = levels + np.clip(gradient / ((p * (1 - p)).sum(axis=0) + precision), -1.0, 1.0)
    mean = float(sigmoid(shared).mean())
    bound = float(np.abs(levels).max()) + 1.0
    return levels + _root(lambda b: float(sigmoid(shared + levels + b).mean()) - mean, bound)


def _root(function: Callable[[float], float], bound: float) -> float:
    from scipy.optimize import brentq  # noqa: PLC0415  (as above)

    return float(brentq(function, -bound, bound))


def choose_blend(pooled: Floats, heads: Floats, labels: Labels, steps: int = 20, *, threads: int = 1) -> Floats:
    """Choose the share of the head in each tag's blended logit.

    One share serves all tags, the one with the lowest log loss after calibration. A tag gets a share of its own
    only where that is better for it by more than three standard errors over people: with hundreds of tags, smaller
    differences are found by chance.

    Parameters
    ----------
    pooled, heads
        Logits of the two models on the validation window, people × tags; NaN where a tag has no head.
    labels
        Outcomes of that window.
    steps
        A share is a multiple of 1 / steps.
    threads
        Shares that are tried at once.

    Returns
    -------
    Floats
        Shares in [0, 1], one per tag; 0 without a head.
    """
    headed = np.isfinite(heads).all(axis=0)
    if not headed.any():
        return np.zeros(pooled.shape[1])
    z, h, y = pooled[:, headed], heads[:, headed], labels[:, headed]

    def losses(share: float, platt: Platt | None = None) -> tuple[Floats, Platt]:
        blended = (1 - share) * z + share * h
        fitted = platt or fit_platt(blended, y)
        p = np.clip(fitted.apply(blended), CLIP, 1 - CLIP)
        return np.where(y == 1, -np.log(p), -np.log1p(-p)), fitted

    # Only means are kept: the losses of all candidates at once would take 21 times people × tags.
    candidates = np.linspace(0.0, 1.0, steps + 1).tolist()
    means = list(in_threads(lambda share: float(losses(share)[0].mean()), candidates, threads))
    common = candidates[int(np.argmin(means))]
    base, platt = losses(common)
    shares = np.full(z.shape[1], common)
    best = np.zeros(z.shape[1])

    def gained(share: float) -> tuple[Floats, Floats]:
        gain = base - losses(share, platt)[0]
        return gain.mean(axis=0), gain.std(axis=0) / np.sqrt(len(gain))

    for share, (mean, error) in zip(candidates, in_threads(gained, candidates, threads), strict=True):
        better = (mean > _STANDARD_ERRORS * error) & (mean > best)
        shares[better], best[better] = share, mean[better]
    out = np.zeros(pooled.shape[1])
    out[headed] = shares
    return out
