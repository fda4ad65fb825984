from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from training.triggers.distance import BINS, beyond_chance, ks, psi

SAMPLES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=40).map(np.array)


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES)
def test_ks_is_that_of_scipy(a: np.ndarray, b: np.ndarray) -> None:
    statistic, p = ks(a, b)
    oracle = stats.ks_2samp(a, b, method="asymp")
    assert statistic == pytest.approx(oracle.statistic)
    size = len(a) * len(b) / (len(a) + len(b))
    assert p == pytest.approx(stats.kstwobign.sf(oracle.statistic * size**0.5))
    assert ks(b, a) == pytest.approx((statistic, p))


@settings(max_examples=60, deadline=None)
@given(SAMPLES, SAMPLES)
def test_psi_is_that_of_bins_counted_one_by_one(a: np.ndarray, b: np.ndarray) -> None:
    edges = sorted(set(np.quantile(a, np.linspace(0, 1, BINS + 1)[1:-1]).tolist()))
    bounds = [-np.inf, *edges, np.inf]
    total = 0.0
    for low, high in [*pairwise(bounds), (None, None)]:
        shares = []
        for values in (a, b):
            inside = 0 if low is None else sum(low < value <= high for value in values)
            shares.append((inside + 0.5) / (len(values) + 0.5 * (len(bounds))))
        total += (shares[1] - shares[0]) * np.log(shares[1] / shares[0])
    assert psi(a, b) == pytest.approx(total)
    assert psi(a, a) == 0


def test_missing_values_are_a_bin_of_their_own() -> None:
    full, half = np.ones(100), np.array([1.0, np.nan] * 50)
    assert psi(full, half) > 0.25
    assert psi(np.full(10, np.nan), np.full(10, np.nan)) == 0
    assert ks(full, half)[0] == 0.5


def test_holm_by_hand() -> None:
    assert beyond_chance([0.02, 0.003, 0.004, 0.9]) == [False, False, False, False]
    assert beyond_chance([0.02, 0.002, 0.003, 0.9]) == [False, True, True, False]
    assert beyond_chance([]) == []
