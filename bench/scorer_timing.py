"""Timing in turn, for `bench.scorer`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Score = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def medians(ways: Mapping[str, Score], asked: Sequence[NDArray[np.float32]], runs: int) -> dict[str, float]:
    """Return the median µs that each way takes for one of the matrices, asked one after the other.

    It is the CPU time of the calling thread, so that what else runs on the machine is not counted; the ways take
    turns, so that a busy spell, which slows memory down, hits all alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, score in ways.items():
            for matrix in asked:
                started = time.thread_time()
                score(matrix)
                seconds[name].append(time.thread_time() - started)
    return {name: 1e6 * statistics.median(times) for name, times in seconds.items()}
