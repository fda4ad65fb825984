"""Who is compared on a later window of a log: the product, and what others would do."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from lightgbm import LGBMClassifier
from rich.progress import track
from rich.table import Table

from training.quality.bootstrap import paired_bootstrap
from training.quality.metrics import CLIP, Floats, macro_metrics
from training.tags.baselines import PooledLogisticRegression, history_count_probabilities
from training.tags.fit import fit_tags
from training.tags.job import TagJob
from training.tags.pairs import PairView, Window

NAMES: Final = {
    "zhongcao": "zhongcao",
    "history_count": "history count",
    "logistic_regression": "pooled logistic regression",
    "one_vs_rest_lightgbm": "one-vs-rest LGBMClassifier",
}
Result = dict[str, dict[str, Any]]
RESAMPLES: Final = 300


def contest(job: TagJob, test: Window, *, one_vs_rest: bool) -> Result:
    """Train every model on the job's windows and score the test window once with each.

    Returns
    -------
    dict
        Per model macro_auc, macro_ap, log_loss, ece and train_cpu_s (of all threads, fit only); per peer also
        ours_minus_it: figure → difference, low and high end of its 95 % interval over people.
    """
    train, choose = job.train_windows(), job.choose_windows()
    view = PairView(job.builder.layout, job.taxonomy)
    labels = test.outcomes
    print(f"{len(labels):,} people, {labels.size:,} pairs, {len(train)} training windows")

    def ours() -> tuple[Floats, float]:
        started = time.process_time()
        model, log = fit_tags(
            layout=job.builder.layout,
            taxonomy=job.taxonomy,
            choose=choose,
            validation=train[-1],
            train=train,
            fitted=test.fitted,
            settings=job.choices.tags,
            threads=job.settings.threads,
        )
        cpu = time.process_time() - started
        print(f"validation: {asdict(log.validation_metrics)}, share of the heads {log.head_share}")
        return model.predict(np.asarray(test.rows), threads=job.settings.threads), cpu

    def logistic() -> tuple[Floats, float]:
        started = time.process_time()
        model = PooledLogisticRegression(view, job.choices.tags.seed).fit(train)
        cpu = time.process_time() - started
        return model.predict(test), cpu

    def count() -> tuple[Floats, float]:
        started = time.process_time()
        probabilities = history_count_probabilities(view, train[-1], test.rows)
        return probabilities, time.process_time() - started

    models: dict[str, Callable[[], tuple[Floats, float]]] = {
        "zhongcao": ours,
        "history_count": count,
        "logistic_regression": logistic,
    }
    if one_vs_rest:
        models["one_vs_rest_lightgbm"] = lambda: fit_one_vs_rest(view, train, test)
    result: Result = {}
    scores: dict[str, Floats] = {}
    for name, score in models.items():
        probabilities, cpu = score()
        scores[name] = np.clip(probabilities, CLIP, 1 - CLIP)
        macro = macro_metrics(labels, scores[name])
        result[name] = {
            "macro_auc": macro.macro_auc,
            "macro_ap": macro.macro_ap,
            "log_loss": macro.log_loss,
            "ece": macro.ece,
            "train_cpu_s": cpu,
        }
        if name != "zhongcao":
            drawn = paired_bootstrap(labels, scores["zhongcao"], scores[name], resamples=RESAMPLES, seed=1)
            result[name]["ours_minus_it"] = {figure: list(difference) for figure, difference in drawn.items()}
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


def quality_table(title: str, result: Result) -> Table:
    """Return the table of a contest, ratios first."""
    table = Table(title=title, title_justify="left")
    headings = (
        "model", "CPU / ours", "macro AUC", "macro AP", "log loss", "calibration error", "train CPU s",
        "AUC, ours minus it", "log loss, ours minus it",
    )  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "model" else "right")
    own = result["zhongcao"]["train_cpu_s"]
    for name, row in result.items():
        table.add_row(
            NAMES[name], f"{row['train_cpu_s'] / own:.2f}", f"{row['macro_auc']:.4f}", f"{row['macro_ap']:.4f}",
            f"{row['log_loss']:.4f}", f"{row['ece']:.4f}", f"{row['train_cpu_s']:.1f}",
            *(_interval(row, figure) for figure in ("macro_auc", "log_loss")),
        )  # fmt: skip
    return table


def _interval(row: dict[str, Any], figure: str) -> str:
    if "ours_minus_it" not in row:
        return ""
    difference, low, high = row["ours_minus_it"][figure]
    return f"{difference:+.4f} [{low:+.4f}, {high:+.4f}]"
