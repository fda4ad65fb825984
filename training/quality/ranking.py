"""How well scores rank people: scikit-learn's figures to the last bit, without the second that its import takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def roc_auc(labels: NDArray[np.uint8], scores: Numbers) -> float:
    """Return the area under the ROC curve: how likely a positive stands above a negative, ties counted half.

    Parameters
    ----------
    labels
        Of both classes, uint8 [n].
    scores
        float64 [n].

    Examples
    --------
    >>> roc_auc(np.array([0, 1, 0, 1], np.uint8), np.array([0.1, 0.4, 0.35, 0.8]))
    1.0
    """
    positives, negatives = _from_the_top(labels, scores)
    # Points on a straight line between others change the area by rounding alone.
    corner = np.ones(len(positives), bool)
    corner[1:-1] = (np.diff(positives, 2) != 0) | (np.diff(negatives, 2) != 0)
    up, right = (np.append(0.0, counts[corner]) / counts[-1] for counts in (positives, negatives))
    return float(np.trapezoid(up, right))


def average_precision(labels: NDArray[np.uint8], scores: Numbers) -> float:
    """Return the mean over the positives of the share of positives at and above each of them.

    Parameters
    ----------
    labels
        At least one positive, uint8 [n].
    scores
        float64 [n].

    Examples
    --------
    >>> round(average_precision(np.array([0, 1, 0, 1], np.uint8), np.array([0.1, 0.4, 0.5, 0.8])), 4)
    0.8333
    """
    positives, negatives = _from_the_top(labels, scores)
    precision = positives / (positives + negatives)
    recall = np.append((positives / positives[-1])[::-1], 0.0)
    return max(0.0, float(-np.sum(np.diff(recall) * precision[::-1])))


def _from_the_top(labels: NDArray[np.uint8], scores: Numbers) -> tuple[Numbers, Numbers]:
    """Return how many positives and negatives have at least each of the scores, highest first."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    positives = np.cumsum(labels[order], dtype=np.float64)[last]
    return positives, 1.0 + last - positives
