"""How trees lie in memory: leaves by how seldom they are reached, and the nodes that a code decides side by side.

The near child of a node is the one that more training rows went to, the far child is the other one. A node that
sends a row far rules out all leaves under its near child; a row's leaf is the first one, near before far, that no
node rules out (Lucchese et al., QuickScorer, 2015). Nodes that send it near need not be looked at: those are most.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.compact.columns import CODES, Splits
from training.compact.trees import Ints, Trees, starts

WORD: Final = 32
"""Leaves of a tree for which a word has bits."""

LEAF_ROW: Final = 256
"""In blocks of rows, a child from this number on is a leaf; they take no trees of more leaves than this."""


class Nodes(NamedTuple):
    """Every tree's nodes in their own order; a tuple of arrays, so that compiled code takes it.

    Parameters
    ----------
    output
        Number of each tree's booster, int32 [trees].
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

    output: NDArray[np.int32]
    first: NDArray[np.int32]
    column: NDArray[np.uint32]
    low: NDArray[np.uint8]
    width: NDArray[np.uint8]
    near: NDArray[np.uint16]
    far: NDArray[np.uint16]
    leaves: NDArray[np.float64]


class Masks(NamedTuple):
    """What nodes rule out, those together that the same codes send far.

    Parameters
    ----------
    first_word
        Where the words of each tree start: a bit per leaf, near before far; int32 [trees + 1].
    first
        Where the parts of code c of column k start, at 256 k + c, int32 [256 columns + 1].
    begin, end
        Where each part begins and ends, int32.
    word, mask
        Which word each mask is for, and the leaves that it leaves over, int32 and uint32.
    """

    first_word: NDArray[np.int32]
    first: NDArray[np.int32]
    begin: NDArray[np.int32]
    end: NDArray[np.int32]
    word: NDArray[np.int32]
    mask: NDArray[np.uint32]


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
        trees.output.astype(np.int32),
        trees.first_node.astype(np.int32),
        splits.column.astype(np.uint32),
        low.astype(np.uint8),
        width.astype(np.uint8),
        numbered(near),
        numbered(far),
        leaves,
    )
    return arranged, _masks(trees, arranged, columns, first_under[:nodes], under_near)


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


def _masks(trees: Trees, nodes: Nodes, columns: int, first_under: Ints, under_near: Ints) -> Masks:
    first_word = starts(-(-trees.leaves // WORD))
    # A node that rules out leaves of several words has a mask for each.
    low_word, high_word = first_under // WORD, (first_under + under_near - 1) // WORD
    node = np.repeat(np.arange(len(under_near)), high_word - low_word + 1)
    word = low_word[node] + np.arange(len(node)) - starts(high_word - low_word + 1)[:-1][node]
    start = np.maximum(first_under[node] - WORD * word, 0).astype(np.uint64)
    end = np.minimum(first_under[node] + under_near[node] - WORD * word, WORD).astype(np.uint64)
    one = np.uint64(1)
    mask = ~((one << end) - (one << start)).astype(np.uint32)
    column, low, width = (part[node].astype(np.int64) for part in (nodes.column, nodes.low, nodes.width))
    # In this order all nodes of a column that one code sends far lie in few parts.
    family = np.where(low + width >= CODES, low + width, low)
    order = np.lexsort((first_word[trees.tree[node]] + word, width, family, column))
    first, begin, end_of = _parts(column[order], low[order], width[order], columns)
    return Masks(
        first_word.astype(np.int32),
        first.astype(np.int32),
        begin.astype(np.int32),
        end_of.astype(np.int32),
        (first_word[trees.tree[node]] + word)[order].astype(np.int32),
        mask[order],
    )


def _parts(column: Ints, low: Ints, width: Ints, columns: int) -> tuple[Ints, Ints, Ints]:
    """Return where the parts of each code of each column start, and where those parts begin and end."""
    codes = np.arange(CODES)[:, None]
    edges = np.searchsorted(column, np.arange(columns + 1))
    counts, begins, ends = ([np.zeros(0, np.int64)] for _ in range(3))
    for start, end in pairwise(edges):
        changes = np.diff(low[start:end]) | np.diff(width[start:end])
        at = np.concatenate([[start], start + 1 + np.nonzero(changes)[0]])
        sent = (codes - low[at]) % CODES < width[at]
        turns = np.diff(np.pad(sent.astype(np.int8), ((0, 0), (1, 1))), axis=1)
        code, place = np.nonzero(turns == 1)
        counts.append(np.bincount(code, minlength=CODES))
        begins.append(at[place])
        ends.append(np.append(at, end)[np.nonzero(turns == -1)[1]])
    return starts(np.concatenate(counts)), np.concatenate(begins), np.concatenate(ends)
