"""What it costs to score everybody: `zhongcao score`, and the loop that one would write first.

    python -m bench.batch_scores --json PATH

The champion of the home (``make demo`` makes one) scores 20,000 made-up people, whose rows are drawn from those
of the online store. The loop reads them in one piece, asks the pooled booster and then every head with LightGBM's
own threads, and hands a pandas frame of one line per person and tag to ``to_parquet``. Both write the same lines;
the largest difference of a probability stands below the table. Each runs in a child process of its own, in turn;
figures are medians of three rounds. CPU seconds are those of all threads, per million people.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console

from bench.harness import in_turn, peak_mb, report, write_json
from features.settings import load_settings
from serving.batch.people import Everybody
from serving.batch.row_source import StoreRows
from serving.batch.scores import score_people
from serving.batch.table import ScoreFilter
from serving.online.sqlite_store import SqliteStore
from training.bundles.champion import champion_path
from training.quality.calibration import sigmoid
from training.tags.bundle import Bundle, load_bundle
from training.tags.model import blend
from training.tags.pairs import SCORED_PEOPLE

_STORE: Final = "online.sqlite"


def main() -> None:
    """Measure both, or be the child that measures one."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch_scores")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        _one(options.only, options.folder, options.threads)
        return
    with tempfile.TemporaryDirectory() as name:
        _fill(Path(name), options.people)
        common = ("--folder", name, "--threads", str(options.threads))
        with Console(stderr=True).status(f"{len(CONTESTANTS)} contestants in turn, {options.runs} rounds"):
            contestants = {contestant: ("--only", contestant, *common) for contestant in CONTESTANTS}
            rows = in_turn("bench.batch_scores", contestants, options.runs)
        difference = _difference(Path(name))
    ratios = {
        f"ratio_{figure}": rows["loop"][figure] / rows["zhongcao"][figure] for figure in ("seconds", "cpu_seconds")
    }
    per_million = 1e6 / options.people
    for row in rows.values():
        row["people_per_second"] = options.people / row["seconds"]
        row["cpu_seconds_per_million"] = row["cpu_seconds"] * per_million
    columns = ("people_per_second", "cpu_seconds_per_million", "peak_mb", "written_mb")
    report(f"{options.people:,} people, {options.threads} threads", rows, columns)
    told = ", ".join(f"{name} {value:.2f}" for name, value in ratios.items())
    Console().print(f"{told}; largest difference of a probability {difference:.2g}")
    write_json(options.json, {**ratios, "max_difference": difference, "people": options.people, **rows})


def _fill(folder: Path, people: int) -> None:
    """Fill a store with made-up people: rows of the home's store, drawn with replacement."""
    known = SqliteStore(load_settings().store_file)
    info = known.describe()
    matrix = np.concatenate([block.matrix for block in known.scan(info.fill, "", None, 4096)])
    rng = np.random.default_rng(1)
    store = SqliteStore(folder / _STORE)
    with store.fill(info.schema_hash, info.width, info.as_of) as fill:
        for block in np.array_split(np.arange(people), -(-people // 4096)):
            keys = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in block]
            fill.add(keys, matrix[rng.integers(len(matrix), size=len(block))])


def _one(contestant: str, folder: Path, threads: int) -> None:
    bundle = load_bundle(champion_path(load_settings()))
    store = SqliteStore(folder / _STORE)
    out = folder / contestant / str(time.time_ns())
    out.parent.mkdir(exist_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    CONTESTANTS[contestant](bundle, store, out, threads)
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "written_mb": sum(path.stat().st_size for path in out.glob("*.parquet")) / 1e6,
    }
    print(json.dumps(figures))


def _ours(bundle: Bundle, store: SqliteStore, out: Path, threads: int) -> None:
    score_people(bundle, Everybody(StoreRows(store), []), ScoreFilter(), out, threads=threads)


def _loop(bundle: Bundle, store: SqliteStore, out: Path, threads: int) -> None:
    model = bundle.model
    info = store.describe()
    blocks = list(store.scan(info.fill, "", None, 4096))
    rows = np.concatenate([block.matrix for block in blocks])
    persons = np.concatenate([block.persons for block in blocks])
    tags = len(bundle.taxonomy.tags)

    def pooled(pairs: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(model.pooled.predict(pairs, raw_score=True, num_threads=threads))

    logits = np.empty((len(rows), tags))
    for start in range(0, len(rows), SCORED_PEOPLE):
        part = rows[start : start + SCORED_PEOPLE]
        logits[start : start + len(part)] = model.view.score_all(part, model.fitted, pooled)
    heads = np.full((len(rows), tags), np.nan)
    columns = rows[:, model.layout.head_columns]
    for tag, booster in model.heads.items():
        heads[:, tag] = booster.predict(columns, raw_score=True, num_threads=threads)
    blended = blend(logits + np.log(model.negative_share), heads, model.head_share)
    probabilities = sigmoid(model.platt.slope * blended + model.platt.intercept + model.levels)
    learned = np.flatnonzero(model.active)
    frame = pd.DataFrame(
        {
            "person": np.repeat(persons, len(learned)),
            "tag": np.tile([bundle.taxonomy.tags[tag].id for tag in learned], len(rows)),
            "probability": probabilities[:, learned].ravel().astype(np.float32),
            "assigned": (probabilities >= model.assign_at)[:, learned].ravel(),
            "as_of": info.as_of,
            "model": bundle.version,
        }
    )
    out.mkdir()
    frame.to_parquet(out / "scores.parquet", index=False)


CONTESTANTS: Final[dict[str, Callable[[Bundle, SqliteStore, Path, int], None]]] = {
    "zhongcao": _ours,
    "loop": _loop,
}


def _difference(folder: Path) -> float:
    """Compare the probabilities of the last round, line by line."""
    columns = ["person", "tag", "probability"]
    ours, loop = (
        pq.read_table(max((folder / name).iterdir()), columns=columns).to_pandas() for name in ("zhongcao", "loop")
    )
    both = ours.astype({"person": str, "tag": str}).merge(loop, on=["person", "tag"], how="outer")
    apart = (both["probability_x"] - both["probability_y"]).abs()
    return float("inf") if apart.isna().any() else float(apart.max())


if __name__ == "__main__":
    main()
