"""Dividing whole amounts exactly: the parts of each amount are integers that add up to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]

WHOLE: Final = 1 << 31
"""Weights that are not integers are rounded to this many parts of their path's sum."""

BLOCK: Final = 1 << 20
"""Positions that are worked on at a time."""


def blocks(sizes: Int64, most: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield stretches of paths that have about `most` in all, at least one path each.

    Examples
    --------
    >>> list(blocks(np.array([2, 2, 9, 1]), 4))
    [(0, 2), (2, 3), (3, 4)]
    """
    ends = np.cumsum(sizes)
    low = 0
    while low < len(sizes):
        before = int(ends[low - 1]) if low else 0
        high = max(int(np.searchsorted(ends, before + most, side="right")), low + 1)
        yield low, high
        low = high


def share(values: Int64, weights: npt.NDArray[Any], offsets: Int64) -> Int64:
    """Divide each path's value over its positions in proportion to their weights, by largest remainder.

    Every position first gets its proportion rounded down; what is left goes, one unit each, to the positions with
    the largest remainders, of equal ones to the earlier. All of it is integer arithmetic, so it is exact and the
    same everywhere.

    Parameters
    ----------
    values
        int64 [paths], minor units.
    weights
        [positions], at least 0. Integers (whose sum over a path is at most `WHOLE`) are taken as they are, floats
        are rounded to parts of `WHOLE`. A path whose weights are all 0 is divided equally.
    offsets
        int64 [paths + 1]: where each path's positions begin.

    Returns
    -------
    int64 [positions]
        Over each path with positions they add up to its value.

    Examples
    --------
    >>> share(np.array([100, 5]), np.ones(5, np.int64), np.array([0, 3, 5])).tolist()
    [34, 33, 33, 3, 2]
    """
    lengths = np.diff(offsets)
    some = lengths > 0
    values, lengths = values[some], lengths[some]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    parts = np.empty(len(weights), np.int64)
    for low, high in blocks(lengths):
        here = slice(starts[low], starts[high])
        parts[here] = _shared(values[low:high], weights[here], lengths[low:high], starts[low:high] - starts[low])
    return parts


def _shared(values: Int64, weights: npt.NDArray[Any], lengths: Int64, starts: Int64) -> Int64:
    whole = _integers(weights, lengths, starts)
    sums = np.add.reduceat(whole, starts)
    quotient, rest = np.divmod(values, sums)
    total = np.repeat(sums, lengths)
    more, remainder = np.divmod(np.repeat(rest, lengths) * whole, total)
    parts: Int64 = np.repeat(quotient, lengths) * whole + more
    left = values - np.add.reduceat(parts, starts)
    open_ones = np.flatnonzero(np.repeat(left > 0, lengths))
    path = np.repeat(np.arange(len(lengths)), lengths)[open_ones]
    ranked = open_ones[np.argsort((path << 32) - remainder[open_ones], kind="stable")]
    # Paths keep their places in the ranking, so a position's rank is counted from its path's first place in it.
    skipped = np.cumsum(np.where(left > 0, 0, lengths))
    rank = np.arange(len(ranked)) - (starts - skipped)[path]
    parts[ranked[rank < left[path]]] += 1
    return parts


def _integers(weights: npt.NDArray[Any], lengths: Int64, starts: Int64) -> Int64:
    if weights.dtype.kind == "f":
        sums = np.repeat(np.add.reduceat(weights, starts), lengths)
        parts = np.divide(weights, sums, out=np.zeros_like(sums), where=sums > 0)
        weights = np.rint(parts * WHOLE).astype(np.int64)
    nothing = np.add.reduceat(weights, starts) == 0
    return np.where(np.repeat(nothing, lengths), 1, weights).astype(np.int64)
