"""The compiled loops of candidates: blocks of rows through what is left of the trees."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.compact.branches import Branches, Readings
from training.compact.lanes import BLOCKS, LANES, lanes_below, merge_lanes, unite
from training.compact.walk import LEAF_ROW, Pruned, category_of, code_of, number_of

# Indices are unsigned, or each access would first ask whether it counts from the end.
_U = np.uint64
_ROWS: Final = BLOCKS * LANES


@njit(nogil=True)
def _fill(readings: Readings, varying: Any, rows: Any, numbers: Any, found: Any) -> None:
    """Read the values of some rows: numbers side by side; for each category a bit for each row that has it."""
    found[:] = _U(0)
    for start in range(0, len(rows), LANES):
        lines, block = rows[start : start + LANES], start // LANES
        for reading in range(len(varying)):
            if not varying[reading]:
                continue
            source, kind = _U(readings.source[reading]), readings.kind[reading]
            if reading < readings.numbers:
                into = numbers[reading * BLOCKS + block]
                for r in range(_U(len(lines))):
                    into[r] = number_of(kind, lines[r, source])
                continue
            categories = readings.categories[readings.first[reading] : readings.first[reading + 1]]
            codes = readings.codes[readings.first_code[reading] : readings.first_code[reading + 1]]
            base = _U(readings.first[reading] + reading - readings.numbers)
            for r in range(_U(len(lines))):
                code = _U(code_of(categories, codes, category_of(lines[r, source])))
                found[base + code, block] |= _U(1) << r


@njit(nogil=True)
def _decide(  # noqa: PLR0917
    readings: Readings, branches: Branches, left: Any, blocks: Any, numbers: Any, found: Any, goes_left: Any
) -> None:
    """Say for each node that is left of a tree which rows go left, a bit for each."""
    plain, members = _U(readings.numbers), branches.members
    for place in range(_U(len(left))):
        reading, node = _U(left[place, 0]), _U(left[place, 1])
        if reading < plain:
            cut = branches.cuts[node, 1]
            for block in range(blocks):
                row = reading * _U(BLOCKS) + block
                goes_left[place, block] = lanes_below(numbers, row, cut)  # type: ignore[call-arg]
        else:
            base = _U(readings.first[reading]) + reading - plain
            begin, end = _U(branches.first_member[node]), _U(branches.first_member[node + _U(1)])
            unite(goes_left, place, found, base, members, begin, end)  # type: ignore[call-arg]


@njit(nogil=True)
def score_pruned(
    readings: Readings, branches: Branches, pruned: Pruned, rows: NDArray[np.float32], sums: NDArray[np.float64]
) -> None:
    """Add up what is left of the trees, a batch of rows at a time: it chooses its leaves from the last node up."""
    numbers = np.zeros((int(readings.numbers) * BLOCKS, LANES), np.float32)
    found = np.empty((len(readings.categories) + len(readings.source), BLOCKS), np.uint64)
    chosen = np.empty((2 * LEAF_ROW, LANES), np.uint8)
    for leaf in range(LEAF_ROW):
        chosen[LEAF_ROW + leaf] = leaf
    goes_left = np.empty((LEAF_ROW, BLOCKS), np.uint64)
    total = np.empty((BLOCKS, LANES))
    for start in range(0, len(rows), _ROWS):
        batch = rows[start : start + _ROWS]
        blocks = _U((len(batch) + LANES - 1) // LANES)
        _fill(readings, pruned.varying, batch, numbers, found)
        for booster in range(sums.shape[1]):
            total[:] = 0.0
            for tree in range(_U(branches.first_tree[booster]), _U(branches.first_tree[booster + 1])):
                left = pruned.nodes[pruned.first[tree] : pruned.first[tree + _U(1)]]
                leaves = _U(branches.first[tree]) + tree
                if len(left) == 0:
                    chosen[0] = pruned.leaf[tree]
                _decide(readings, branches, left, blocks, numbers, found, goes_left)
                for block in range(blocks):
                    for back in range(_U(len(left))):
                        place = _U(len(left)) - _U(1) - back
                        near, far = _U(left[place, 2]), _U(left[place, 3])
                        merge_lanes(chosen, place, near, far, goes_left[place, block])  # type: ignore[call-arg]
                    for r in range(_U(LANES)):
                        total[block, r] += branches.leaves[leaves + _U(chosen[0, r])]
            for r in range(len(batch)):
                sums[start + r, booster] = total[r // LANES, r % LANES]
