"""Scoring 200 heads and the pooled model: the compact scorer beside other ways to ask LightGBM's trees.

Heads: 200 × 100 trees × 31 leaves on 270 columns with zeros and missing values. Pooled model: 150 trees × 63 leaves
on 55 columns, all 200 pairs of one person. Conversion: 500 trees × 63 leaves on 60 columns, half of the splits on
sets of categories; 1, 100 and 500 candidates of one person whose 20 own columns are alike in all of them, given as
the rows' values, which both sides read. Everything runs on one thread, in turn; shown are medians of CPU time.
People a second are by the clock, on one core and on two. Scores are compared with LightGBM's bit by bit.
``--bundle`` measures a bundle's own model, too; ``--only`` measures some parts and leaves the others' figures in
the file as they are.

    python -m bench.scorer --json PATH [--only candidates]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # pyfunc has no way to say it

import lightgbm as lgb
import numpy as np

from bench.harness import child, report, write_json
from bench.scorer_bundle import bundle_figures
from bench.scorer_candidates import candidate_figures
from bench.scorer_data import HEAD_COLUMNS, pairs, rows, train_heads, train_pooled
from bench.scorer_growth import growth_figures
from bench.scorer_peers import loop, merged, pyfunc
from bench.scorer_timing import Score, medians
from training.compact.cache import keep_compiled
from training.compact.candidates import CandidateForest
from training.compact.forest import CompactForest

BATCH, SINGLE = 1_024, 100
PARTS = ("heads", "pooled", "first-score", "candidates", "growth")
PYFUNC_HEADS = 10
"""Heads that are asked through pyfunc; its figures are scaled to all of them."""


def main() -> None:
    """Train, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--bundle", type=Path, help="measure the model of this bundle, too")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts alone")
    parser.add_argument("--first-score", type=Path, help="only time a first score; compiled code is kept here")
    arguments = parser.parse_args()
    if arguments.first_score:
        print(json.dumps({"seconds": first_score(arguments.first_score)}))
        return
    print("training takes a few minutes", flush=True)
    parts = arguments.only or PARTS
    heads = train_heads(threads=2) if {"heads", "growth"} & set(parts) else []
    measure: dict[str, Callable[[], Mapping[str, object]]] = {
        "heads": lambda: head_figures(heads),
        "pooled": lambda: pooled_figures(train_pooled(threads=2)),
        "first-score": compile_figures,
        "candidates": candidate_figures,
        "growth": lambda: growth_figures(heads),
    }
    result: dict[str, object] = {}
    if arguments.only and arguments.json and arguments.json.exists():
        result = json.loads(arguments.json.read_text(encoding="utf-8"))
    for part in parts:
        result |= measure[part]()
    if arguments.bundle:
        result["bundle"] = bundle_figures(arguments.bundle)
    write_json(arguments.json, result)


def head_figures(heads: list[lgb.Booster]) -> dict[str, float]:
    """Measure all heads for one person and for many."""
    started = time.perf_counter()
    forest = CompactForest.from_boosters(heads, HEAD_COLUMNS)
    built = time.perf_counter() - started
    forest.warm()
    x = rows(np.random.default_rng(13), BATCH, HEAD_COLUMNS)
    ways: dict[str, Score] = {"compact": forest.raw, "loop": loop(heads), "merged": merged(heads)}
    want = ways["loop"](x)
    for name, score in ways.items():
        assert np.array_equal(score(x), want), f"{name} differs in a batch"
        assert all(np.array_equal(score(x[n : n + 1])[0], want[n]) for n in range(SINGLE)), (
            f"{name} differs for one"
        )
    singles = [x[n : n + 1] for n in range(SINGLE)]
    one, batch = medians(ways, singles, runs=5), medians(ways, [x], runs=5)
    scale = len(heads) / PYFUNC_HEADS
    with pyfunc(heads[:PYFUNC_HEADS]) as score:
        one["pyfunc"] = scale * medians({"": score}, singles, runs=1)[""]
        batch["pyfunc"] = scale * medians({"": score}, [x], runs=2)[""]
    batch = {name: us / BATCH for name, us in batch.items()}
    table = {
        name: {
            "one row / compact": one[name] / one["compact"],
            "batch / compact": batch[name] / batch["compact"],
            "one row, µs": one[name],
            "batch, µs a person": batch[name],
        }
        for name in one
    }
    report("200 heads × 100 trees × 31 leaves, one thread", table, list(table["compact"]))
    figures = {
        "one_row_ratio": one["loop"] / one["compact"],
        "batch_ratio": batch["loop"] / batch["compact"],
        "one_row_us": one["compact"],
        "batch_us": batch["compact"],
        "build_s": built,
    }
    for name in ("loop", "merged", "pyfunc"):
        figures |= {f"{name}_one_row_us": one[name], f"{name}_batch_us": batch[name]}
    return figures


def pooled_figures(pooled: lgb.Booster) -> dict[str, float]:
    """Measure the pooled model on all pairs of one person."""
    forest = CompactForest.from_boosters([pooled], pooled.num_feature())
    forest.warm()
    x = pairs(np.random.default_rng(14), 1)
    ways: dict[str, Score] = {"compact": forest.raw, "loop": loop([pooled])}
    assert np.array_equal(ways["compact"](x), ways["loop"](x)), "the pooled model's scores differ"
    us = medians(ways, [x], runs=51)
    table = {name: {"/ compact": us[name] / us["compact"], "µs": us[name]} for name in us}
    report("pooled model, 200 pairs of one person, encoding included", table, ["/ compact", "µs"])
    return {"pooled_us": us["compact"], "pooled_ratio": us["loop"] / us["compact"], "pooled_loop_us": us["loop"]}


def compile_figures() -> dict[str, float]:
    """Measure the first score of a process, with nothing compiled before and with everything."""
    with tempfile.TemporaryDirectory() as scratch:
        cold, warm = (child("bench.scorer", "--first-score", f"{scratch}/compiled")["seconds"] for _ in range(2))
    table = {"nothing compiled before": {"s": cold}, "read from the cache": {"s": warm}}
    report("first score of a process", table, ["s"])
    return {"cold_start_s": cold, "warm_start_s": warm}


def first_score(folder: Path) -> float:
    """Return the seconds until this process can score, with compiled code kept in a folder."""
    started = time.perf_counter()
    keep_compiled(folder)
    CompactForest.from_boosters([], 1).warm()
    CandidateForest.from_boosters([], 1).warm()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
