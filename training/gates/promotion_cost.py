"""What bundles cost: CPU for their golden rows, and bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.gates.promotion_guards import Cost

Predict = Callable[[NDArray[np.float32]], NDArray[np.float64]]
_TURNS: Final = 31
_LEAST_SECONDS: Final = 0.002
"""Of one measurement: golden rows are scored so often that the clock's own steps do not count."""


def cost_of(champion: tuple[Path, Predict], challenger: tuple[Path, Predict]) -> Cost:
    """Measure two bundles turn by turn, so that a busy spell of the machine hits both.

    Parameters
    ----------
    champion, challenger
        Folder and scorer of each.

    Returns
    -------
    Cost
        CPU seconds are medians of 31 turns, after a first one that compiles.
    """
    both = (champion, challenger)
    rows = [np.load(folder / "golden_rows.npy", allow_pickle=False) for folder, _ in both]
    calls = []
    for (_, predict), golden in zip(both, rows, strict=True):
        predict(golden)
        calls.append(1 + int(_LEAST_SECONDS / max(_seconds(predict, golden, 1), 1e-6)))
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TURNS):
        for number, (_, predict) in enumerate(both):
            taken[number].append(_seconds(predict, rows[number], calls[number]))
    sizes = [sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) for folder, _ in both]
    return Cost((statistics.median(taken[0]), statistics.median(taken[1])), (sizes[0], sizes[1]))


def _seconds(predict: Predict, rows: NDArray[np.float32], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        predict(rows)
    return (time.process_time() - start) / calls
