"""Who trains many tags on one matrix, each with its figures on people that were not trained on."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.harness import peak_mb
from bench.tag_training_data import People
from bench.tag_training_pooled import PlainPooled
from training.quality.calibration import choose_blend, fit_slope, logit, sigmoid
from training.quality.metrics import normalised_entropy
from training.tags.binned import bin_matrix
from training.tags.head_fit import HeadSettings
from training.tags.heads import Heads, ThreadedHeads, head_logits
from training.tags.model import blend

THREADS = 2
SEED = 7
VALIDATION = 2_500
"""People on whom ours chooses, taken from those to train on, but never more than a tenth of them."""
FEWEST_TAGS = 3
"""A peer is fitted on this many tags in any case."""

EXACT = HeadSettings(
    min_positives=1, trees=100, leaves=3, learning_rate=0.15, min_data_in_leaf=10, feature_fraction=0.3
)
FAST = replace(EXACT, negatives=10)

Floats = NDArray[np.float64]


def load(folder: Path, part: str) -> People:
    """Read people that `save` wrote."""
    return People(np.load(folder / f"{part}.matrix.npy"), np.load(folder / f"{part}.labels.npy"))


def save(folder: Path, part: str, people: People) -> None:
    """Write people for the contestants' processes."""
    np.save(folder / f"{part}.matrix.npy", people.matrix)
    np.save(folder / f"{part}.labels.npy", people.labels)


def run(name: str, folder: Path, most_minutes: float) -> dict[str, Any]:
    """Train one contestant and measure it.

    CPU is that of all threads and, like wall time, of the training alone, choices included. A peer that is not done
    after `most_minutes` stops; its times are scaled to all tags and its quality is that of the tags it has fitted.
    """
    train, test = load(folder, "train"), load(folder, "test")
    before = peak_mb()
    contestant = CONTESTANTS[name]
    cpu, wall = time.process_time(), time.perf_counter()
    score, fitted = contestant(train, most_minutes)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = peak_mb()
    tags = train.labels.shape[1]
    # A tag that nobody has among those to train on or to test on says nothing about anyone.
    told = [t for t in fitted if 0 < test.labels[:, t].sum() < len(test.labels) and train.labels[:, t].any()]
    probabilities = score(test)
    auc = {t: float(roc_auc_score(test.labels[:, t], probabilities[:, t])) for t in told}
    entropy = np.array([normalised_entropy(test.labels[:, t], probabilities[:, t]) for t in told])
    return {
        "cpu_s": cpu * tags / len(fitted),
        "wall_s": wall * tags / len(fitted),
        "peak_mb": peak,
        "data_mb": before,
        "macro_auc": float(np.mean(list(auc.values()))),
        "normalised_entropy": float(entropy.mean()),
        "share_of_tags_no_better_than_base_rate": float((entropy >= 1).mean()),
        "tags": tags,
        "tags_fitted": len(fitted),
        "auc_by_tag": {str(t): round(value, 6) for t, value in auc.items()},
    }


Score = Callable[[People], Floats]


def one_vs_rest(train: People, most_minutes: float) -> tuple[Score, list[int]]:
    """Fit `LGBMClassifier(n_jobs=2)`, else all defaults, one tag after the other, as most teams begin."""
    started = time.perf_counter()
    models: dict[int, lgb.LGBMClassifier] = {}
    tags = train.labels.shape[1]
    for tag in np.random.default_rng(SEED).permutation(tags).tolist():
        if time.perf_counter() - started > 60 * most_minutes and len(models) >= FEWEST_TAGS:
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models[tag] = lgb.LGBMClassifier(n_jobs=THREADS, verbosity=-1).fit(train.matrix, train.labels[:, tag])

    def score(people: People) -> Floats:
        out = np.full((len(people.matrix), tags), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for tag, model in models.items():
                out[:, tag] = model.predict_proba(people.matrix)[:, -1]
        return out

    return score, sorted(models)


def heads_alone(settings: HeadSettings) -> Callable[[People, float], tuple[Score, list[int]]]:
    """Train the product's heads and nothing else."""

    def fit(train: People, _: float) -> tuple[Score, list[int]]:
        heads = _heads(train, settings)
        return lambda people: sigmoid(_filled(heads, people, logit(train.labels.mean(axis=0)))), _all(train)

    return fit


def pooled(train: People, _: float) -> tuple[Score, list[int]]:
    """Train one model over all pairs."""
    model = PlainPooled.fit(train.matrix, train.labels, seed=SEED, threads=THREADS)
    return lambda people: sigmoid(model.logits(people.matrix, threads=THREADS)), _all(train)


def ours(train: People, _: float) -> tuple[Score, list[int]]:
    """Train pooled model and fast heads, and choose the share of each, tag by tag, on people kept apart.

    Choice and calibration are the product's. What was kept apart is not trained on afterwards.
    """
    cut = len(train.matrix) - min(VALIDATION, len(train.matrix) // 10)
    learn = People(train.matrix[:cut], train.labels[:cut])
    apart = People(train.matrix[cut:], train.labels[cut:])
    model = PlainPooled.fit(learn.matrix, learn.labels, seed=SEED, threads=THREADS)
    heads = _heads(learn, FAST)
    tags = train.labels.shape[1]

    def logits(people: People) -> tuple[Floats, Floats]:
        own = head_logits(heads, people.matrix, tags, threads=THREADS)
        return model.logits(people.matrix, threads=THREADS), own

    z_pooled, z_heads = logits(apart)
    shares = choose_blend(z_pooled, z_heads, apart.labels)
    platt = fit_slope(blend(z_pooled, z_heads, shares), apart.labels)
    return lambda people: platt.apply(blend(*logits(people), shares)), _all(train)


CONTESTANTS: dict[str, Callable[[People, float], tuple[Score, list[int]]]] = {
    "ours as chosen": ours,
    "one-vs-rest LGBMClassifier": one_vs_rest,
    "exact heads": heads_alone(EXACT),
    "fast heads": heads_alone(FAST),
    "pooled": pooled,
}


def exact_against_separate(folder: Path, tags: int, runs: int) -> dict[str, Any]:
    """Compare exact heads with separate ``lgb.train`` calls of the same parameters, bytes and wall time.

    The peer makes a `Dataset` of its own for each tag and trains with ``num_threads=2``, one tag after the other.
    The number of threads is named in a booster's text and is the only thing left out of the comparison. Both are
    run in turn and the medians compared.
    """
    people = load(folder, "train")
    every = people.labels.shape[1] // min(tags, people.labels.shape[1])
    people = People(people.matrix, np.ascontiguousarray(people.labels[:, ::every][:, :tags]))
    params = {**bin_matrix([people.matrix]).params, **EXACT.params(SEED), "num_threads": THREADS}
    walls: dict[str, list[float]] = {"exact": [], "separate": []}
    equal = True
    for _ in range(runs):
        started = time.perf_counter()
        heads = _heads(people, EXACT)
        walls["exact"].append(time.perf_counter() - started)
        started = time.perf_counter()
        alone = {
            tag: lgb.train(params, lgb.Dataset(people.matrix, people.labels[:, tag], params=params), EXACT.trees)
            for tag in heads
        }
        walls["separate"].append(time.perf_counter() - started)
        equal = equal and all(_text(heads[tag]) == _text(booster) for tag, booster in alone.items())
    exact, separate = float(np.median(walls["exact"])), float(np.median(walls["separate"]))
    return {
        "bit_equal": equal,
        "wall_ratio": separate / exact,
        "exact_wall_s": exact,
        "separate_wall_s": separate,
        "tags": len(heads),
        "runs": runs,
    }


def _heads(people: People, settings: HeadSettings) -> Heads:
    bins = bin_matrix([people.matrix], max_bin=settings.max_bin)
    every = np.ones(people.labels.shape[1], bool)
    return ThreadedHeads(THREADS).fit(bins, people.labels, every, settings, seed=SEED)


def _filled(heads: Heads, people: People, level: Floats) -> Floats:
    """Logits of the heads; a tag without one has its base rate."""
    z = head_logits(heads, people.matrix, len(level), threads=THREADS)
    return np.where(np.isnan(z), level, z)


def _all(train: People) -> list[int]:
    return list(range(train.labels.shape[1]))


def _text(booster: lgb.Booster) -> str:
    return str(booster.model_to_string()).replace(f"[num_threads: {THREADS}]", "[num_threads: 1]")
