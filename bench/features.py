"""How fast as-of features are computed: ours, SQL by hand, pandas.

    python -m bench.features --json PATH

2,000,000 events of 20,000 people in a Parquet file, 100,000 as-of rows (5 instants each), one column per aggregate
of `bench.features_data`, by row over all events (not by scope). Each contestant reads the file and makes the whole
matrix in a child process of its own, in turn; figures are medians of three rounds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from bench.features_contestants import CONTESTANTS
from bench.features_data import AGGREGATES, write_events
from bench.harness import in_turn, peak_mb, report, write_json


def main() -> None:
    """Measure all, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.features")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        _one(options.only, options.folder, options.threads)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_events(folder / "events.parquet")
        common = ("--folder", name, "--threads", str(options.threads))
        with Console(stderr=True).status(f"{len(CONTESTANTS)} contestants in turn, {options.runs} rounds"):
            contestants = {contestant: ("--only", contestant, *common) for contestant in CONTESTANTS}
            rows = in_turn("bench.features", contestants, options.runs)
        matrices = {contestant: np.load(folder / f"{contestant}.npy") for contestant in CONTESTANTS}
    worst = max(_difference(matrices["ours"], matrices[other]) for other in ("duckdb_sql", "pandas"))
    title = f"{len(matrices['ours']):,} rows x {len(AGGREGATES)} columns, 2,000,000 events"
    report(title, rows, ("seconds", "cpu_seconds", "peak_mb"))
    Console().print(f"largest difference between ours and the others, all columns: {worst:g}")
    write_json(options.json, {**rows, "max_difference": worst})


def _one(contestant: str, folder: Path, threads: int) -> None:
    started, cpu = time.perf_counter(), time.process_time()
    matrix = CONTESTANTS[contestant](folder / "events.parquet", threads)
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    np.save(folder / f"{contestant}.npy", matrix)
    print(json.dumps(figures))


def _difference(ours: np.ndarray, other: np.ndarray) -> float:
    if ours.shape != other.shape or (np.isnan(ours) != np.isnan(other)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - other)))


if __name__ == "__main__":
    main()
