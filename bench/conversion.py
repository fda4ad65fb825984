"""Conversion models in a world whose true probabilities are known.

A world of people is made with truth for every impression. After four weeks in which histories fill, the models
learn from the impressions of four weeks, with what was known on the last day (the last impressions are hours old),
and are measured on those of the week after, organic and paid, against the world's own probabilities. Log losses are
expected ones: of the model's probabilities under the true ones, so that no luck is in them; the drawn outcomes' are
beside them. The oracle says the true probabilities, the base rate the mean of them. Delays: the same impressions
are learned from four times, with final labels and, as known on the day, under each strategy. Times are medians, in
turn, on one thread.

    python -m bench.conversion --json PATH [--people 100000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.conversion_data import make, source_of, truth_of
from bench.harness import report, write_json
from features.days import DAY_SECONDS
from features.settings import Settings
from features.world.settings import WorldSettings
from training.conversion.boosting import BoosterSettings
from training.conversion.examples import LATEST, STRATEGIES, Examples
from training.conversion.fit import FitSettings, fit_conversion
from training.conversion.job import ConversionChoices
from training.conversion.model import ConversionModel
from training.conversion.quality import People, quality
from training.conversion.source import Sample
from training.quality.json_figures import to_json
from training.steps import Steps

WARM_UP_DAYS: Final = 28
"""Nobody has a past when a world begins: histories have four weeks to fill before anything is learned from."""
TRAIN_DAYS: Final = 28
TEST_DAYS: Final = 7
WINDOW_DAYS: Final = 7
SMALLER: Final = BoosterSettings(trees=100, learning_rate=0.08, most_rows=200_000)
"""Of the comparison of strategies, which fits four times."""
CHAIN: Final = ("click", "link_click", "store_visit", "ctcvr")
Floats = NDArray[np.float64]


def main() -> None:
    """Make the world, train, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=800_000, help="impressions that are learned from")
    parser.add_argument("--test", type=int, default=600_000, help="impressions that are measured on")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    print("at 100,000 people this takes half an hour on two quiet processors")
    with tempfile.TemporaryDirectory() as scratch:
        found = run(arguments, Path(scratch))
    shown(found)
    write_json(arguments.json, to_json(found))


def run(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Return every figure."""
    world = scratch / "world"
    days = WARM_UP_DAYS + TRAIN_DAYS + TEST_DAYS + WINDOW_DAYS + LATEST // DAY_SECONDS
    settings = WorldSettings(people=arguments.people, days=days, seed=arguments.seed, organic_truth=True)
    started = time.process_time()
    make(settings, world)
    home = Settings(home=scratch / "home", mlruns=scratch / "mlruns", threads=arguments.threads)
    choices = ConversionChoices(most_examples=arguments.most)
    outcomes = choices.outcomes()
    outcomes.windows.update({name: min(w, WINDOW_DAYS * DAY_SECONDS) for name, w in outcomes.windows.items()})
    source = source_of(world, home, outcomes, Steps())
    start = settings.begin + WARM_UP_DAYS * DAY_SECONDS
    as_of, end = start + TRAIN_DAYS * DAY_SECONDS, start + (TRAIN_DAYS + TEST_DAYS) * DAY_SECONDS
    made = time.process_time()
    features = source.features(as_of)
    # Read with the final labels: what was known when is chosen by each fit.
    train = source.train_sample(start, as_of, most=arguments.most, seed=7, features=features, known_at=settings.end)
    test = source.test_sample(as_of, end, settings.end, most=arguments.test, seed=7, features=features)
    read = time.process_time()
    model, _ = fit_conversion(train.examples, as_of, FitSettings(), threads=arguments.threads)
    fitted = time.process_time()
    truth = truth_of(world, test.impressions, outcomes.windows, model.targets)
    targets = measured(model, test, truth)
    ctcvr = targets["ctcvr"]
    final = truth[:, model.targets.index("ctcvr")]
    delays = strategies(train.examples, as_of, test, final, threads=arguments.threads)
    return {
        "people": arguments.people,
        "impressions": {"learned_from": len(train.examples), "measured_on": len(test.examples)},
        "cpu_seconds": {"world": made - started, "rows": read - made, "fit": fitted - read},
        "ctcvr_log_loss_over_oracle": ctcvr["log_loss_over_oracle"],
        "gap_closed": ctcvr["gap_closed"],
        "targets": targets,
        "delay_corrected_over_mature": delays["corrected"],
        "delay_naive_over_mature": delays["negative"],
        "delay_wait_over_mature": delays["mature"],
        "delays": delays,
        "scoring": scoring(model, test.examples.rows[:500]),
    }


def cross_entropy(truth: Floats, probabilities: Floats) -> float:
    """Return the expected log loss, clipped at 1e-7 for both sides alike."""
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))


def measured(model: ConversionModel, test: Sample, truth: Floats) -> dict[str, dict[str, Any]]:
    """Measure every target against truth and outcomes."""
    probabilities = model.predict(test.examples.rows)
    people = People(test.examples.person, 7)
    out: dict[str, dict[str, Any]] = {}
    for column, target in enumerate(model.targets):
        p, true = probabilities[:, column], truth[:, column]
        labels = test.examples.seen(target, test.impressions.known_at).astype(np.uint8)
        oracle, base = cross_entropy(true, true), cross_entropy(true, np.full(len(true), true.mean()))
        ours, drawn = cross_entropy(true, p), labels.astype(np.float64)
        found = quality(labels, p, people)
        out[target] = {
            "positives": int(labels.sum()),
            "auc": found.auc,
            "auc_oracle": quality(labels, true, people).auc,
            "log_loss_over_oracle": ours / oracle,
            "log_loss_over_oracle_drawn": cross_entropy(drawn, p) / cross_entropy(drawn, true),
            "base_rate_over_oracle": base / oracle,
            "gap_closed": (base - ours) / (base - oracle),
            "sum_predicted_over_observed": found.total.value,
            "sum_interval": [found.total.low, found.total.high],
            "sum_predicted_over_true": float(p.sum() / true.sum()),
            "deciles": [asdict(ratio) for ratio in found.deciles],
            "deciles_over_true": by_decile(p, true),
        }
    return out


def by_decile(probabilities: Floats, truth: Floats) -> list[float]:
    """Return predicted over true sums in ten equally large groups, lowest probabilities first.

    Not defined where nothing can happen, as with notes without a link, which most are.
    """
    order = np.array_split(np.argsort(probabilities, kind="stable"), 10)
    sums = [(float(probabilities[part].sum()), float(truth[part].sum())) for part in order]
    return [predicted / true if true > 0 else float("nan") for predicted, true in sums]


def strategies(examples: Examples, as_of: int, test: Sample, truth: Floats, *, threads: int) -> dict[str, float]:
    """Return the log loss of CTCVR under each strategy over that with final labels."""
    columns = [examples.targets.index(target) for target in CHAIN]
    chain = replace(
        examples, targets=CHAIN, known_at=examples.known_at[:, columns], windows=examples.windows[columns]
    )

    def loss(at: int, settings: FitSettings) -> float:
        model, _ = fit_conversion(chain, at, settings, threads=threads)
        return cross_entropy(truth, model.predict(test.examples.rows)[:, model.targets.index("ctcvr")])

    # With final labels nothing is immature, whatever the strategy.
    reference = loss(as_of + int(chain.windows.max()) + LATEST, FitSettings(booster=SMALLER, strategy="negative"))
    ratios = {name: loss(as_of, FitSettings(booster=SMALLER, strategy=name)) / reference for name in STRATEGIES}
    return {"final_labels_log_loss": reference, **ratios}


def scoring(model: ConversionModel, rows: NDArray[np.float32], runs: int = 60) -> dict[str, float]:
    """Return milliseconds for 500 candidates: all targets of ours, and one LightGBM booster on a DataFrame."""
    model.warm()
    booster = next(b for b in model.boosters if isinstance(b, lgb.Booster))
    frame = pd.DataFrame(rows, columns=list(model.features))

    def plain() -> Any:
        return booster.predict(frame, num_threads=1)

    def all_plain() -> Any:
        return [b.predict(frame, num_threads=1) for b in model.boosters]

    contestants: dict[str, Callable[[], Any]] = {
        "ours_all_targets_ms": lambda: model.predict(rows),
        "one_booster_on_dataframe_ms": plain,
        "all_boosters_on_dataframe_ms": all_plain,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, call in contestants.items():
            started = time.perf_counter()
            call()
            times[name].append(1_000 * (time.perf_counter() - started))
    found = {name: median(taken) for name, taken in times.items()}
    return {**found, "boosters": len(model.boosters), "candidates": len(rows)}


def shown(found: dict[str, Any]) -> None:
    """Print the figures, ratios first."""
    columns = (
        "log_loss_over_oracle", "gap_closed", "sum_predicted_over_observed", "sum_predicted_over_true", "auc",
        "auc_oracle", "positives",
    )  # fmt: skip
    report(f"Conversion models, {found['people']:,} people, the week after", found["targets"], columns)
    rows = {name: {"log loss over final labels'": found["delays"][name]} for name in STRATEGIES}
    report("CTCVR learned on the day itself", rows, ["log loss over final labels'"])
    report("500 candidates, milliseconds", {"": found["scoring"]}, list(found["scoring"]))


if __name__ == "__main__":
    main()
