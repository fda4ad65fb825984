"""People a second in `bench.scorer`: how they grow with cores and shrink with tags."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import lightgbm as lgb
import numpy as np

from bench.harness import report
from bench.scorer_data import HEAD_COLUMNS, rows
from training.compact.forest import CompactForest

TAGS = (50, 100, 200, 400)
CORES = (1, 2)
PEOPLE, RUNS = 4_096, 7


def growth_figures(heads: Sequence[lgb.Booster]) -> dict[str, object]:
    """Measure people a second, by the clock, for each number of tags on each number of cores, all in turn.

    Beyond the heads that there are, they are taken once more: a head costs what it costs wherever it stands.
    """
    x = rows(np.random.default_rng(17), PEOPLE, HEAD_COLUMNS)
    forests = {}
    for tags in TAGS:
        forests[tags] = CompactForest.from_boosters([heads[n % len(heads)] for n in range(tags)], HEAD_COLUMNS)
        forests[tags].raw(x[:64])
    seconds: dict[tuple[int, int], list[float]] = {(tags, cores): [] for tags in TAGS for cores in CORES}
    for _ in range(RUNS):
        for (tags, cores), found in seconds.items():
            started = time.perf_counter()
            forests[tags].raw(x, threads=cores)
            found.append(time.perf_counter() - started)
    speed = {key: PEOPLE / statistics.median(found) for key, found in seconds.items()}
    table = {
        f"{tags} tags": {
            "2 cores / 1": speed[tags, 2] / speed[tags, 1],
            "people/s, 1 core": speed[tags, 1],
            "people/s, 2 cores": speed[tags, 2],
            "µs a person and tag": 1e6 / (speed[tags, 1] * tags),
        }
        for tags in TAGS
    }
    report("heads of 100 trees × 31 leaves, in batch", table, list(table["50 tags"]))
    return {
        "people_per_s": {
            f"{tags}_tags": {f"{cores}_cores": speed[tags, cores] for cores in CORES} for tags in TAGS
        },
        "cores_ratio": speed[200, 2] / speed[200, 1],
    }
