"""Quality of the tag models on Complete Journey, beside what others would do.

Protocol: 200 tags, "buys in the category within 30 days", for the categories with the most buying households
before 2017-11-01. Everybody with a purchase before the instant is scored. Models know what was known on 2017-11-01,
choices are made on the window that starts on 2017-10-01, and the window that starts on 2017-11-01 is looked at
once, here. AUC and AP are means over the tags, log loss and calibration error are over all pairs, CPU is that of
all threads, fit only.

    python -m bench.tag_quality --json PATH
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from lightgbm import LGBMClassifier
from rich.console import Console
from rich.progress import track
from rich.table import Table

from features.days import instant_of
from features.settings import Settings
from features.sources.complete_journey import import_complete_journey
from features.taxonomy import load_taxonomy
from training.baselines import PooledLogisticRegression, history_count_probabilities
from training.fit import TagSettings, fit_tags
from training.job import JobSettings, TagJob
from training.metrics import CLIP, Floats, macro_metrics
from training.pairs import PairView, Window
from training.steps import Steps

KEY = bytes(range(32))
"""A fixed key for pseudonyms, so that people come in the same order in every run."""

NAMES = {
    "zhongcao": "zhongcao",
    "history_count": "history count",
    "logistic_regression": "pooled logistic regression",
    "one_vs_rest_lightgbm": "one-vs-rest LGBMClassifier",
}


def main() -> None:
    """Run the protocol and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--taxonomy", type=Path, default=Path("examples/complete_journey/categories.toml"))
    parser.add_argument("--home", type=Path, help="keep log and windows here and reuse them")
    parser.add_argument("--without-one-vs-rest", action="store_true", help="leave the slowest peer out")
    arguments = parser.parse_args()
    print("this may take up to an hour; the one-vs-rest peer takes most of it")
    with tempfile.TemporaryDirectory() as scratch:
        result = run(arguments.home or Path(scratch), arguments.taxonomy, not arguments.without_one_vs_rest)
    show(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def run(home: Path, taxonomy_file: Path, one_vs_rest: bool) -> dict[str, dict[str, float]]:
    """Import, train, and score the test window once with every model."""
    settings = Settings(home=home, mlruns=home / "mlruns")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not settings.key_file.exists():
        settings.key_file.touch(mode=0o600)
        settings.key_file.write_bytes(KEY)
    import_complete_journey(settings)
    taxonomy = load_taxonomy(taxonomy_file)
    test_at, validate_at = instant_of("2017-11-01"), instant_of("2017-10-01")
    # The protocol scores people with a purchase, and all 200 tags, however rare.
    choices = JobSettings(tags=TagSettings(min_positives=1), validation=validate_at, kinds=("purchase",))
    job = TagJob(settings, taxonomy, test_at, choices, Steps())
    train, choose = job.train_windows(), job.choose_windows()
    test = job.windows([test_at], job.builder.source.last + 1, "test window")[0]
    validation = train[-1]
    view = PairView(job.builder.layout, taxonomy)
    labels = test.outcomes
    print(f"{len(labels):,} people, {labels.size:,} pairs, {len(train)} training windows")
    result: dict[str, dict[str, float]] = {}

    def ours() -> Floats:
        model, log = fit_tags(
            layout=job.builder.layout,
            taxonomy=taxonomy,
            choose=choose,
            validation=validation,
            train=train,
            fitted=test.fitted,
            settings=job.choices.tags,
            threads=settings.threads,
        )
        print(f"validation: {asdict(log.validation_metrics)}, share of the heads {log.head_share}")
        nonlocal cpu
        cpu = time.process_time() - started
        return model.predict(np.asarray(test.rows), threads=settings.threads)

    def logistic() -> Floats:
        model = PooledLogisticRegression(view, job.choices.tags.seed).fit(train)
        nonlocal cpu
        cpu = time.process_time() - started
        return model.predict(test)

    def count() -> Floats:
        probabilities = history_count_probabilities(view, validation, test.rows)
        nonlocal cpu
        cpu = time.process_time() - started
        return probabilities

    def independent() -> Floats:
        nonlocal cpu
        out, cpu = fit_one_vs_rest(view, train, test)
        return out

    models: dict[str, Callable[[], Floats]] = {
        "zhongcao": ours,
        "history_count": count,
        "logistic_regression": logistic,
    }
    if one_vs_rest:
        models["one_vs_rest_lightgbm"] = independent
    for name, score in models.items():
        cpu, started = 0.0, time.process_time()
        probabilities = np.clip(score(), CLIP, 1 - CLIP)
        macro = macro_metrics(labels, probabilities)
        result[name] = {
            "macro_auc": macro.macro_auc,
            "macro_ap": macro.macro_ap,
            "log_loss": macro.log_loss,
            "ece": macro.ece,
            "train_cpu_s": cpu,
        }
    return result


def fit_one_vs_rest(view: PairView, train: list[Window], test: Window) -> tuple[Floats, float]:
    """Fit one `LGBMClassifier()` per tag, all defaults, on the heads' columns, as most teams begin.

    Its probabilities are used as they come. Returns them with the CPU seconds of the fits.
    """
    columns = view.layout.head_columns
    matrix = np.concatenate([window.rows[:, columns] for window in train])
    answers = np.concatenate([window.outcomes for window in train])
    asked = np.asarray(test.rows)[:, columns]
    out = np.empty((len(asked), answers.shape[1]))
    cpu = 0.0
    for tag in track(range(answers.shape[1]), description="one-vs-rest"):
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = LGBMClassifier(verbosity=-1).fit(matrix, answers[:, tag])
            cpu += time.process_time() - started
            out[:, tag] = model.predict_proba(asked)[:, 1]
    return out, cpu


def show(result: dict[str, dict[str, float]]) -> None:
    """Print the table, ratios first."""
    table = Table(title="Tags on Complete Journey, window from 2017-11-01", title_justify="left")
    for heading in ("model", "CPU / ours", "macro AUC", "macro AP", "log loss", "calibration error", "train CPU s"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    own = result["zhongcao"]["train_cpu_s"]
    for name, row in result.items():
        table.add_row(
            NAMES[name], f"{row['train_cpu_s'] / own:.2f}", f"{row['macro_auc']:.4f}", f"{row['macro_ap']:.4f}",
            f"{row['log_loss']:.4f}", f"{row['ece']:.4f}", f"{row['train_cpu_s']:.1f}",
        )  # fmt: skip
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
