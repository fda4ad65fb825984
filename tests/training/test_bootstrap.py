from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from features.errors import TrainingError
from training.quality.bootstrap import paired_bootstrap, weighted_ranking
from training.quality.metrics import macro_metrics


def example(seed: int, people: int = 60, tags: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((people, tags))
    labels = (rng.random((people, tags)) < truth * 0.4).astype(np.uint8)
    # Few distinct values, so that there are ties.
    good = np.clip(np.round(truth * 0.4 + rng.normal(0, 0.05, truth.shape), 1), 0.05, 0.95)
    return labels, good, np.round(rng.uniform(0.05, 0.95, truth.shape), 1)


def naive(
    labels: np.ndarray, a: np.ndarray, b: np.ndarray, resamples: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """Draw people, copy their rows, measure both models from scratch."""
    rng = np.random.default_rng(seed)
    names = ("macro_auc", "macro_ap", "log_loss")

    def measure(rows: np.ndarray) -> list[float]:
        ours, theirs = macro_metrics(labels[rows], a[rows]), macro_metrics(labels[rows], b[rows])
        return [getattr(ours, name) - getattr(theirs, name) for name in names]

    whole = measure(np.arange(len(labels)))
    drawn = np.array([measure(rng.integers(len(labels), size=len(labels))) for _ in range(resamples)])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {name: (whole[i], low[i], high[i]) for i, name in enumerate(names)}


def test_the_same_as_measuring_every_copied_draw_from_scratch() -> None:
    labels, a, b = example(1)
    found, expected = paired_bootstrap(labels, a, b, resamples=30, seed=5), naive(labels, a, b, 30, 5)
    assert found.keys() == expected.keys()
    for name, figures in expected.items():
        assert found[name] == pytest.approx(figures, abs=1e-12)


def test_blocks_of_draws_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, a, b = example(2)
    whole = paired_bootstrap(labels, a, b, resamples=20, seed=3)
    monkeypatch.setattr("training.quality.bootstrap._WEIGHTS_AT_ONCE", 180)
    for name, figures in paired_bootstrap(labels, a, b, resamples=20, seed=3).items():
        assert figures == pytest.approx(whole[name])
    assert paired_bootstrap(labels, a, b, resamples=20, seed=4)["macro_auc"].low != whole["macro_auc"].low


def test_a_model_beside_itself_differs_by_nothing() -> None:
    labels, a, _ = example(3)
    assert all(figures == (0, 0, 0) for figures in paired_bootstrap(labels, a, a, resamples=20, seed=1).values())


def test_tags_with_one_class_count_in_the_log_loss_only() -> None:
    labels, a, b = example(4)
    labels[:, 0] = 0
    found = paired_bootstrap(labels, a, b, resamples=10, seed=1)
    rest = paired_bootstrap(labels[:, 1:], a[:, 1:], b[:, 1:], resamples=10, seed=1)
    assert found["macro_auc"] == rest["macro_auc"]
    assert found["log_loss"] != rest["log_loss"]
    nothing = paired_bootstrap(np.zeros_like(labels), a, b, resamples=10, seed=1)
    assert all(math.isnan(figure) for figure in nothing["macro_ap"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30),
)
def test_weighted_ranking_is_scikit_learns(rows: list[tuple[int, int, int]]) -> None:
    y, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    auc, ap = weighted_ranking(y.astype(np.uint8), scores / 4, weights[:, None].astype(np.int32))
    kept = weights > 0
    if len(set(y[kept])) < 2:
        assert np.isnan([auc[0], ap[0]]).all()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert auc[0] == pytest.approx(roc_auc_score(y, scores, sample_weight=weights))
        assert ap[0] == pytest.approx(average_precision_score(y, scores, sample_weight=weights))


def test_tables_of_other_shapes_are_refused() -> None:
    labels, a, b = example(5)
    with pytest.raises(TrainingError, match="same people and tags"):
        paired_bootstrap(labels, a, b[:, 1:], seed=1)
