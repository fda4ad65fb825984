"""The compiled loops that walk trees: one row to its leaves, and all nodes on what is the same in all rows."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.compact.branches import MISSING_LEFT, ZERO_MISSING, Branches, Readings

LEAF_ROW: Final = 256
"""In what is left of a tree, a child from this number on is a leaf; trees of more leaves are not cut down."""

_NEITHER: Final = 2
_ZERO = np.float32(1e-35)
# Indices are unsigned, or each access would first ask whether it counts from the end.
_U = np.uint64
_READING, _CUT, _LEFT, _RIGHT = (_U(place) for place in range(4))


class Pruned(NamedTuple):
    """What is left of the trees; nodes in the order of walking, parents first.

    Parameters
    ----------
    first
        Where each tree's nodes start, int32 [trees + 1].
    leaf
        The leaf of each tree that has no node left, int32 [trees].
    nodes
        Reading, number among all nodes, left and right child, int32 [left, 4]. A child is the place of a node in
        what is left of the tree, or ``LEAF_ROW`` + a leaf.
    varying
        Which readings are not the same in all rows, bool [readings].
    """

    first: NDArray[np.int32]
    leaf: NDArray[np.int32]
    nodes: NDArray[np.int32]
    varying: NDArray[np.bool_]


@njit(nogil=True)
def same_columns(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which columns hold the same bytes in all rows."""
    same = np.ones(rows.shape[1], np.bool_)
    bits = rows.view(np.uint32)
    for r in range(1, len(rows)):
        some = False
        for column in range(rows.shape[1]):
            same[column] &= bits[r, column] == bits[0, column]
            some |= same[column]
        if not some:
            break
    return same


@njit(nogil=True, inline="always")
def number_of(kind: Any, value: Any) -> Any:
    """Return the value to compare: LightGBM takes what is within 1e-35 of zero for zero."""
    # Without branches: which values are missing cannot be foreseen.
    zero = np.float32(np.nan) if kind & ZERO_MISSING else np.float32(0)
    missing = np.float32(-np.inf) if kind & MISSING_LEFT else np.float32(np.nan)
    number = zero if abs(value) <= _ZERO else value
    return missing if np.isnan(number) else number


@njit(nogil=True)
def category_of(value: Any) -> Any:
    """Return the category of a value, the fraction cut off; −1 for what is none."""
    if value > np.float32(-1) and value < np.float32(2147483648.0):
        return np.int32(value)
    return np.int32(-1)


@njit(nogil=True, inline="always")
def code_of(categories: Any, codes: Any, category: Any) -> Any:
    """Return the place of a category among those of a reading; one after the last where it is in no set."""
    code = np.int64(len(categories))
    if len(codes):
        if 0 <= category < len(codes):
            code = np.int64(codes[_U(category)])
    else:
        place = np.searchsorted(categories, category)
        if place < len(categories) and categories[place] == category:
            code = np.int64(place)
    return code


@njit(nogil=True)
def _read(readings: Readings, row: Any, numbers: Any, codes: Any) -> None:
    for reading in range(len(readings.source)):
        value = row[readings.source[reading]]
        if reading < readings.numbers:
            numbers[reading] = number_of(readings.kind[reading], value)
        else:
            known = readings.categories[readings.first[reading] : readings.first[reading + 1]]
            table = readings.codes[readings.first_code[reading] : readings.first_code[reading + 1]]
            codes[reading] = code_of(known, table, category_of(value))


@njit(nogil=True, inline="always")
def _goes_left(  # noqa: PLR0917
    nodes: Any, cuts: Any, sets: Any, plain: Any, node: Any, numbers: Any, codes: Any
) -> Any:
    # Arrays alone: a tuple of arrays that is handed to a function is counted as used for each node.
    reading = _U(nodes[node, _READING])
    if reading < plain:
        left = numbers[reading] <= cuts[node, _CUT]
    else:
        code = _U(codes[reading])
        left = (sets[_U(nodes[node, _CUT]) + (code >> _U(6))] >> (code & _U(63))) & _U(1) != _U(0)
    return left


@njit(nogil=True)
def score_walked(
    readings: Readings, branches: Branches, row: NDArray[np.float32], sums: NDArray[np.float64]
) -> None:
    """Add up the trees of one row: every tree is walked to its leaf."""
    numbers = np.empty(len(readings.source), np.float32)
    codes = np.zeros(len(readings.source), np.int32)
    _read(readings, row, numbers, codes)
    plain = _U(readings.numbers)
    first_node, nodes, cuts, sets = branches.first, branches.nodes, branches.cuts, branches.sets
    leaves = branches.leaves
    for booster in range(len(sums)):
        total = 0.0
        for tree in range(_U(branches.first_tree[booster]), _U(branches.first_tree[booster + 1])):
            first = first_node[tree]
            child = np.int32(0) if first_node[tree + _U(1)] > first else np.int32(-1)
            while child >= 0:
                node = _U(first + child)
                left = _goes_left(nodes, cuts, sets, plain, node, numbers, codes)
                child = nodes[node, _LEFT] if left else nodes[node, _RIGHT]
            total += leaves[_U(first - 1 - child) + tree]
        sums[booster] = total


@njit(nogil=True)
def _sides(readings: Readings, branches: Branches, varying: Any, numbers: Any, codes: Any) -> Any:
    """Return for each node 0 if all rows go left, 1 if all go right, and ``_NEITHER`` where that varies."""
    side = np.full(len(branches.nodes), _NEITHER, np.uint8)
    first, nodes, cuts, sets = branches.first_place, branches.by_reading, branches.cuts_by_reading, branches.sets
    for reading in range(len(varying)):
        if varying[reading]:
            continue
        word, bit = _U(codes[reading]) >> _U(6), _U(codes[reading]) & _U(63)
        for i in range(_U(first[reading]), _U(first[reading + 1])):
            if reading < readings.numbers:
                left = numbers[reading] <= cuts[i, 1]
            else:
                left = (sets[_U(nodes[i, 1]) + word] >> bit) & _U(1) != _U(0)
            side[_U(nodes[i, 0])] = not left
    return side


@njit(nogil=True)
def prune(readings: Readings, branches: Branches, row: NDArray[np.float32], same: NDArray[np.bool_]) -> Pruned:
    """Walk every tree with the values that are the same in all rows; keep the nodes that look at others."""
    numbers = np.empty(len(readings.source), np.float32)
    codes = np.zeros(len(readings.source), np.int32)
    _read(readings, row, numbers, codes)
    varying = np.empty(len(readings.source), np.bool_)
    for reading in range(len(varying)):
        varying[reading] = not same[readings.source[reading]]
    sides = _sides(readings, branches, varying, numbers, codes)
    first_node, nodes = branches.first, branches.nodes
    trees = len(first_node) - 1
    first_left, leaf = np.zeros(trees + 1, np.int32), np.zeros(trees, np.int32)
    left_over = np.empty((len(nodes) + 1, 4), np.int32)
    # Nodes, and from LEAF_ROW on leaves: what is reached instead of each, whether it is, and where it is noted.
    instead, place = np.arange(2 * LEAF_ROW).astype(np.int32), np.arange(2 * LEAF_ROW).astype(np.int32)
    reached = np.zeros(2 * LEAF_ROW, np.uint8)
    size = _U(0)
    # A child has a higher number than its parent. There are no branches, because nothing could foresee them.
    for tree in range(_U(trees)):
        first, begin, count = _U(first_node[tree]), size, _U(first_node[tree + _U(1)]) - _U(first_node[tree])
        for back in range(count):
            last = count - _U(1) - back
            side = sides[first + last]
            child = nodes[first + last, _LEFT + _U(side & 1)]
            further = instead[_U(child if child >= 0 else LEAF_ROW - 1 - child)]
            instead[last] = last if side == _NEITHER else further
        reached[:count] = 0
        root = instead[0] if count else np.int32(LEAF_ROW)
        leaf[tree] = root - LEAF_ROW
        reached[_U(root)] = 1
        for number in range(count):
            node = first + number
            left_over[size, 0], left_over[size, 1] = nodes[node, _READING], node
            for right in range(_U(2)):
                child = nodes[node, _LEFT + right]
                child = instead[_U(child if child >= 0 else LEAF_ROW - 1 - child)]
                left_over[size, _U(2) + right] = child
                reached[_U(child)] |= reached[number]
            place[number] = size - begin
            size += _U(reached[number])
        for i in range(begin, size):
            for column in range(_U(2), _U(4)):
                left_over[i, column] = place[_U(left_over[i, column])]
        first_left[tree + _U(1)] = size
    return Pruned(first_left, leaf, left_over[:size], varying)
