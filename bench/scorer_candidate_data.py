"""A conversion model for `bench.scorer`, half of whose splits are on sets of categories, and requests to it."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from bench.scorer_data import COMMON, rows
from training.compact.trees import read_trees

TREES, LEAVES, COLUMNS, TARGETS = 500, 63, 60, 3
PERSON = tuple(range(20))
"""Columns that are the same for all candidates; of the others half tell of the note, half of person and note."""
CATEGORICAL = tuple(range(1, COLUMNS, 2))
_CATEGORIES = (2, 7, 12, 25, 40, 60, 90, 150, 250, 400)
_TRAINING_ROWS = 12_000


def impressions(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Return impressions of n persons: heavy-tailed numbers, and categories of which some are frequent."""
    x = rows(rng, n, COLUMNS)
    for place, column in enumerate(CATEGORICAL):
        size = _CATEGORIES[place % len(_CATEGORIES)]
        x[:, column] = np.floor(size * rng.random(n) ** 2)
        x[rng.random(n) < 0.05, column] = np.nan
    return x


def request(rng: np.random.Generator, candidates: int) -> NDArray[np.float32]:
    """Return the rows of one person's candidates."""
    x = impressions(rng, candidates)
    x[:, PERSON] = x[0, PERSON]
    return x


def train_conversion(threads: int) -> list[lgb.Booster]:
    """Train 500 trees of 63 leaves for each of some targets, from the same rows."""
    rng = np.random.default_rng(15)
    x = impressions(rng, _TRAINING_ROWS)
    params = COMMON | {
        "num_leaves": LEAVES, "learning_rate": 0.03, "max_bin": 127, "num_threads": threads, "min_data_in_leaf": 5,
        "min_data_per_group": 10, "cat_smooth": 5, "feature_fraction_bynode": 0.3, "force_row_wise": True,
    }  # fmt: skip
    data = lgb.Dataset(x, np.zeros(len(x)), categorical_feature=list(CATEGORICAL), params=params).construct()
    return [lgb.train(params, data.set_label(_labels(rng, x)), num_boost_round=TREES) for _ in range(TARGETS)]


def _labels(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    score = 0.4 * np.log1p(np.nan_to_num(x[:, ::2])) @ rng.normal(size=COLUMNS // 2)
    for column in CATEGORICAL:
        score += 0.55 * rng.normal(size=max(_CATEGORIES))[np.nan_to_num(x[:, column]).astype(int)]
    score = (score - score.mean()) / score.std()
    return np.asarray(rng.random(len(x)) < 1 / (1 + np.exp(1.5 - 2 * score)), np.float32)


def categorical_share(booster: lgb.Booster) -> float:
    """Return the share of splits that are on categories."""
    trees = read_trees([booster])
    return float(trees.categorical.mean())
