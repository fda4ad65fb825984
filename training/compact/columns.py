"""Columns of one-byte codes, in which every split of every tree is one run of codes.

A column holds a feature's thresholds in rising order. The code of a value is 0 where it is missing and otherwise
1 + the number of thresholds below it, so that ``value <= threshold`` is ``code <= 1 + rank of the threshold``,
exactly. A feature with more thresholds than a byte can tell apart has several columns. Rows are float32, so a
threshold is the largest float32 that is not above LightGBM's float64 one: the same values lie below it.

A set of categories has a column of its own. Its thresholds are where the categories begin and end to belong to the
set, and its code is 1 outside and 2 inside, which is 1 + the parity of the number of thresholds below the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.compact.trees import MISSING_NONE, MISSING_ZERO, Floats, Ints, Trees, starts

CODES: Final = 256
"""What a byte tells apart."""

MOST_CUTS: Final = CODES - 2
"""Thresholds of a column: one code for missing values, and one more than thresholds for the others."""

PLAIN: Final = 0
ZERO_MISSING: Final = 1
CATEGORIES: Final = 2


class Columns(NamedTuple):
    """How values become codes; a tuple of arrays, so that compiled code takes it.

    Parameters
    ----------
    source
        Number of the feature that each column encodes, int32 [columns].
    kind
        ``PLAIN``, ``ZERO_MISSING`` (zeros are missing values, too) or ``CATEGORIES``, uint8 [columns].
    first
        Where each column's thresholds start, int32 [columns + 1].
    cuts
        Thresholds of all columns, float32.
    """

    source: NDArray[np.int32]
    kind: NDArray[np.uint8]
    first: NDArray[np.int32]
    cuts: NDArray[np.float32]


@dataclass(frozen=True)
class Splits:
    """Which codes go left at each node: `width` codes from `low` on, counted modulo 256.

    Parameters
    ----------
    column, low, width
        Of each node, [nodes].
    """

    column: Ints
    low: Ints
    width: Ints


def split_columns(trees: Trees) -> tuple[Columns, Splits]:
    """Lay out the columns of all trees and express their nodes in them."""
    width = int(trees.feature.max(initial=-1)) + 1
    column, low, runs = (np.zeros(len(trees.feature), np.int64) for _ in range(3))
    made: list[tuple[int, int, NDArray[np.float32]]] = []
    cut = floor32(trees.threshold)
    kind = np.where(trees.categorical, CATEGORIES, np.where(trees.missing == MISSING_ZERO, ZERO_MISSING, PLAIN))
    missing_left = np.where(trees.missing == MISSING_NONE, trees.threshold >= 0, trees.default_left)
    group = kind * width + trees.feature
    order = np.argsort(group, kind="stable")
    for nodes in np.split(order, np.nonzero(np.diff(group[order]))[0] + 1) if len(order) else []:
        what, feature = int(kind[nodes[0]]), int(trees.feature[nodes[0]])
        if what == CATEGORIES:
            sets = [trees.categories[int(number)] for number in trees.threshold[nodes]]
            places = {members: len(made) + n for n, members in enumerate(dict.fromkeys(sets))}
            column[nodes] = [places[members] for members in sets]
            low[nodes], runs[nodes] = 2, CODES - 2
            made += [(feature, what, category_cuts(members)) for members in places]
        else:
            cuts, rank = np.unique(cut[nodes], return_inverse=True)
            column[nodes] = len(made) + rank // MOST_CUTS
            low[nodes] = np.where(missing_left[nodes], 0, 1)
            runs[nodes] = rank % MOST_CUTS + 2 - low[nodes]
            made += [(feature, what, cuts[n : n + MOST_CUTS]) for n in range(0, len(cuts), MOST_CUTS)]
    columns = Columns(
        np.array([source for source, _, _ in made], np.int32),
        np.array([what for _, what, _ in made], np.uint8),
        starts(np.array([len(cuts) for _, _, cuts in made], np.int64)).astype(np.int32),
        np.concatenate([np.empty(0, np.float32), *(cuts for _, _, cuts in made)]),
    )
    return columns, Splits(column, low, runs)


def floor32(values: Floats) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each value.

    Examples
    --------
    >>> floor32(np.array([0.1, 0.5])).tolist()
    [0.09999999403953552, 0.5]
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def category_cuts(members: Sequence[int]) -> NDArray[np.float32]:
    """Return where values begin and end to belong to a set of categories.

    LightGBM cuts the fraction off, so category c is [c, c + 1), and category 0 is (−1, 1).

    Examples
    --------
    >>> category_cuts([0, 1, 5]).tolist()
    [-1.0, 1.9999998807907104, 4.999999523162842, 5.999999523162842]
    """
    categories = np.array(members, np.int64)
    inside = np.diff(categories) != 1
    begins = categories[np.concatenate([[True], inside])].astype(np.float64)
    ends = categories[np.concatenate([inside, [True]])].astype(np.float64) + 1
    bounds = np.stack([begins, ends], axis=1).ravel()
    # The largest float32 below each bound, so that the bound itself lies above the cut.
    cuts = floor32(np.nextafter(bounds, -np.inf))
    return np.where(bounds == 0, np.float32(-1), cuts)
