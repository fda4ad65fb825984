"""How fast rows of person x note are computed as of every impression's instant, and what the batch takes for it.

    python -m bench.impression_rows --json PATH

A simulated world of about a million impressions in a Parquet file, sorted by account. ``ours`` reads the
impressions, finds their answers, tallies the log and computes all columns of every row on one core; ``batch``
computes the counts of the keys person and person x brand for a sample of them with `features.rows.batch`, in
DuckDB, whose values must be the same. Each runs in a child process of its own, in turn; figures are medians of
the rounds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from bench.harness import in_turn, peak_mb, report, write_json
from features.days import DAY_SECONDS
from features.impressions.columns import STATISTICS, Count
from features.impressions.features import ImpressionFeatures, rows_by_person
from features.impressions.responses import responses
from features.impressions.table import Impressions, read_impressions
from features.rows.batch import aggregate_dense
from features.spine import ACCOUNTS_SCHEMA, assemble
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.world import World

_KEYS = {"person": (), "person_brand": ("brand",)}
_COUNTS = [s for s in STATISTICS if isinstance(s, Count) and s.of in _KEYS]


def main() -> None:
    """Measure both, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.impression_rows")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--sample", type=int, default=4_000, help="rows of the batch")
    parser.add_argument("--only", choices=("ours", "batch"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        figures = (
            _ours(options.folder, options.sample)
            if options.only == "ours"
            else _batch(options.folder, options.sample)
        )
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_world(folder, options.people)
        arguments = ("--folder", name, "--sample", str(options.sample))
        with Console(stderr=True).status(f"two contestants in turn, {options.runs} rounds"):
            contestants = {only: ("--only", only, *arguments) for only in ("ours", "batch")}
            rows = in_turn("bench.impression_rows", contestants, options.runs)
        ours, batch = (np.load(folder / f"{only}.npy") for only in ("ours", "batch"))
    ratio = rows["ours"]["cells_per_cpu_second"] / rows["batch"]["cells_per_cpu_second"]
    differing = int((ours != batch).sum())
    report(
        "rows of person x note", rows, ("rows", "columns", "cells_per_cpu_second", "rows_cpu_seconds", "peak_mb")
    )
    Console().print(f"cells per CPU second, ours over batch: {ratio:,.0f}; cells that differ: {differing}")
    write_json(options.json, {**rows, "cells_over_batch": ratio, "cells_that_differ": differing})


def _write_world(folder: Path, people: int) -> None:
    settings = WorldSettings(people=people, days=45, campaigns=10)
    world = World(settings)
    events = pa.concat_tables([world.step(day, BroadPolicy()).events for day in range(settings.days)])
    con = duckdb.connect()
    con.from_arrow(events).order("account, event_time").write_parquet(str(folder / "events.parquet"))
    for name, table in world.tables().items():
        pq.write_table(table, folder / f"{name}.parquet")


def _open(folder: Path) -> tuple[duckdb.DuckDBPyRelation, Impressions]:
    con = duckdb.connect(config={"threads": 1})
    con.read_parquet(str(folder / "events.parquet")).create("log_events")
    events = con.table("log_events")
    notes, items = (pq.read_table(folder / f"{name}.parquet") for name in ("notes", "items"))
    first, last = events.aggregate("min(event_time), max(event_time) + 1").fetchall()[0]
    known = {"start": first, "end": last, "known_at": last + 30 * DAY_SECONDS, "timezone": "UTC"}
    return events, read_impressions(events, None, notes, items=items, **known)


def _ours(folder: Path, sample: int) -> dict[str, float]:
    wall = time.perf_counter()
    events, impressions = _open(folder)
    cpu = time.process_time()
    responses(events, None, impressions)
    answered = time.process_time()
    features = ImpressionFeatures(platforms=("xiaohongshu",))
    notes = features.notes(events, impressions.timezone)
    tallied = time.process_time()
    chosen = _sampled(impressions, sample)
    place = [features.columns.index(statistic.name) for statistic in _COUNTS]
    kept = np.empty((sample, len(place)), np.float32)
    for rows, made in rows_by_person(features, events, None, impressions, notes=notes):
        _, mine, theirs = np.intersect1d(rows, chosen, return_indices=True)
        kept[theirs] = made[mine][:, place]
    done = time.process_time()
    np.save(folder / "ours.npy", np.nan_to_num(kept, nan=-1))
    many = len(impressions)
    return {
        "rows": many,
        "columns": len(features.columns),
        "cells_per_cpu_second": many * len(features.columns) / (done - tallied),
        "rows_per_cpu_second": many / (done - tallied),
        "rows_cpu_seconds": done - tallied,
        "responses_cpu_seconds": answered - cpu,
        "tallies_cpu_seconds": tallied - answered,
        "seconds": time.perf_counter() - wall,
        "peak_mb": peak_mb(),
    }


def _batch(folder: Path, sample: int) -> dict[str, float]:
    wall = time.perf_counter()
    events, impressions = _open(folder)
    part = impressions.take(_sampled(impressions, sample))
    accounts = pa.table([np.arange(sample), part.table["account"]], schema=ACCOUNTS_SCHEMA)
    spine = assemble(part.table["person"].combine_chunks(), part.times, accounts, part.timezone, None)
    branded = type(spine)(spine.rows.append_column("brand", part.table["brand"]), spine.accounts, spine.timezone)
    cpu = time.process_time()
    found = [
        aggregate_dense(events, branded, [s.aggregate for s in _COUNTS if s.of == of], keys=keys)
        for of, keys in _KEYS.items()
    ]
    done = time.process_time()
    values = np.concatenate(found, axis=1)
    seconds = [s.aggregate.measure == "recency" for s in _COUNTS]
    values[:, seconds] /= DAY_SECONDS
    nameless = np.array([brand is None for brand in part.table["brand"].to_pylist()])
    values[np.ix_(nameless, np.array([s.of == "person_brand" for s in _COUNTS]))] = np.nan
    np.save(folder / "batch.npy", np.nan_to_num(values.astype(np.float32), nan=-1))
    return {
        "rows": sample,
        "columns": len(_COUNTS),
        "cells_per_cpu_second": values.size / (done - cpu),
        "rows_per_cpu_second": sample / (done - cpu),
        "rows_cpu_seconds": done - cpu,
        "seconds": time.perf_counter() - wall,
        "peak_mb": peak_mb(),
    }


def _sampled(impressions: Impressions, sample: int) -> np.ndarray:
    return np.sort(np.random.default_rng(1).choice(len(impressions), sample, replace=False))


if __name__ == "__main__":
    main()
