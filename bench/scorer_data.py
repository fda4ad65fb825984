"""Heads and a pooled model for `bench.scorer`, trained on seeded noise with some signal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

HEADS, HEAD_COLUMNS, HEAD_ROWS = 200, 270, 3_000
PAIR_COLUMNS, PERSON_COLUMNS, TAGS, TRAINING_PEOPLE = 55, 17, 200, 400

COMMON = {
    "objective": "binary",
    "learning_rate": 0.1,
    "feature_pre_filter": False,
    "deterministic": True,
    "seed": 7,
    "verbosity": -1,
}


def rows(rng: np.random.Generator, n: int, width: int) -> NDArray[np.float32]:
    """Return heavy-tailed rows: the first half of the columns is mostly zero, 5 % are missing."""
    x = np.exp(rng.normal(size=(n, width))).astype(np.float32)
    x[:, : width // 2][rng.random((n, width // 2)) < 0.6] = 0
    x[rng.random(x.shape) < 0.05] = np.nan
    return x


def labels(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return answers that a tenth of the columns drives."""
    score = np.log1p(np.nan_to_num(x)) @ (rng.normal(size=x.shape[1]) * (rng.random(x.shape[1]) < 0.1))
    score = (score - score.mean()) / (score.std() + 1e-9)
    return (rng.random(len(x)) < 1 / (1 + np.exp(1.5 - 2 * score))).astype(np.float32)


def train_heads(threads: int) -> list[lgb.Booster]:
    """Train 200 heads of 100 trees × 31 leaves on the same bins."""
    rng = np.random.default_rng(11)
    x = rows(rng, HEAD_ROWS, HEAD_COLUMNS)
    params = COMMON | {"num_leaves": 31, "feature_fraction": 0.1, "force_col_wise": True, "num_threads": 1}
    shared = lgb.Dataset(x, np.zeros(len(x)), params=params, free_raw_data=False).construct()
    answers = [labels(rng, x) for _ in range(HEADS)]

    def fit(tag: int) -> lgb.Booster:
        data = lgb.Dataset(x, answers[tag], reference=shared, params=params)
        return lgb.train(params, data, num_boost_round=100)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(fit, range(HEADS)))


def pairs(rng: np.random.Generator, people: int) -> NDArray[np.float32]:
    """Return the pairs of some people with all tags: what is known of the person is the same in all of theirs."""
    x = rows(rng, people * TAGS, PAIR_COLUMNS)
    x[:, :PERSON_COLUMNS] = np.repeat(rows(rng, people, PERSON_COLUMNS), TAGS, axis=0)
    return x


def train_pooled(threads: int) -> lgb.Booster:
    """Train one model of 150 trees × 63 leaves on pairs."""
    rng = np.random.default_rng(12)
    x = pairs(rng, TRAINING_PEOPLE)
    params = COMMON | {"num_leaves": 63, "max_bin": 127, "force_row_wise": True, "num_threads": threads}
    return lgb.train(params, lgb.Dataset(x, labels(rng, x), params=params), num_boost_round=150)
