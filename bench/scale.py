"""How each step of a training run and of scoring grows with people: CPU seconds, wall and peak memory.

    python -m bench.scale --json PATH

A made-up log of 180 days in a Parquet file, 40 categories, about 40 events a person; 80 tags over rows of 1,302
columns. Each number of people is measured in a child process of its own: who is there, wide rows with label
history, outcomes, bins of the heads' columns, eight exact heads (the figure is for one), the pooled model on at
most 500,000 pairs, and scoring 2,000 people with the pooled model and the heads. `docs/scale.md` reads the growth
off this table.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.harness import child, peak_mb, report, write_json
from features.days import DAY_SECONDS
from features.people.population import population
from features.rows.build import build_rows
from features.rows.catalog import layout_for
from features.rows.fitted import fit_affinities
from features.rows.outcomes import fit_thresholds, label_history, outcomes
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from training.tags.binned import bin_matrix
from training.tags.head_fit import HeadSettings
from training.tags.heads import ThreadedHeads, head_logits
from training.tags.outlook_fit import fit_outlook
from training.tags.pairs import Fitted, PairView, Window
from training.tags.pooled import PooledSettings, fit_pooled, pooled_logits
from training.tags.statics import tag_statics

PEOPLE = (10_000, 50_000, 200_000)
START, DAYS, CATEGORIES, HEADS, SCORED = 19_723, 180, 40, 8, 2_000
INSTANT = (START + 150) * DAY_SECONDS
POOLED = PooledSettings(most_pairs=500_000)
STEPS = ("people", "rows", "outcomes", "bins", "head", "pooled", "scored")


def main() -> None:
    """Measure each number of people in turn, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--people", type=int, nargs="+", default=PEOPLE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(_measure(options.only, Path(folder) / "events.parquet", options.threads)))
        return
    rows = {}
    for people in options.people:
        found = child("bench.scale", "--only", str(people), "--threads", str(options.threads))
        rows[f"{people:,}"] = found | {f"{step}_ms_a_person": found[step] * 1e3 / people for step in STEPS[:4]}
    columns = [*(f"{step}_ms_a_person" for step in STEPS[:4]), *STEPS, "wall", "log_mb", "peak_mb"]
    report("CPU seconds (and CPU ms a person) by step", _turned(rows, columns), list(rows))
    write_json(options.json, rows)


def write_log(path: Path, people: int, seed: int = 1) -> None:
    """Write the log: everybody looks and buys at rates of their own, two thirds of it in four categories."""
    rng = np.random.default_rng(seed)
    busy = rng.gamma(1.0, 40.0, people)
    owner = np.repeat(np.arange(people), rng.poisson(busy))
    n = len(owner)
    favourites = rng.integers(0, CATEGORIES, (people, 4))
    liked = favourites[owner, rng.integers(0, 4, n)]
    category = np.where(rng.random(n) < 0.66, liked, rng.integers(0, CATEGORIES, n))
    moment = START * DAY_SECONDS + rng.integers(0, DAYS * DAY_SECONDS, n)
    bought = rng.random(n) < 0.4
    names = pa.array([f"{number:032x}" for number in rng.permutation(people)])
    table = pa.table(
        {
            "account": names.take(pa.array(owner)),
            "kind": pa.array(["item_view", "purchase"]).take(pa.array(bought.astype(np.int8))),
            "event_time": moment,
            "arrived_at": moment,
            "day": pa.array(moment // DAY_SECONDS, pa.int32()),
            "category": pa.array([f"c{number}" for number in range(CATEGORIES)]).take(pa.array(category)),
            "item": pa.array(category * 50 + rng.integers(0, 50, n)).cast(pa.string()),
            "amount": pa.array(rng.integers(100, 9_000, n), mask=~bought),
            "quantity": pa.array(np.ones(n, np.int64), mask=~bought),
        }
    )
    pq.write_table(table, path)


def taxonomy() -> Taxonomy:
    """Return 40 verticals × 2 patterns."""
    verticals = [{"id": f"v{n}", "name": f"v{n}", "name_zh": f"v{n}", "categories": [f"c{n}"]} for n in range(40)]
    patterns = [
        {
            "id": name, "name": f"{{vertical}}: {name}", "name_zh": f"{{vertical}}:{name}", "meaning": "{vertical}",
            "rule": f"count(purchase) >= {least}",
        }
        for name, least in (("buys", 1), ("heavy", 2))
    ]  # fmt: skip
    return taxonomy_of({"name": "scale", "horizon_days": 30, "vertical": verticals, "pattern": patterns})


def _measure(people: int, path: Path, threads: int) -> dict[str, float]:
    write_log(path, people)
    figures: dict[str, float] = {"log_mb": path.stat().st_size / 1e6}
    started = time.perf_counter()
    tags = taxonomy()
    layout = layout_for(tags, {"purchase", "item_view"})
    events = duckdb.connect(config={"threads": threads, "memory_limit": "4GB"}).read_parquet(str(path))
    with _timed(figures, "people"):
        spine = population(events, None, [INSTANT], "UTC")
    with _timed(figures, "rows"):
        thresholds = fit_thresholds(tags, events, spine)
        rows = build_rows(layout, events, spine, label_history(tags, events, spine, thresholds))
    with _timed(figures, "outcomes"):
        labels = outcomes(tags, events, spine.known(INSTANT + 31 * DAY_SECONDS), thresholds)
    settings, active = HeadSettings(), np.ones(len(tags.tags), bool)
    with _timed(figures, "bins"):
        bins = bin_matrix([rows], layout.head_columns, max_bin=settings.max_bin)
    with _timed(figures, "head", HEADS):
        few = active & (np.arange(len(active)) < HEADS)
        heads = ThreadedHeads(threads).fit(bins, labels, few, settings, seed=1)
    view = PairView(layout, tags)
    fitted = Fitted(fit_affinities(layout, rows), tag_statics(layout, tags, rows), fit_outlook(view, []))
    window = Window(INSTANT, spine.persons, rows, labels, fitted)
    with _timed(figures, "pooled"):
        booster, share = fit_pooled(view, [window], active, POOLED, seed=1, threads=threads)
    with _timed(figures, "scored"):
        pooled_logits(booster, view, rows[:SCORED], fitted, share, threads=threads)
        head_logits(heads, rows[:SCORED, layout.head_columns], len(active), threads=threads)
    figures |= {"wall": time.perf_counter() - started, "width": layout.width, "rows_mb": rows.nbytes / 1e6}
    return figures | {"heads": len(heads), "peak_mb": peak_mb()}


@contextmanager
def _timed(figures: dict[str, float], step: str, times: int = 1) -> Iterator[None]:
    started = time.process_time()
    yield
    figures[step] = (time.process_time() - started) / times


def _turned(rows: dict[str, dict[str, float]], columns: list[str]) -> dict[str, dict[str, float]]:
    return {column: {people: figures[column] for people, figures in rows.items()} for column in columns}


if __name__ == "__main__":
    main()
