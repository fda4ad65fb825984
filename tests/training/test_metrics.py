from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss

from training.quality.metrics import (
    expected_calibration_error,
    lift_top_decile,
    log_loss,
    macro_metrics,
    normalised_entropy,
    tag_metrics,
)

pairs = st.lists(st.tuples(st.integers(0, 1), st.floats(0.001, 0.999)), min_size=4, max_size=60)


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_log_loss_is_scikit_learns(rows: list[tuple[int, float]]) -> None:
    y = np.array([r[0] for r in rows], np.uint8)
    p = np.array([r[1] for r in rows])
    assert log_loss(y, p) == pytest.approx(sklearn_log_loss(y, p, labels=[0, 1]))


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_auc_is_the_share_of_ordered_pairs(rows: list[tuple[int, float]]) -> None:
    y = np.array([r[0] for r in rows], np.uint8)
    p = np.array([r[1] for r in rows])
    metrics = tag_metrics(y, p)
    wins = [(a > b) + (a == b) / 2 for a in p[y == 1] for b in p[y == 0]]
    if wins:
        assert metrics.auc == pytest.approx(sum(wins) / len(wins))
    else:
        assert math.isnan(metrics.auc)


def test_calibration_error_by_hand() -> None:
    y = np.array([0, 0, 1, 1], np.uint8)
    p = np.array([0.1, 0.3, 0.6, 0.8])
    assert expected_calibration_error(y, p, bins=2) == pytest.approx((0.2 * 2 + 0.3 * 2) / 4)


def test_base_rate_has_normalised_entropy_one_and_lift_one() -> None:
    y = np.array([1, 0, 0, 0] * 25, np.uint8)
    assert normalised_entropy(y, np.full(100, 0.25)) == pytest.approx(1.0)
    assert lift_top_decile(y, y.astype(float)) == pytest.approx(4.0)


def test_macro_of_nothing_but_one_class_is_unknown() -> None:
    macro = macro_metrics(np.zeros((3, 2), np.uint8), np.full((3, 2), 0.1))
    assert math.isnan(macro.macro_auc)
    assert math.isnan(macro.macro_lift_top_decile)
    assert macro.log_loss == pytest.approx(-math.log(0.9))


def test_macro_leaves_out_tags_with_one_class() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.1], [0.7, 0.1]])
    macro = macro_metrics(labels, probabilities)
    assert macro.macro_auc == 1.0
    assert macro.tags == 2
    assert macro.log_loss == pytest.approx(log_loss(labels.ravel(), probabilities.ravel()))
