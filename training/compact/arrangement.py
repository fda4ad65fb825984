"""How trees lie in memory: leaves by how seldom they are reached, and the nodes that a code decides side by side.

The near child of a node is the one that more training rows went to, the far child is the other one. A node that
sends a row far rules out all leaves under its near child; a row's leaf is the first one, near before far, that no
node rules out (Lucchese et al., QuickScorer, 2015). Nodes that send it near need not be looked at: those are most.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.compact.columns import CODES, Splits
from training.compact.trees import Floats, Ints, Trees, starts

WORD: Final = 32
"""Leaves of a tree for which a word has bits."""

BITS: Final = 5
"""Bits that tell the leaves of a word apart."""

LEAF_ROW: Final = 256
"""In blocks of rows, a child from this number on is a leaf; they take no trees of more leaves than this."""


class Nodes(NamedTuple):
    """Every tree's nodes in their own order; a tuple of arrays, so that compiled code takes it.

    Parameters
    ----------
    first_tree
        Where each booster's trees start, int32 [boosters + 1].
    first
        Where each tree's nodes start, int32 [trees + 1]. Its leaves start there, too, plus its number.
    column, low, width
        A row goes far where its code in that column is one of `width` codes from `low` on, modulo 256; uint32,
        uint8 and uint8 [nodes].
    near, far
        Children: a node of the tree, or ``LEAF_ROW`` + a leaf; uint16 [nodes]. Of no meaning in larger trees.
    leaves
        Values of the leaves, near before far, float64.
    """

    first_tree: NDArray[np.int32]
    first: NDArray[np.int32]
    column: NDArray[np.uint32]
    low: NDArray[np.uint8]
    width: NDArray[np.uint8]
    near: NDArray[np.uint16]
    far: NDArray[np.uint16]
    leaves: NDArray[np.float64]


class Masks(NamedTuple):
    """What nodes rule out, all those of a column side by side that the same code sends far.

    Parameters
    ----------
    begin, end
        Where the masks of code c of column k begin and end, at 256 k + c; int32 [256 columns].
    ruled_out
        Which leaves a node rules out, uint32: the word that they are in (22 bits), the first of them in the word (5
        bits), and ``WORD`` less their number (5 bits). A tree has a bit for each leaf in words of its own.
    words
        Number of all trees' words.
    leaves, first, stride
        Values of the leaves once more. Leaf k of tree t lies at ``first[t] + k * stride``: the first leaves of all
        trees side by side, then the second ones, because a row reaches more first leaves than others.
    """

    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    ruled_out: NDArray[np.uint32]
    words: int
    leaves: NDArray[np.float64]
    first: NDArray[np.int32]
    stride: int


_Ruled = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32], int]


def arrange(trees: Trees, splits: Splits, columns: int) -> tuple[Nodes, Masks]:
    """Put the nodes of all trees in both orders."""
    counts = _child_counts(trees, trees.left), _child_counts(trees, trees.right)
    swap = counts[0] < counts[1]
    near, far = np.where(swap, trees.right, trees.left), np.where(swap, trees.left, trees.right)
    # Left is `width` codes from `low` on, right is all others.
    low = np.where(swap, splits.low, splits.low + splits.width) % CODES
    width = np.where(swap, splits.width, CODES - splits.width)
    under_near, first_under = _leaf_order(trees, near, far)
    nodes = len(near)
    rank = first_under[nodes:]
    leaves = np.empty_like(trees.leaf_value)
    leaves[np.repeat(trees.first_leaf[:-1], trees.leaves) + rank] = trees.leaf_value

    def numbered(child: Ints) -> NDArray[np.uint16]:
        return np.where(child >= 0, child, LEAF_ROW + rank[_leaf(trees, child)]).astype(np.uint16)

    arranged = Nodes(
        trees.first_tree.astype(np.int32),
        trees.first_node.astype(np.int32),
        splits.column.astype(np.uint32),
        low.astype(np.uint8),
        width.astype(np.uint8),
        numbered(near),
        numbered(far),
        leaves,
    )
    by_rank = _leaves_by_rank(trees, leaves)
    return arranged, Masks(*_masks(trees, arranged, columns, first_under[:nodes], under_near), *by_rank)


def _leaves_by_rank(trees: Trees, leaves: Floats) -> tuple[Floats, NDArray[np.int32], int]:
    """Return the `leaves`, `first` and `stride` of `Masks`."""
    count, widest = len(trees.leaves), int(trees.leaves.max(initial=1))
    if count * widest > 2 * len(leaves):
        # Few large trees among many small ones would leave too much room empty.
        return leaves, trees.first_leaf[:-1].astype(np.int32), 1
    table = np.zeros((widest, count))
    tree = np.repeat(np.arange(count), trees.leaves)
    table[np.arange(len(leaves)) - trees.first_leaf[tree], tree] = leaves
    return table.ravel(), np.arange(count, dtype=np.int32), count


def _leaf(trees: Trees, child: Ints) -> Ints:
    """Return the number among all leaves of the children that are leaves; 0 for those that are nodes."""
    return np.where(child < 0, trees.first_leaf[trees.tree] - 1 - child, 0)


def _child_counts(trees: Trees, child: Ints) -> Ints:
    node = trees.first_node[trees.tree] + np.maximum(child, 0)
    return np.where(
        child >= 0, trees.count[np.minimum(node, len(trees.count) - 1)], trees.leaf_count[_leaf(trees, child)]
    )


def _leaf_order(trees: Trees, near: Ints, far: Ints) -> tuple[Ints, Ints]:
    """Return how many leaves lie under each node's near child, and the first leaf under every node and every leaf.

    A child has a higher number than its parent, so one pass over the numbers, for all trees at once, goes up and
    another goes down.
    """
    nodes = len(near)
    local = np.arange(nodes) - trees.first_node[trees.tree]
    order = np.argsort(local, kind="stable")
    levels = np.split(order, np.nonzero(np.diff(local[order]))[0] + 1)
    base = trees.first_node[trees.tree]
    to_near, to_far = (np.where(child >= 0, base + child, nodes + _leaf(trees, child)) for child in (near, far))
    size = np.ones(nodes + len(trees.leaf_value), np.int64)
    for level in reversed(levels):
        size[level] = size[to_near[level]] + size[to_far[level]]
    first = np.zeros_like(size)
    for level in levels:
        first[to_near[level]] = first[level]
        first[to_far[level]] = first[level] + size[to_near[level]]
    return size[to_near], first


def _masks(trees: Trees, nodes: Nodes, columns: int, first_under: Ints, under_near: Ints) -> _Ruled:
    """Return the `begin`, `end`, `ruled_out` and `words` of `Masks`."""
    first_word = starts(-(-trees.leaves // WORD))
    # A node that rules out leaves of several words has a mask for each.
    low_word, high_word = first_under // WORD, (first_under + under_near - 1) // WORD
    node = np.repeat(np.arange(len(under_near)), high_word - low_word + 1)
    word = low_word[node] + np.arange(len(node)) - starts(high_word - low_word + 1)[node]
    start = np.maximum(first_under[node] - WORD * word, 0)
    end = np.minimum(first_under[node] + under_near[node] - WORD * word, WORD)
    word += first_word[trees.tree[node]]
    ruled_out = word << (2 * BITS) | start << BITS | (WORD - (end - start))
    column, low, width = (part[node].astype(np.int64) for part in (nodes.column, nodes.low, nodes.width))
    # Far are the codes from `low` up, or those below `low + width`; missing values are kept apart, below.
    upward = low + width >= CODES
    edge = np.where(upward, low, low + width)
    missing = np.flatnonzero((low == 0) | (low + width > CODES))
    # Highest edges first, upward before downward: a code sends the last of the former far, and the first of the
    # latter.
    order = np.lexsort((word, -edge, ~upward, column))
    above = [_above(column[side], edge[side], columns) for side in (upward, ~upward)]
    first = starts(np.bincount(column, minlength=columns))[:-1, None]
    begin, end_of = first + above[0], first + above[0][:, :1] + above[1]
    last = starts(np.bincount(column[missing], minlength=columns)) + len(order)
    begin[:, 0], end_of[:, 0] = last[:-1], last[1:]
    order = np.concatenate([order, missing[np.lexsort((word[missing], column[missing]))]])
    return (
        begin.ravel().astype(np.int32),
        end_of.ravel().astype(np.int32),
        ruled_out[order].astype(np.uint32),
        int(first_word[-1]),
    )


def _above(column: Ints, edge: Ints, columns: int) -> Ints:
    """Return how many edges of each column lie above each code, [columns, 256]; all of them above code 0."""
    count = np.bincount(CODES * column + edge, minlength=CODES * columns).reshape(columns, CODES)
    return np.asarray(count.sum(axis=1, keepdims=True) - np.cumsum(count, axis=1))
