"""The compiled loops of live features: putting events into their place, and counting them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

COUNT: Final = 0
SUM: Final = 1
RECENCY: Final = 2
TENURE: Final = 3
DECAYED: Final = 4
DISTINCT: Final = 5
TIME: Final = 0
ARRIVED: Final = 1
DAY: Final = 2
FLAGS: Final = 3
CATEGORY: Final = 4
KIND: Final = 5


@njit(nogil=True)
def merged(old: Any, new: Any) -> Any:
    """Return two blocks of events as one; columns ascend in both and in the result, the first row counting most."""
    height, n, m = old.shape[0], old.shape[1], new.shape[1]
    both = np.empty((height, n + m), np.int64)
    i = j = 0
    for place in range(n + m):
        from_old = j == m
        if i < n and j < m:
            row = 0
            while row < height - 1 and old[row, i] == new[row, j]:
                row += 1
            from_old = old[row, i] <= new[row, j]
        if from_old:
            both[:, place] = old[:, i]
            i += 1
        else:
            both[:, place] = new[:, j]
            j += 1
    return both


@njit(nogil=True)
def tally(  # noqa: PLR0917  (compiled functions take no keywords)
    base: Any, amounts: Any, events: Any, values: Any, known_at: Any, first: Any, ops: Any, bounds: Any,
    frame_days: Any, scope_first: Any, scope_numbers: Any, weights: Any, cells: Any, stamps: Any,
) -> None:  # fmt: skip
    """Add events to the cells of all that counts them.

    Parameters
    ----------
    base
        int64 [6, events]: time, arrival, day, flags, category number, kind.
    amounts
        int64 [summed columns, events].
    events, values
        Which events, in which order; and of each the value that is told apart, ascending.
    known_at
        Only what had arrived by then counts.
    first
        Kind → its first operation.
    ops
        int64 [operations, 6]: cell in the first scope, cells per scope, measure, flag or 0, block, and
        which column is summed or which weights count.
    bounds
        int64 [operations, 3]: from when, before when, and after which day an event counts.
    frame_days
        Day of each block's moment.
    scope_first, scope_numbers
        Block and category number → scopes.
    weights
        Table and age in days → weight.
    cells, stamps
        Results; and per cell the last different value.
    """
    for n in range(len(events)):
        e = events[n]
        if base[ARRIVED, e] > known_at:
            continue
        time, day, kind, category = base[TIME, e], base[DAY, e], base[KIND, e], base[CATEGORY, e]
        for op in range(first[kind], first[kind + 1]):
            if time < bounds[op, 0] or time >= bounds[op, 1] or day <= bounds[op, 2]:
                continue
            if ops[op, 3] != 0 and base[FLAGS, e] & ops[op, 3] == 0:
                continue
            measure, block = ops[op, 2], ops[op, 4]
            amount = np.int64(1)
            if measure == SUM:
                amount = amounts[ops[op, 5], e]
            elif measure == DECAYED:
                age = frame_days[block] - day
                amount = weights[ops[op, 5], age] if 0 <= age < weights.shape[1] else np.int64(0)
            for place in range(scope_first[block, category], scope_first[block, category + 1]):
                cell = ops[op, 0] + scope_numbers[place] * ops[op, 1]
                if measure == RECENCY:
                    cells[cell] = max(cells[cell], time)
                elif measure == TENURE:
                    cells[cell] = min(cells[cell], time)
                elif measure != DISTINCT:
                    cells[cell] += amount
                elif stamps[cell] != values[n]:
                    stamps[cell] = values[n]
                    cells[cell] += 1
