"""The compiled loops: codes of values, blocks of rows, single rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from training.compact.arrangement import BITS, LEAF_ROW, WORD, Masks, Nodes
from training.compact.columns import CATEGORIES, CODES, ZERO_MISSING, Columns
from training.compact.lanes import LANES, choose_lanes

_ZERO = np.float32(1e-35)
# Indices are unsigned, or each access would first ask whether it counts from the end.
_U = np.uint64
_BITS = np.uint32(BITS)
_LEAF = np.uint32(WORD - 1)


@njit(nogil=True)
def encode(columns: Columns, column: Any, value: Any) -> Any:
    """Return the code of a float32 value in a column; LightGBM takes what is within 1e-35 of zero for zero."""
    kind = columns.kind[column]
    if np.isnan(value):
        return 0
    if abs(value) <= _ZERO:
        if kind == ZERO_MISSING:
            return 0
        value = np.float32(0)
    first = columns.first[column]
    below, left = _U(first), _U(columns.first[column + 1] - first)
    while left > _U(0):
        half = (left + _U(1)) >> _U(1)
        # Without a branch: which way a search goes cannot be foreseen.
        below += half * _U(columns.cuts[below + half - _U(1)] < value)
        left -= half
    count = np.int64(below) - first
    return 1 + (count & 1) if kind == CATEGORIES else 1 + count


@njit(nogil=True)
def score_blocks(columns: Columns, nodes: Nodes, rows: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    """Add up the trees of many rows: a block of rows chooses its leaves node by node, from the leaves up."""
    codes = np.zeros((len(columns.source), LANES), np.uint8)
    chosen = np.empty((2 * LEAF_ROW, LANES), np.uint8)
    for leaf in range(LEAF_ROW):
        chosen[LEAF_ROW + leaf] = leaf
    total = np.empty((sums.shape[1], LANES))
    for start in range(0, len(rows), LANES):
        block = rows[start : start + LANES]
        for column in range(len(columns.source)):
            source = columns.source[column]
            for r in range(len(block)):
                # What is known of a person is the same in all their pairs.
                if r > 0 and block[r, source] == block[r - 1, source]:
                    codes[column, r] = codes[column, r - 1]
                else:
                    codes[column, r] = encode(columns, column, block[r, source])
        total[:] = 0.0
        for booster in range(sums.shape[1]):
            for tree in range(nodes.first_tree[booster], nodes.first_tree[booster + 1]):
                first = nodes.first[tree]
                chosen[0] = 0
                for node in range(nodes.first[tree + 1] - first - 1, -1, -1):
                    i = _U(first + node)
                    choose_lanes(  # type: ignore[call-arg]  # the compiler hands the first argument in
                        chosen, codes, _U(node), _U(nodes.near[i]), _U(nodes.far[i]), _U(nodes.column[i]),
                        nodes.low[i], nodes.width[i],
                    )  # fmt: skip
                leaves = _U(first + tree)
                for r in range(_U(LANES)):
                    total[_U(booster), r] += nodes.leaves[leaves + _U(chosen[0, r])]
        for r in range(len(block)):
            for booster in range(sums.shape[1]):
                sums[start + r, booster] = total[booster, r]


@njit(nogil=True)
def score_row(
    columns: Columns, nodes: Nodes, masks: Masks, row: NDArray[np.float32], sums: NDArray[np.float64]
) -> None:
    """Add up the trees of one row: the nodes that send it far rule out leaves, the first that is left counts."""
    words = np.full(masks.words, ~np.uint32(0), np.uint32)
    for column in range(len(columns.source)):
        place = CODES * column + encode(columns, column, row[columns.source[column]])
        for i in range(_U(masks.begin[place]), _U(masks.end[place])):
            out = masks.ruled_out[i]
            leaves = (~np.uint32(0) >> (out & _LEAF)) << ((out >> _BITS) & _LEAF)
            words[_U(out >> (_BITS + _BITS))] &= ~leaves
    values = np.empty(len(masks.first))
    if masks.words == len(masks.first):
        # A word for every tree: a loop without branches, which vector instructions do.
        for tree in range(len(masks.first)):
            leaf = np.uint32(trailing_zeros(words[tree]))  # type: ignore[call-arg]
            values[tree] = masks.leaves[_U(np.uint32(masks.first[tree]) + np.uint32(masks.stride) * leaf)]
    else:
        word = _U(0)
        for tree in range(_U(len(masks.first))):
            left = word
            while words[left] == np.uint32(0):
                left += _U(1)
            leaf = np.uint32(_U(WORD) * (left - word)) + np.uint32(trailing_zeros(words[left]))  # type: ignore[call-arg]
            values[tree] = masks.leaves[_U(np.uint32(masks.first[tree]) + np.uint32(masks.stride) * leaf)]
            word += _U(nodes.first[tree + _U(1)] - nodes.first[tree]) // _U(WORD) + _U(1)
    for booster in range(sums.shape[0]):
        total = 0.0
        for tree in range(_U(nodes.first_tree[booster]), _U(nodes.first_tree[booster + 1])):
            total += values[tree]
        sums[booster] = total
