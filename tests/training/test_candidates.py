"""Candidates of one person against LightGBM: the same bits, whatever is the same in all rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import BundleError
from tests.training.small_trees import ODD, PARAMS, asked, columns, expected, train
from training.compact.candidates import FEW_ROWS, CandidateForest
from training.compact.lanes import BLOCKS, LANES
from training.compact.walk import prune, same_columns

MANY = 70
"""Rows of two blocks."""


def candidates(seed: int, boosters: list[lgb.Booster], n: int, fixed: list[int]) -> NDArray[np.float32]:
    x = asked(seed, boosters, n)
    x[:, fixed] = x[0, fixed]
    return x


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.lists(PARAMS, min_size=1, max_size=3),
    st.booleans(),
    st.integers(60, 900),
    st.sets(st.integers(0, 5)),
)
def test_every_bit_is_lightgbms(
    seed: int, kinds: list[dict[str, object]], categories: bool, rows: int, fixed: set[int]
) -> None:
    boosters = [train(seed + n, p, rounds=4, rows=rows, categories=categories) for n, p in enumerate(kinds)]
    forest = CandidateForest.from_boosters(boosters, 6)
    x = candidates(seed, boosters, MANY, sorted(fixed))
    want = expected(boosters, x)
    np.testing.assert_array_equal(forest.raw(x), want)
    np.testing.assert_array_equal(forest.raw(x[:FEW_ROWS]), want[:FEW_ROWS])


@settings(max_examples=15)
@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from([*ODD.tolist(), *range(-3, 100), 1e6, 2147483520.0]), min_size=MANY, max_size=MANY),
)
def test_odd_missing_negative_and_unseen_categories(seed: int, values: list[float]) -> None:
    params: dict[str, object] = {"num_leaves": 40, "max_cat_to_onehot": 1 + 60 * (seed % 2)}
    boosters = [train(seed, params, rounds=6, rows=700, categories=True)]
    forest = CandidateForest.from_boosters(boosters, 6)
    x = columns(np.random.default_rng(seed), MANY)
    x[:, 4] = x[:, 5] = values
    want = expected(boosters, x)
    np.testing.assert_array_equal(forest.raw(x), want)
    np.testing.assert_array_equal(forest.raw(x[:FEW_ROWS]), want[:FEW_ROWS])


def test_few_categories_spread_over_many_numbers() -> None:
    rng = np.random.default_rng(3)
    known = np.array([0, 3, 7_000, 50_000, 50_001, 200_000, 999_999], np.float32)
    x = np.stack([rng.choice(known, 800), rng.normal(size=800)], axis=1).astype(np.float32)
    y = (np.isin(x[:, 0], known[[1, 3, 6]]) ^ (x[:, 1] > 0.5)).astype(float)
    params = {
        "objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_per_group": 2, "cat_smooth": 1,
        "max_cat_to_onehot": 1,
    }  # fmt: skip
    booster = lgb.train(params, lgb.Dataset(x, y, categorical_feature=[0]), 5)
    forest = CandidateForest.from_boosters([booster], 2)
    assert len(forest.readings.categories) > 0
    assert len(forest.readings.codes) == 0
    asked_for = np.concatenate([x[:MANY], x[:MANY] + np.array([1, 0], np.float32)])
    want = expected([booster], asked_for)
    np.testing.assert_array_equal(forest.raw(asked_for), want)
    np.testing.assert_array_equal(forest.raw(asked_for[-FEW_ROWS:]), want[-FEW_ROWS:])


def test_what_is_the_same_in_all_rows_is_decided_once() -> None:
    boosters = [train(n, {"num_leaves": 31}, rounds=5, rows=600, categories=True) for n in range(2)]
    forest = CandidateForest.from_boosters(boosters, 6)

    def left(fixed: list[int]) -> int:
        x = candidates(1, boosters, MANY, fixed)
        np.testing.assert_array_equal(forest.raw(x), expected(boosters, x))
        same = same_columns(x)
        assert np.flatnonzero(same).tolist() == fixed
        return int(prune(forest.readings, forest.branches, x[0], same).first[-1])

    sizes = [left(fixed) for fixed in ([], [0], [0, 2, 5], [0, 1, 2, 3, 4, 5])]
    assert sizes[0] == len(forest.branches.nodes)
    assert sizes[3] == 0
    assert sorted(sizes, reverse=True) == sizes


def test_many_rows_with_many_categories() -> None:
    boosters = [train(n, {"num_leaves": 20}, rounds=5, rows=800, categories=True) for n in range(3)]
    forest = CandidateForest.from_boosters(boosters, 6)
    x = asked(4, boosters, BLOCKS * LANES + LANES + 3)
    x[: BLOCKS * LANES, 5] = np.arange(BLOCKS * LANES)
    want = expected(boosters, x)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(forest.raw(x, threads=threads), want)


def test_trees_of_one_leaf_and_boosters_of_no_tree_are_constants() -> None:
    x = columns(np.random.default_rng(0), 200)
    y = (np.arange(200) % 3 == 0).astype(float)
    constant = lgb.train({"objective": "binary", "verbosity": -1, "min_data_in_leaf": 500}, lgb.Dataset(x, y), 2)
    empty = lgb.Booster(model_str=constant.model_to_string(num_iteration=1, start_iteration=1))
    forest = CandidateForest.from_boosters([constant, empty], 6)
    for rows in (x, x[:1], x[:0]):
        np.testing.assert_array_equal(forest.raw(rows), expected([constant, empty], x)[: len(rows)])


def test_large_trees_are_walked_row_by_row() -> None:
    booster = train(5, {"num_leaves": 400, "max_bin": 1000}, rounds=2, rows=3000, categories=True)
    forest = CandidateForest.from_boosters([booster], 6)
    x = asked(5, [booster], 150)
    assert not forest.small
    np.testing.assert_array_equal(forest.raw(x), expected([booster], x))


def test_threads_share_a_forest() -> None:
    boosters = [train(n, {"num_leaves": 31}, rounds=10, rows=500, categories=True) for n in range(3)]
    forest = CandidateForest.from_boosters(boosters, 6)
    parts = [candidates(n, boosters, 1 + 37 * n, [0, n % 6]) for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for part, got in zip(parts * 10, pool.map(forest.raw, parts * 10), strict=True):
            np.testing.assert_array_equal(got, expected(boosters, part))


def test_rows_may_lie_anyhow() -> None:
    booster = train(1, {"num_leaves": 9}, rounds=3, rows=300, categories=True)
    forest = CandidateForest.from_boosters([booster], 6)
    x = asked(1, [booster], 100)
    want = expected([booster], x)
    read_only = x.copy()
    read_only.flags.writeable = False
    for rows in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], read_only):
        np.testing.assert_array_equal(forest.raw(rows), want)


def test_rows_of_another_kind_are_refused() -> None:
    forest = CandidateForest.from_boosters([], 6)
    assert forest.raw(np.zeros((3, 6), np.float32)).shape == (3, 0)
    for rows in (np.zeros((3, 6)), np.zeros((3, 5), np.float32), np.zeros(6, np.float32)):
        with pytest.raises(BundleError, match=r"another kind .* valid: float32 \[n, 6\]"):
            forest.raw(rows)
    booster = train(1, {"num_leaves": 4}, rounds=1, rows=100, categories=False)
    with pytest.raises(BundleError, match="another number of columns: 6; valid: 7"):
        CandidateForest.from_boosters([booster], 7)
