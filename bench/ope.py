"""Off-policy evaluation on worlds of known truth, and on the Open Bandit sample beside `obp`.

Worlds: 200 small logs of each are drawn anew; how often the 95 % interval holds the truth, how far off values are
on average, and how wide intervals are, by method. Two hard worlds have too little overlap: how often that is
refused.
Open Bandit, each of three campaigns: the random policy's log values Thompson sampling, and the reverse. Beside the
interval stand the click rate that the other policy's own log shows, whether the product would refuse to answer, and
`obp`'s estimators with bootstrapped intervals on the same arrays. obp is installed into an environment that is
thrown away afterwards (from the package registry; it holds the sample).

    python -m bench.ope --json bench/results/ope.json
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import report, write_json
from bench.ope_open_bandit import open_bandit
from bench.ope_worlds import HARD, WORLDS, World
from features.errors import OverlapError
from training.policy.off_policy import METHODS, Method, value_of
from training.policy.reward_model import expected_rewards

RECOMMENDED: Method = "dr"


def measured(world: World, runs: int) -> dict[str, Any]:
    """Draw a world's log anew and again, and value the target each time."""
    truth = world.truth()
    found: dict[str, list[tuple[float, float, float]]] = {method: [] for method in METHODS}
    effective: list[float] = []
    refused = 0
    for run in range(runs):
        logged, target, context = world.drawn(np.random.default_rng([world.seed, run]))
        try:
            effective.append(value_of(logged, target, "snips").overlap.effective)
        except OverlapError:
            refused += 1
            continue
        expected = expected_rewards(logged, context, world.actions)
        for method in METHODS:
            value = value_of(logged, target, method, expected=expected)
            found[method].append((value.value, value.low, value.high))
    result: dict[str, Any] = {"truth": truth, "runs": runs, "refused_share": refused / runs}
    if not effective:
        return result
    result["effective_rows"] = float(np.median(effective))
    for name, rows in found.items():
        value, low, high = np.array(rows).T
        result[name] = {
            "coverage_95": float(((low <= truth) & (truth <= high)).mean()),
            "bias_over_truth": float(value.mean() / truth - 1),
            "bias_error": float(value.std() / truth / np.sqrt(len(value))),
            "width_over_truth": float(np.median(high - low) / truth),
        }
    return result


def main() -> None:
    """Measure worlds, then Open Bandit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--runs", type=int, default=200, help="logs of each world")
    parser.add_argument("--without-open-bandit", action="store_true", help="only worlds: needs no registry")
    arguments = parser.parse_args()
    both = WORLDS | HARD
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(both, pool.map(measured, both.values(), repeat(arguments.runs)), strict=True))
    worlds, hard = ({name: found[name] for name in names} for names in (WORLDS, HARD))
    table = {
        f"{name}, {method}": figures[method] | {"effective rows": figures["effective_rows"]}
        | {"refused_share": figures["refused_share"]}
        for name, figures in worlds.items()
        for method in METHODS
    }  # fmt: skip
    columns = ["coverage_95", "bias_over_truth", "width_over_truth", "effective rows", "refused_share"]
    report(f"{arguments.runs} logs of each world", table, columns)
    report("too little overlap", hard, ["refused_share"])
    answered = [figures["runs"] * (1 - figures["refused_share"]) for figures in worlds.values()]
    by_world = [figures[RECOMMENDED]["coverage_95"] for figures in worlds.values()]
    result: dict[str, Any] = {
        "recommended": RECOMMENDED,
        "coverage_95": float(np.average(by_world, weights=answered)),
        "least_coverage_95": min(by_world),
        "most_coverage_95": max(by_world),
        "hard_refused_share": float(np.mean([figures["refused_share"] for figures in hard.values()])),
        "worlds": worlds,
        "hard": hard,
    }
    if not arguments.without_open_bandit:
        result["open_bandit"] = open_bandit()
        for name, figures in result["open_bandit"].items():
            rows = {f"{who}, {way}": value for who in ("ours", "obp") for way, value in figures[who].items()}
            title = f"{name}, whose own click rate is {figures['own_click_rate']:.5f}"
            report(f"{title}; {figures.get('refused', 'not refused')}", rows, ["value", "low", "high", "meets_own"])
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
