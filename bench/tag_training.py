"""What it costs to train 200 tags on one matrix, and how good they get, beside what others would do.

Two seeded, made-up sets of 50,000 people × 160 features × 200 tags (`bench.tag_training_data`): in the correlated
one 24 latent factors drive all tags, in the adversarial one each tag has six features of its own. Quality is
measured on 20,000 other people. Each contestant runs in a process of its own; CPU is that of all threads, memory
the largest resident size. "ours as chosen" is trained, chosen and calibrated by the product's code, except that its
pooled model is the bench's (`bench.tag_training_pooled`), since a plain matrix has no tag blocks. A one-vs-rest
peer that needs more than `--most-minutes` is fitted on as many tags, drawn with a seed, as fit into that, and its
times are scaled to all of them; the table and the JSON say so.

    python -m bench.tag_training --json PATH
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from bench.harness import report, write_json
from bench.tag_training_contestants import CONTESTANTS, exact_against_separate, run, save
from bench.tag_training_data import make

SEED = 20_261_122
OURS, PEER, EXACT = "ours as chosen", "one-vs-rest LGBMClassifier", "exact heads"

Figures = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How large the bench is."""

    people: int = 50_000
    tags: int = 200
    test_people: int = 20_000
    growth: tuple[tuple[int, int], ...] = ((50_000, 400), (200_000, 200))
    """People and tags of the further runs of ours on the correlated set."""
    compared_tags: int = 40
    """Tags that exact heads and separate calls are compared on."""
    runs: int = 3


QUICK = Size(2_000, 6, 2_000, ((2_000, 12),), 3, 1)


def main() -> None:
    """Run every contestant on both sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="small sizes, only to see that it runs")
    parser.add_argument("--most-minutes", type=float, default=10, help="for one peer on one set")
    # The part of one process: its contestant and the folder with its data.
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, folder = arguments.child
        print(json.dumps(run(name, Path(folder), arguments.most_minutes)))
        return
    size = QUICK if arguments.quick else Size()
    print("this takes about twenty minutes on two quiet cores; half of it is the one-vs-rest peer")
    result = measure(size, arguments.most_minutes)
    show(result)
    write_json(arguments.json, result)


def measure(size: Size, most_minutes: float) -> Figures:
    """Run everything and compare."""
    sets: dict[str, dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for kind in ("adversarial", "correlated"):
            draw(folder, kind, size.people, size.tags, size.test_people)
            sets[kind] = {name: in_child(name, folder, most_minutes) for name in CONTESTANTS}
        exact = exact_against_separate(folder, size.compared_tags, size.runs)
        print(f"exact heads against separate calls: {exact}", flush=True)
        growth = {f"{size.people:,} people, {size.tags} tags": sets["correlated"][OURS]}
        for people, tags in size.growth:
            draw(folder, "correlated", people, tags, size.test_people)
            growth[f"{people:,} people, {tags} tags"] = in_child(OURS, folder, most_minutes)
    equal, ratio = exact.pop("bit_equal"), exact.pop("wall_ratio")
    return {
        **compared(sets),
        "exact_bit_equal": equal,
        "exact_wall_ratio": ratio,
        "exact_against_separate": exact,
        "growth_of_ours": growth,
        "sets": sets,
    }


def draw(folder: Path, kind: str, people: int, tags: int, test_people: int) -> None:
    """Write the people that contestants train and are tested on."""
    for part, (name, count) in enumerate({"train": people, "test": test_people}.items()):
        save(folder, name, make(kind, count, tags, seed=SEED, part=part))


def in_child(name: str, folder: Path, most_minutes: float) -> Figures:
    """Run one contestant in a process of its own."""
    command = [sys.executable, "-m", "bench.tag_training", "--child", name, str(folder)]
    command += ["--most-minutes", str(most_minutes)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {figures['cpu_s']:.1f} CPU s, macro AUC {figures['macro_auc']:.4f}", flush=True)
    return figures


def compared(sets: dict[str, dict[str, Figures]]) -> Figures:
    """Compare ours with the others; quality over the tags that both have fitted."""
    ours, peer = sets["correlated"][OURS], sets["correlated"][PEER]
    hard = sets["adversarial"]
    gaps = {name: gain(other, hard[OURS]) for name, other in hard.items() if name != OURS}
    best = max(gaps, key=lambda name: gaps[name])
    return {
        "ratio_cpu_vs_one_vs_rest": peer["cpu_s"] / ours["cpu_s"],
        "auc_delta_vs_one_vs_rest": gain(ours, peer),
        "adversarial_auc_gap_to_best": gaps[best],
        "adversarial_best": best,
    }


def gain(one: Figures, other: Figures) -> float:
    """Return by how much one's AUC is higher, as a mean over the tags that both have fitted."""
    both = one["auc_by_tag"].keys() & other["auc_by_tag"].keys()
    return float(np.mean([one["auc_by_tag"][tag] - other["auc_by_tag"][tag] for tag in sorted(both)]))


def show(result: Figures) -> None:
    """Print the tables, ratios first.

    NE is the mean normalised entropy, NE ≥ 1 the share of tags that are told no better than by their base rate,
    tags how many were fitted.
    """
    columns = ("CPU / ours", "AUC − ours", "AUC", "NE", "NE ≥ 1", "CPU s", "wall s", "MB", "tags")
    for kind, contestants in {**result["sets"], "growth of ours": result["growth_of_ours"]}.items():
        first = next(iter(contestants.values()))
        rows = {name: dict(zip(columns, cells(row, first), strict=True)) for name, row in contestants.items()}
        if kind == "growth of ours":
            # Other people and other tags: their quality is not to be compared.
            rows = {name: {c: v for c, v in row.items() if c != "AUC − ours"} for name, row in rows.items()}
        report(kind, rows, columns)
    for kind, contestants in result["sets"].items():
        for name, row in contestants.items():
            if row["tags_fitted"] < row["tags"]:
                print(f"{kind}, {name}: times scaled from {row['tags_fitted']} to {row['tags']} tags")
    detail = result["exact_against_separate"]
    equal = "bit-equal to" if result["exact_bit_equal"] else "NOT equal to"
    print(
        f"exact heads: {equal} separate lgb.train calls, {result['exact_wall_ratio']:.2f} times faster on 2 cores "
        f"({detail['tags']} tags; num_threads=2 and a Dataset of its own for each; median of {detail['runs']} runs)"
    )
    for key in ("ratio_cpu_vs_one_vs_rest", "auc_delta_vs_one_vs_rest", "adversarial_auc_gap_to_best"):
        print(f"{key}: {result[key]:.4g}")


def cells(row: Figures, first: Figures) -> tuple[float, ...]:
    """Return a contestant's line."""
    return (
        row["cpu_s"] / first["cpu_s"], gain(row, first), row["macro_auc"], row["normalised_entropy"],
        row["share_of_tags_no_better_than_base_rate"], row["cpu_s"], row["wall_s"], row["peak_mb"],
        row["tags_fitted"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
