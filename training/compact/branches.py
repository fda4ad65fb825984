"""How trees lie in memory for walking: a node in one place, numbers as they are, sets of categories as bits."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.compact.columns import floor32
from training.compact.trees import MISSING_NONE, MISSING_ZERO, Ints, Trees, starts

WORD: Final = 64
"""Bits of a word of a set."""
MOST_EMPTY: Final = 16
"""A table of codes has so many places at most for one category, and some."""
ZERO_MISSING: Final = 1
MISSING_LEFT: Final = 2


class Readings(NamedTuple):
    """How features are read: numbers once for each way in which nodes take missing values, then categories.

    Parameters
    ----------
    numbers
        How many readings are of numbers.
    source
        Number of the feature, int32 [readings].
    kind
        Of numbers the sum of ``ZERO_MISSING`` (zeros are missing values, too) and ``MISSING_LEFT``, uint8
        [readings].
    first
        Where the categories of each reading start, int32 [readings + 1].
    categories
        Categories that are in some set, sorted within their reading, int32; a category's code is its place.
    first_code, codes
        The codes of all categories from 0 on, int32, and where those of each reading start, int32 [readings + 1];
        none where that would be many more than there are categories.
    """

    numbers: int
    source: NDArray[np.int32]
    kind: NDArray[np.uint8]
    first: NDArray[np.int32]
    categories: NDArray[np.int32]
    first_code: NDArray[np.int32]
    codes: NDArray[np.int32]


class Branches(NamedTuple):
    """The nodes and leaves of all trees.

    Parameters
    ----------
    first_tree
        Where each booster's trees start, int32 [boosters + 1].
    first
        Where each tree's nodes start, int32 [trees + 1]. Its leaves start there, too, plus its number.
    nodes
        Side by side, because who visits a node needs all of it, int32 [nodes, 4]: the reading that it looks at; the
        cut, or where its set of categories starts among `sets`; left and right child, each the number of a node of
        the tree, or −1 − that of a leaf.
    cuts
        The same bytes as float32: a row goes left where its number is not above the cut.
    first_place, by_reading, cuts_by_reading
        The nodes once more, those of a reading side by side: where they start, int32 [readings + 1], and number and
        cut or start of the set of each, int32 [nodes, 2]; the same bytes as float32.
    sets
        Sets of categories, a bit for each code of the reading and one that is never set for all others, uint64.
    first_member, members
        The codes of each node's set once more, in a list: where it starts, int32 [nodes + 1], and all lists,
        uint16.
    leaves
        Values of the leaves, float64.
    """

    first_tree: NDArray[np.int32]
    first: NDArray[np.int32]
    nodes: NDArray[np.int32]
    cuts: NDArray[np.float32]
    first_place: NDArray[np.int32]
    by_reading: NDArray[np.int32]
    cuts_by_reading: NDArray[np.float32]
    sets: NDArray[np.uint64]
    first_member: NDArray[np.int32]
    members: NDArray[np.uint16]
    leaves: NDArray[np.float64]


def branches_of(trees: Trees) -> tuple[Readings, Branches]:
    """Lay out the nodes of all trees, and say how they read rows."""
    missing_left = np.where(trees.missing == MISSING_NONE, trees.threshold >= 0, trees.default_left)
    kind = ZERO_MISSING * (trees.missing == MISSING_ZERO) + MISSING_LEFT * missing_left
    ways, reading = np.unique(
        np.stack([trees.categorical, trees.feature, np.where(trees.categorical, 0, kind)]).astype(np.int64),
        axis=1,
        return_inverse=True,
    )
    known, lists = _codes(trees, reading, len(ways[0]))
    first_set, sets = _bit_sets(lists, [len(known[place]) for place in reading.tolist()])
    nodes = np.stack([reading, np.zeros_like(reading), trees.left, trees.right], axis=1).astype(np.int32)
    nodes[:, 1] = np.where(trees.categorical, first_set.astype(np.int32), floor32(trees.threshold).view(np.int32))
    order = np.argsort(reading, kind="stable")
    by_reading = np.stack([order, nodes[order, 1]], axis=1).astype(np.int32)
    codes = [_table(categories) for categories in known]
    return (
        Readings(
            int((ways[0] == 0).sum()),
            ways[1].astype(np.int32),
            ways[2].astype(np.uint8),
            _lengths(known),
            _joined(known, np.int32),
            _lengths(codes),
            _joined(codes, np.int32),
        ),
        Branches(
            trees.first_tree.astype(np.int32),
            trees.first_node.astype(np.int32),
            nodes,
            nodes.view(np.float32),
            starts(np.bincount(reading, minlength=len(ways[0]))).astype(np.int32),
            by_reading,
            by_reading.view(np.float32),
            sets,
            _lengths(lists),
            _joined(lists, np.uint16),
            trees.leaf_value,
        ),
    )


def _codes(trees: Trees, reading: Ints, readings: int) -> tuple[list[Ints], list[Ints]]:
    """Return the categories of each reading, sorted, and the codes in each node's set; none for numbers."""
    known: list[set[int]] = [set() for _ in range(readings)]
    nodes = np.flatnonzero(trees.categorical).tolist()
    members = {node: trees.categories[int(trees.threshold[node])] for node in nodes}
    for node, some in members.items():
        known[reading[node]].update(some)
    categories = [np.array(sorted(some), np.int64) for some in known]
    lists = [
        np.searchsorted(categories[place], np.array(members.get(node, ()), np.int64)).astype(np.int64)
        for node, place in enumerate(reading.tolist())
    ]
    return categories, lists


def _table(categories: Ints) -> Ints:
    """Return the code of each category from 0 on; nothing where few categories are spread over many numbers."""
    if not len(categories) or categories[-1] > MOST_EMPTY * (len(categories) + WORD):
        return np.empty(0, np.int64)
    table = np.full(int(categories[-1]) + 1, len(categories), np.int64)
    table[categories] = np.arange(len(categories))
    return table


def _bit_sets(lists: list[Ints], sizes: list[int]) -> tuple[Ints, NDArray[np.uint64]]:
    """Return where the bits of each list of codes start, and the bits of all of them."""
    words = np.array(
        [size // WORD + 1 if len(codes) else 0 for codes, size in zip(lists, sizes, strict=True)], np.int64
    )
    first = starts(words)
    bits = np.zeros(WORD * int(first[-1]), np.uint8)
    bits[_joined(lists, np.int64) + np.repeat(WORD * first[:-1], [len(codes) for codes in lists])] = 1
    return first[:-1], np.packbits(bits, bitorder="little").view("<u8").astype(np.uint64)


def _lengths(parts: list[Ints]) -> NDArray[np.int32]:
    return starts(np.array([len(part) for part in parts], np.int64)).astype(np.int32)


def _joined(parts: list[Ints], kind: type[np.integer[Any]]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *parts]).astype(kind)
