"""Candidates of one person in `bench.scorer`: a conversion model whose splits are half on sets of categories."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from bench.harness import report
from bench.scorer_candidate_data import (
    COLUMNS,
    LEAVES,
    PERSON,
    TARGETS,
    TREES,
    categorical_share,
    impressions,
    request,
    train_conversion,
)
from bench.scorer_peers import loop
from bench.scorer_timing import Score, medians
from training.compact.candidates import CandidateForest

ASKED = (1, 100, 500)
REQUESTS = 10
CROWD = 2_048


def candidate_figures() -> dict[str, float]:
    """Measure 1, 100 and 500 candidates of one person, several targets, and rows of many persons."""
    several = train_conversion(threads=2)
    booster, categorical = several[0], categorical_share(several[0])
    started = time.perf_counter()
    forest = CandidateForest.from_boosters([booster], COLUMNS)
    figures = {"candidates_build_s": time.perf_counter() - started, "candidates_categorical_splits": categorical}
    forest.warm()
    rng = np.random.default_rng(16)
    ways: dict[str, Score] = {"compact": forest.raw, "LightGBM": loop([booster])}
    table: dict[str, dict[str, float]] = {}
    for count in ASKED:
        requests = [request(rng, count) for _ in range(REQUESTS)]
        us = compared(ways, requests)
        figures |= named(f"candidates_{count}", us)
        table[f"{count} of one person"] = shown(us)
    all_targets = CandidateForest.from_boosters(several, COLUMNS)
    us = compared({"compact": all_targets.raw, "LightGBM": loop(several)}, requests)
    figures |= named(f"candidates_{ASKED[-1]}_targets_{TARGETS}", us)
    table[f"{ASKED[-1]} of one person, {TARGETS} targets"] = shown(us)
    us = {name: us / CROWD for name, us in compared(ways, [impressions(rng, CROWD)]).items()}
    figures |= named("candidates_crowd_row", us)
    table["each of many persons"] = shown(us)
    title = (
        f"{TREES} trees × {LEAVES} leaves, {COLUMNS} columns of which {len(PERSON)} are the person's, "
        f"{100 * categorical:.0f} % of splits on categories, one thread"
    )
    report(title, table, list(next(iter(table.values()))))
    return figures


def compared(ways: dict[str, Score], asked: list[NDArray[np.float32]]) -> dict[str, float]:
    """Return the median µs of each way after a look at every bit."""
    for matrix in asked:
        want = ways["LightGBM"](matrix)
        assert np.array_equal(ways["compact"](matrix), want), "the compact scorer's scores differ"
    return medians(ways, asked, runs=5)


def named(prefix: str, us: dict[str, float]) -> dict[str, float]:
    """Return figures by name."""
    return {
        f"{prefix}_ratio": us["LightGBM"] / us["compact"],
        f"{prefix}_us": us["compact"],
        f"{prefix}_lightgbm_us": us["LightGBM"],
    }


def shown(us: dict[str, float]) -> dict[str, float]:
    """Return a line of the table."""
    return {
        "LightGBM / compact": us["LightGBM"] / us["compact"],
        "compact, µs": us["compact"],
        "LightGBM, µs": us["LightGBM"],
    }
