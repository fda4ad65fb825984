"""Small boosters of every kind, and rows at which scorers differ if at all."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

ODD = np.array(
    [np.nan, 0.0, -0.0, 1e-35, -1e-35, 1.1e-35, -1.1e-35, 1e-40, -1e-45, np.inf, -np.inf, 3.4e38, -3.4e38,
     -0.5, -1.0, 2.7, 1e9, 3e9, 2.0**31, -3e9, 2.0**24 + 2],
    np.float32,
)  # fmt: skip
"""Values at which scorers differ if at all."""


def columns(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Six columns: dense, small integers with ties, mostly zero, heavy-tailed, and two of categories."""
    x = np.stack(
        [
            rng.normal(size=n),
            rng.integers(-3, 4, n),
            np.where(rng.random(n) < 0.7, 0, rng.exponential(size=n)),
            rng.standard_cauchy(n) * 1e20,
            rng.integers(0, 12, n),
            rng.integers(0, 90, n) * 1000 % 97,
        ],
        axis=1,
    ).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def train(seed: int, params: dict[str, object], *, rounds: int, rows: int, categories: bool) -> lgb.Booster:
    rng = np.random.default_rng(seed)
    x = columns(rng, rows)
    y = (np.nan_to_num(x[:, 0]) + np.sin(np.nan_to_num(x[:, 4])) + rng.normal(size=rows) > 0.3).astype(float)
    every = {
        "objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed, "min_data_in_leaf": 2,
        "min_data_per_group": 2, "cat_smooth": 1, "min_sum_hessian_in_leaf": 1e-6, **params,
    }  # fmt: skip
    return lgb.train(every, lgb.Dataset(x, y, categorical_feature=[4, 5] if categories else []), rounds)


def _splits(booster: lgb.Booster) -> list[tuple[int, float]]:
    """Numeric splits of a booster: feature and threshold."""
    found = []
    for tree in booster.dump_model()["tree_info"]:
        left = [tree["tree_structure"]]
        while left:
            node = left.pop()
            if "split_feature" in node:
                left += [node["left_child"], node["right_child"]]
                if node["decision_type"] == "<=":
                    found.append((node["split_feature"], node["threshold"]))
    return found


def asked(seed: int, boosters: list[lgb.Booster], n: int) -> NDArray[np.float32]:
    """Rows with odd values, unseen categories, and values on, just below and just above thresholds."""
    rng = np.random.default_rng(seed + 1)
    x = columns(rng, n)
    x[:, 5] = np.where(rng.random(n) < 0.3, rng.integers(-5, 200, n), x[:, 5])
    splits = [node for booster in boosters for node in _splits(booster)]
    for number in rng.permutation(len(splits))[: x.size // 3]:
        feature, threshold = splits[number]
        with np.errstate(over="ignore"):
            near = np.float32(threshold)
        step = np.float32(rng.choice([-np.inf, np.inf]))
        x[rng.integers(n), feature] = near if rng.random() < 0.4 else np.nextafter(near, step)
    odd = rng.random(x.shape) < 0.15
    x[odd] = rng.choice(ODD, odd.sum())
    return x


def expected(boosters: list[lgb.Booster], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.stack([b.predict(rows, raw_score=True, num_threads=1) for b in boosters], axis=1)


PARAMS = st.fixed_dictionaries(
    {
        "num_leaves": st.sampled_from([2, 5, 31, 32, 33, 64, 65, 150]),
        "max_bin": st.sampled_from([3, 63, 255, 2000]),
        "use_missing": st.booleans(),
        "zero_as_missing": st.booleans(),
        "min_gain_to_split": st.sampled_from([0.0, 0.0, 3.0, 1e9]),
        "max_cat_to_onehot": st.sampled_from([1, 4, 100]),
    }
)
