"""How long a new tag takes, and how good it is: from a rule, and from a list of 1,000 people among 200,000.

    python -m bench.new_tag --home HOME --json bench/results/new_tag.json

HOME is a home that ``zhongcao retrain`` made on the Complete Journey log with ``examples/complete_journey``'s
audience taxonomy, as ``make demo`` does; that of the settings by default. It is left as it is: every run works in a
copy with links to log and windows. Wall and CPU seconds are those of the whole command, the start of the program
and the check of the bundle in a process of its own included; medians of the runs.

- ``rule, first``: a tag over a new vertical of five categories; the heads' bins are made.
- ``rule, later``: another one in the same home; the bins are there.
- ``seeds``: 200,000 people whose rows are the home's people's, drawn with replacement, each value scaled at random;
  who is in the list is drawn with a probability that depends on three columns. ``ceiling_auc`` is the AUC of that
  very probability, which no model can pass.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from bench.harness import medians, report, write_json
from features.rows.layout import RowLayout
from features.settings import Settings, load_settings
from serving.online.added_columns import open_store
from serving.online.sqlite_store import SqliteStore
from training.bundles.champion import champion_path
from training.quality.calibration import sigmoid
from training.tags.bundle import load_bundle

SEED: Final = 7
BLOCK: Final = 10_000
COLUMNS: Final = ("wall_s", "cpu_s", "people", "base_rate", "auc", "ceiling_auc", "ap", "normalised_entropy")
VERTICAL: Final = ("COLD CEREAL", "HOT CEREAL", "COFFEE", "PANCAKE MIXES", "BREAKFAST SWEETS")
RULES: Final = {"rule, first": "days(purchase) >= 2", "rule, later": "sum(purchase, amount) >= 1000"}


def main() -> None:
    """Measure in copies of a home."""
    parser = argparse.ArgumentParser(prog="python -m bench.new_tag")
    parser.add_argument("--home", type=Path, default=load_settings().home.resolve(), help="a retrained home")
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=options.home.parent) as folder:
        by_rule = [_rules(options.home, Path(folder) / f"rules{run}") for run in range(options.runs)]
        for name in RULES:
            rows[name] = medians([one[name] for one in by_rule])
        crowd = Path(folder) / "crowd"
        ceiling = _crowd(options.home, crowd, options.people, options.seeds)
        by_list = [_seeds(crowd, Path(folder) / f"seeds{run}") for run in range(options.runs)]
        rows["seeds"] = {**medians(by_list), "ceiling_auc": ceiling}
    title = (
        f"new tags: wall and CPU seconds of the command; a list of {options.seeds:,} of {options.people:,} people"
    )
    report(title, rows, COLUMNS)
    write_json(options.json, {"people": options.people, "seeds": options.seeds, "runs": options.runs, "rows": rows})


def _rules(home: Path, copy: Path) -> dict[str, dict[str, float]]:
    _copied(home, copy)
    shutil.copy(home / "online.sqlite", copy)
    (copy / "work").mkdir()
    (copy / "work" / "windows").symlink_to((home / "work" / "windows").resolve())
    done = {}
    for number, (name, rule) in enumerate(RULES.items()):
        lines = ["[[vertical]]", f'id = "bench-{number}"', f'name = "Bench {number}"', f'name_zh = "{number}"']
        lines += [f"categories = {json.dumps(VERTICAL)}", "[[tag]]", f'id = "bench-{number}.tag"', 'name = "Bench"']
        lines += ['name_zh = "测"', 'meaning = "Bench."', f'within = "bench-{number}"', f"rule = '{rule}'"]
        (copy / "more.toml").write_text("\n".join(lines), encoding="utf-8")
        done[name] = _add(copy, str(copy / "more.toml"))
    return done


def _seeds(crowd: Path, copy: Path) -> dict[str, float]:
    _copied(crowd, copy)
    (copy / "work").mkdir()
    for name in ("online.sqlite", "online.sqlite-wal", "online.sqlite-shm"):
        if (crowd / name).exists():
            (copy / name).symlink_to((crowd / name).resolve())
    return _add(copy, "--seeds", str(crowd / "list.csv"), "--id", "bench", "--name", "Bench")


def _copied(home: Path, copy: Path) -> None:
    copy.mkdir()
    shutil.copytree(home / "bundles", copy / "bundles")
    shutil.copy(home / "champion.json", copy)
    shutil.copy(home / "key", copy)
    # The compiled scorer, where a server or an earlier command of the home left it.
    if (home / "compiled").exists():
        shutil.copytree(home / "compiled", copy / "compiled")
    (copy / "log").symlink_to((home / "log").resolve())


def _add(home: Path, *arguments: str) -> dict[str, float]:
    environment = {**os.environ, "ZHONGCAO_HOME": str(home), "ZHONGCAO_CONFIG": os.devnull, "ZHONGCAO_THREADS": "2"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "serving.cli.main", "tags", "add", *arguments]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (quality,) = load_bundle(champion_path(Settings(home=home))).about["changes"][-1]["quality"]
    figures = {name: float(quality[name]) for name in COLUMNS if name in quality}
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, **figures}


def _crowd(home: Path, crowd: Path, people: int, seeds: int) -> float:
    """Make a home with many people, and a list of some; return the AUC of the probability to be in it."""
    _copied(home, crowd)
    layout = load_bundle(champion_path(Settings(home=home))).layout
    real = _everybody(home, layout)
    rng = np.random.default_rng(SEED)
    keys = sorted(rng.bytes(16).hex() for _ in range(people))
    chances = np.empty(people)
    store = SqliteStore(crowd / "online.sqlite")
    with store.fill(layout.schema_hash, layout.width, 0) as fill:
        for start in range(0, people, BLOCK):
            block = real[rng.integers(len(real), size=min(BLOCK, people - start))]
            block *= rng.lognormal(0.0, 0.3, block.shape).astype(np.float32)
            fill.add(keys[start : start + BLOCK], block)
            chances[start : start + len(block)] = _appeal(layout, block)
    store.close()
    # The intercept with which the list has as many people as asked for, in the mean.
    steps = np.linspace(-20, 5, 2_001)
    expected = np.array([sigmoid(chances + step).sum() for step in steps])
    chances = sigmoid(chances + steps[np.abs(expected - seeds).argmin()])
    listed = rng.random(people) < chances
    (crowd / "list.csv").write_text("person\n" + "\n".join(np.array(keys)[listed]) + "\n", encoding="ascii")
    return float(roc_auc_score(listed, chances))


def _everybody(home: Path, layout: RowLayout) -> np.ndarray:
    store = open_store(Settings(home=home), layout)
    blocks = [block.matrix for block in store.scan(store.describe().fill, "", None, BLOCK)]
    store.close()
    return np.concatenate(blocks)


def _appeal(layout: RowLayout, rows: np.ndarray) -> np.ndarray:
    """Return how much the list's people stand out in three columns, on the scale of log odds."""
    names = ("purchase_days_90d", "purchase_sum_amount_90d", f"purchase_decayed90_all@{layout.scopes.names[0]}")
    logs = np.stack([np.log1p(np.nan_to_num(rows[:, layout.columns.index(name)])) for name in names], axis=1)
    return np.asarray((logs * (0.8, -0.4, 0.3)).sum(axis=1))


if __name__ == "__main__":
    main()
