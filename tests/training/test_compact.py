"""The compact scorer against LightGBM: the same bits, whatever the trees and the rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BundleError
from tests.training.small_trees import PARAMS, asked, columns, expected, train
from training.compact.forest import FEW_ROWS, CompactForest
from training.compact.lanes import LANES


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.lists(PARAMS, min_size=1, max_size=3), st.booleans(), st.integers(60, 900))
def test_every_bit_is_lightgbms(seed: int, kinds: list[dict[str, object]], categories: bool, rows: int) -> None:
    boosters = [train(seed + n, p, rounds=4, rows=rows, categories=categories) for n, p in enumerate(kinds)]
    forest = CompactForest.from_boosters(boosters, 6)
    x = asked(seed, boosters, LANES + FEW_ROWS + 20)
    want = expected(boosters, x)
    np.testing.assert_array_equal(forest.raw(x), want)
    np.testing.assert_array_equal(np.concatenate([forest.raw(row[None]) for row in x]), want)


def test_trees_of_one_leaf_and_boosters_of_no_tree_are_constants() -> None:
    x = columns(np.random.default_rng(0), 200)
    y = (np.arange(200) % 3 == 0).astype(float)
    params = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 500}
    boosters = [lgb.train(params, lgb.Dataset(x, y), 2), lgb.train(params, lgb.Dataset(x, 1 - y), 1)]
    empty = lgb.Booster(model_str=boosters[0].model_to_string(num_iteration=1, start_iteration=1))
    assert [b.num_trees() for b in boosters] == [1, 1]
    forest = CompactForest.from_boosters([*boosters, empty], 6)
    np.testing.assert_array_equal(forest.raw(x), expected([*boosters, empty], x))


def test_trees_end_at_the_best_iteration() -> None:
    booster = train(3, {"num_leaves": 7}, rounds=9, rows=300, categories=False)
    booster.best_iteration = 4
    x = asked(3, [booster], 30)
    got = CompactForest.from_boosters([booster], 6).raw(x)
    np.testing.assert_array_equal(got, expected([booster], x))
    assert not np.array_equal(got[:, 0], booster.predict(x, raw_score=True, num_iteration=9))


def test_trees_too_large_for_blocks_are_scored_row_by_row() -> None:
    booster = train(5, {"num_leaves": 400, "max_bin": 1000}, rounds=2, rows=3000, categories=True)
    forest = CompactForest.from_boosters([booster], 6)
    x = asked(5, [booster], 150)
    assert not forest.blocks
    assert forest.columns.first.max() > 254
    np.testing.assert_array_equal(forest.raw(x), expected([booster], x))


def test_threads_share_a_forest() -> None:
    boosters = [train(n, {"num_leaves": 31}, rounds=10, rows=500, categories=True) for n in range(3)]
    forest = CompactForest.from_boosters(boosters, 6)
    parts = [asked(n, boosters, 1 + 37 * n) for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for part, got in zip(parts * 10, pool.map(forest.raw, parts * 10), strict=True):
            np.testing.assert_array_equal(got, expected(boosters, part))
    rows = np.concatenate(parts)
    for threads in (2, 3, 50):
        np.testing.assert_array_equal(forest.raw(rows, threads=threads), expected(boosters, rows))


def test_rows_may_lie_anyhow() -> None:
    booster = train(1, {"num_leaves": 9}, rounds=3, rows=300, categories=False)
    forest = CompactForest.from_boosters([booster], 6)
    x = asked(1, [booster], 100)
    want = expected([booster], x)
    read_only = x.copy()
    read_only.flags.writeable = False
    for rows in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], read_only):
        np.testing.assert_array_equal(forest.raw(rows), want)
    assert forest.raw(x[:0]).shape == (0, 1)


def test_rows_of_another_kind_are_refused() -> None:
    forest = CompactForest.from_boosters([], 6)
    assert forest.raw(np.zeros((3, 6), np.float32)).shape == (3, 0)
    for rows in (np.zeros((3, 6)), np.zeros((3, 5), np.float32), np.zeros(6, np.float32)):
        with pytest.raises(BundleError, match=r"another kind .* valid: float32 \[n, 6\]"):
            forest.raw(rows)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"objective": "regression", "linear_tree": True}, "linear leaves"),
        ({"objective": "multiclass", "num_class": 3}, "several outputs"),
        ({"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averaged trees"),
    ],
)
def test_boosters_of_other_kinds_are_refused(params: dict[str, object], problem: str) -> None:
    x = np.nan_to_num(columns(np.random.default_rng(0), 300)).astype(np.float64)
    y = (np.arange(300) % 2).astype(float)
    booster = lgb.train({"verbosity": -1, **params}, lgb.Dataset(x[:, :3], y + (x[:, 0] > 0) * (y == 0)), 3)
    with pytest.raises(BundleError, match=f"cannot read a booster of this kind: '{problem}'"):
        CompactForest.from_boosters([booster], 3)


def test_a_booster_of_other_columns_is_refused() -> None:
    booster = train(1, {"num_leaves": 4}, rounds=1, rows=100, categories=False)
    with pytest.raises(BundleError, match="another number of columns: 6; valid: 7"):
        CompactForest.from_boosters([booster], 7)
