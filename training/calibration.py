"""From scores to probabilities that can be acted on: blending and calibration on a later window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.metrics import CLIP, Floats, Labels, log_loss


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


LOGIT_BOUNDS: Final = (float(logit(np.array(0.0))), float(logit(np.array(1.0))))
"""Logits are kept inside these, so that a blend of two models stays finite."""


@dataclass(frozen=True)
class Platt:
    """Probability = sigmoid(slope × logit + intercept); source: Platt 1999, fitted without smoothing."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, logits: Floats) -> Floats:
        """Return calibrated probabilities of any shape."""
        return sigmoid(self.slope * logits + self.intercept)


def fit_platt(logits: Floats, labels: Labels, iterations: int = 50) -> Platt:
    """Fit slope and intercept by Newton's method on the log likelihood.

    Parameters
    ----------
    logits, labels
        Same shape; flattened.
    iterations
        Most Newton steps; it stops when a step is below 1e-10.

    Examples
    --------
    >>> z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0] * 100)
    >>> y = (np.arange(500) % 100 < 100 * sigmoid(z)).astype(np.uint8)
    >>> fit_platt(z, y).slope > 0
    True
    """
    x, y = logits.ravel(), labels.ravel().astype(np.float64)
    beta = np.array([1.0, 0.0])
    for _ in range(iterations):
        p = sigmoid(beta[0] * x + beta[1])
        weight = np.maximum(p * (1 - p), 1e-12)
        gradient = np.array([np.dot(p - y, x), np.sum(p - y)])
        cross = np.dot(weight, x)
        hessian = np.array([[np.dot(weight, x * x) + 1e-9, cross], [cross, weight.sum() + 1e-9]])
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-10:
            break
    return Platt(float(beta[0]), float(beta[1]))


def choose_blend(pooled: Floats, heads: Floats, labels: Labels, steps: int = 20) -> float:
    """Choose the share of the heads in the blended logit.

    Parameters
    ----------
    pooled, heads
        Logits of the two models on the validation window, people × tags.
    labels
        Outcomes of that window.
    steps
        The share is a multiple of 1 / steps.

    Returns
    -------
    float
        The share in [0, 1] with the lowest log loss after calibration.
    """
    shares = np.linspace(0.0, 1.0, steps + 1)
    losses = []
    for share in shares:
        blended = (1 - share) * pooled + share * heads
        losses.append(log_loss(labels.ravel(), fit_platt(blended, labels).apply(blended).ravel()))
    return float(shares[int(np.argmin(losses))])
