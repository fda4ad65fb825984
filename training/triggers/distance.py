"""How far apart two samples are: PSI, the Kolmogorov-Smirnov statistic, and which of many are so beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.floating[Any]]
BINS = 10
_PRIOR = 0.5
"""Added to the count of each bin, so that an empty one does not make the distance infinite."""


def psi(before: Values, now: Values, bins: int = BINS) -> float:
    """Return the population stability index of a sample against an earlier one.

    The sum over bins of (share now − share before) × log(share now / share before): Kullback and Leibler's
    divergence both ways (On Information and Sufficiency, 1951). Bins are quantiles of the earlier sample; missing
    values are a bin of their own. By custom below 0.1 counts as stable and above 0.25 as moved.

    Parameters
    ----------
    before, now
        Values [n], [m]; NaN where missing.
    bins
        Quantile bins of the earlier sample, fewer where values repeat.

    Examples
    --------
    >>> x = np.arange(1000.0)
    >>> psi(x, x), psi(x, x + 500) > 0.25
    (0.0, True)
    """
    shares = [_shares(values, _edges(before, bins)) for values in (before, now)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _edges(before: Values, bins: int) -> Values:
    known = before[~np.isnan(before)]
    return np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(1)


def _shares(values: Values, edges: Values) -> NDArray[np.float64]:
    known = values[~np.isnan(values)]
    # A value on an edge lies above it: where most are 0, being 0 and being more are two bins.
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1).astype(float)
    counts = np.append(counts, len(values) - len(known)) + _PRIOR
    return np.asarray(counts / counts.sum())


def ks(before: Values, now: Values) -> tuple[float, float]:
    """Return the largest distance between two distribution functions, and its two-sided p-value.

    Source: Smirnov, Table for Estimating the Goodness of Fit of Empirical Distributions, 1948; the p-value is the
    asymptotic one. Missing values lie below all others.

    Parameters
    ----------
    before, now
        Values [n], [m].

    Examples
    --------
    >>> x = np.arange(1000.0)
    >>> ks(x, x)
    (0.0, 1.0)
    >>> ks(x, x + 500)[0]
    0.5
    """
    a, b = (np.sort(np.where(np.isnan(values), -np.inf, values)) for values in (before, now))
    every = np.concatenate([a, b])
    apart = np.searchsorted(a, every, side="right") / len(a) - np.searchsorted(b, every, side="right") / len(b)
    statistic = float(np.abs(apart).max())
    size = len(a) * len(b) / (len(a) + len(b))
    return statistic, float(stats.kstwobign.sf(statistic * np.sqrt(size)))


def beyond_chance(p_values: Sequence[float], level: float = 0.01) -> list[bool]:
    """Return which of many tests reject, so that the chance that any errs is `level` at most.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    Examples
    --------
    >>> beyond_chance([0.001, 0.004, 0.5])
    [True, True, False]
    >>> beyond_chance([0.004, 0.004, 0.5])
    [False, False, False]
    """
    rejected = [False] * len(p_values)
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] > level / (len(p_values) - rank):
            break
        rejected[int(place)] = True
    return rejected
