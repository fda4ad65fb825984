"""Affinities against their formulas written out, and as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from features.definitions import Aggregate
from features.errors import FeatureError
from features.rows.derived import Derived
from features.rows.fitted import Affinities, fit_affinities
from features.rows.layout import RowLayout, Rows
from features.scopes import Scopes

BASIS = Aggregate(("purchase",), "decayed", half_life=90)
PRICE = Derived("price", tuple(Aggregate(("purchase",), "sum", of=of) for of in ("amount", "quantity")))
LAYOUT = RowLayout(
    person_features=(Aggregate(("purchase",)),),
    scope_features=(BASIS, PRICE),
    scopes=Scopes.of({"tea": ["t"], "milk": ["m"], "soap": ["s"], "never": ["n"], "all": ["*"]}),
    parents=(4, 4, 4, 4, -1),
    tags=(),
)


def rows_of(counts: np.ndarray, prices: np.ndarray | None = None) -> Rows:
    rows = np.full((len(counts), LAYOUT.width), np.nan, np.float32)
    LAYOUT.scope(rows)[..., 0] = np.c_[counts, counts.sum(axis=1)] * 2**16
    if prices is not None:
        LAYOUT.scope(rows)[..., 1] = prices
    return rows


def people(n: int = 200) -> np.ndarray:
    counts = np.random.default_rng(7).poisson(1.5, (n, 4)).astype(float)
    counts[:, 3] = 0
    return counts


BROAD_PLACE, ITEM, PRICE = (
    Affinities.NAMES.index(name) for name in ("svd_affinity_broad", "item_affinity", "scope_price_level")
)


def test_item_affinity_is_the_cosine_of_the_columns_without_the_diagonal() -> None:
    counts = people()
    x = np.log1p(counts[:, :3])
    unit = x / np.linalg.norm(x, axis=0)
    cosine = unit.T @ unit - np.eye(3)
    found = fit_affinities(LAYOUT, rows_of(counts)).apply(LAYOUT, rows_of(counts[:5]))
    np.testing.assert_allclose(found[:, :3, ITEM], (x @ cosine)[:5], rtol=1e-5)
    np.testing.assert_array_equal(found[:, 3, ITEM], 0)
    assert np.isnan(found[:, 4, : ITEM + 1]).all(), "a parent counts its children's purchases and gets no affinity"


def test_svd_affinity_is_the_best_approximation_of_its_rank() -> None:
    counts = people()
    x = np.log1p(counts[:, :3])
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    affinities = fit_affinities(LAYOUT, rows_of(counts), k=2)
    assert affinities.factors.shape == (5, 2)
    found = affinities.apply(LAYOUT, rows_of(counts))
    np.testing.assert_allclose(found[:, :3, 0], u[:, :2] * s[:2] @ vt[:2], rtol=1e-4, atol=1e-5)


def test_broad_affinity_keeps_the_strongest_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.rows.fitted.BROAD", 1)
    counts = people()
    x = np.log1p(counts[:, :3])
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    found = fit_affinities(LAYOUT, rows_of(counts)).apply(LAYOUT, rows_of(counts))
    expected = u[:, :1] * s[:1] @ vt[:1]
    np.testing.assert_allclose(found[:, :3, BROAD_PLACE], expected, rtol=1e-4, atol=1e-5)


def test_full_rank_gives_the_purchases_back() -> None:
    counts = people()
    found = fit_affinities(LAYOUT, rows_of(counts)).apply(LAYOUT, rows_of(counts))
    np.testing.assert_allclose(found[:, :4, 0], np.log1p(counts), rtol=1e-5, atol=1e-6)


def test_price_level_is_relative_to_the_median_buyer() -> None:
    prices = np.full((4, 5), np.nan)
    prices[:, 0] = [100, 200, 400, np.nan]
    affinities = fit_affinities(LAYOUT, rows_of(np.zeros((4, 4)), prices))
    np.testing.assert_array_equal(affinities.median_prices, [200, *[np.nan] * 4])
    level = affinities.apply(LAYOUT, rows_of(np.zeros((4, 4)), prices))[..., PRICE]
    np.testing.assert_array_equal(level[:, 0], [0.5, 1, 2, np.nan])
    assert np.isnan(level[:, 1:]).all()


def test_arrays_carry_everything_and_fitting_is_deterministic() -> None:
    rows = rows_of(people())
    first, again = fit_affinities(LAYOUT, rows), fit_affinities(LAYOUT, rows.copy())
    assert {k: v.tobytes() for k, v in first.to_arrays().items()} == {
        k: v.tobytes() for k, v in again.to_arrays().items()
    }
    loaded = Affinities.from_arrays(first.to_arrays())
    np.testing.assert_array_equal(loaded.apply(LAYOUT, rows), first.apply(LAYOUT, rows))
    assert (first.factors[np.abs(first.factors).argmax(axis=0), np.arange(first.factors.shape[1])] > 0).all()


def test_nobody_bought_yet() -> None:
    nothing = rows_of(np.zeros((3, 4)))
    found = fit_affinities(LAYOUT, nothing).apply(LAYOUT, nothing)
    np.testing.assert_array_equal(found[:, :4, : ITEM + 1], 0)
    assert fit_affinities(LAYOUT, nothing[:0]).apply(LAYOUT, nothing[:0]).shape == (0, 5, 4)


def test_errors_say_what_is_missing() -> None:
    bare = RowLayout((), (Aggregate(("purchase",)),), LAYOUT.scopes, LAYOUT.parents, ())
    with pytest.raises(FeatureError, match="scope feature of the layout: 'purchase_decayed90_all'"):
        fit_affinities(bare, np.zeros((1, bare.width), np.float32))
    with pytest.raises(FeatureError, match="lack an array: 'median_prices'"):
        Affinities.from_arrays({"factors": np.zeros(1), "cosines": np.zeros(1)})


def extended(counts: np.ndarray, new: np.ndarray) -> tuple[RowLayout, Rows]:
    """Rows with one more scope, `new` purchases in it."""
    layout = LAYOUT.extended(Scopes.of({"drinks": ["t", "m"]}), (4,), ())
    rows = np.concatenate([rows_of(counts), np.full((len(counts), 2), np.nan, np.float32)], axis=1)
    rows[:, layout.scope_columns[5, 0]] = new * 2**16
    return layout, rows


def test_a_scope_that_is_folded_in_has_the_factors_that_it_would_have_had() -> None:
    counts = people()
    fitted = fit_affinities(LAYOUT, rows_of(counts))
    layout, rows = extended(counts, counts[:, 2])
    folded = fitted.fold_in(layout, rows)
    np.testing.assert_allclose(folded.factors[5], fitted.factors[2], atol=1e-9)
    basis = np.log1p(counts)
    expected = basis[:, 2] @ basis[:, 2] / np.linalg.norm(basis[:, 2]) ** 2
    assert folded.cosines[2, 5] == pytest.approx(expected)
    assert folded.cosines[:2, 5].tolist() == [0, 0], "they share a category"
    assert folded.cosines[4, 5] == 0, "a parent teaches nothing"


def test_folding_in_changes_no_bit_of_the_other_scopes() -> None:
    counts = people(64)
    fitted = fit_affinities(LAYOUT, rows_of(counts))
    layout, rows = extended(counts, counts[:, 0] + counts[:, 1])
    folded = fitted.fold_in(layout, rows)
    before, after = fitted.apply(LAYOUT, rows_of(counts)), folded.apply(layout, rows)
    assert after[:, :5].tobytes() == before.tobytes()
    assert np.isfinite(after[:, 5, :3]).all()
    taken = folded.without([5])
    for name, array in fitted.to_arrays().items():
        np.testing.assert_array_equal(taken.to_arrays()[name], array)
