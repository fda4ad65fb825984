from __future__ import annotations

import numpy as np
import pytest

from features.fitted import Affinities
from tests.serving.homes import tiny_home
from training.bundle import load_bundle
from training.champion import champion_path
from training.statics import STATIC_NAMES
from training.tags import TagModel


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TagModel:
    return load_bundle(champion_path(tiny_home(tmp_path_factory.mktemp("home")))).model


def test_factors_are_the_largest_exact_contributions(model: TagModel) -> None:
    row = np.arange(model.layout.width, dtype=np.float32) % 7
    (factors,) = model.explain(row, [1], most=3)
    pair = model.view.gather(row[None], model.fitted, np.zeros(1, np.int64), np.ones(1, np.int64))
    shap = model.pooled.predict(pair, pred_contrib=True)[0]
    assert shap.sum() == pytest.approx(model.pooled.predict(pair, raw_score=True)[0])
    names = [model.view.concrete_name(f, 1) for f in range(len(model.view.names))]
    expected = sorted(
        ((abs(effect), name) for name, effect in zip(names, shap[:-1], strict=True) if name not in STATIC_NAMES),
        reverse=True,
    )
    assert [abs(f.effect) for f in factors] == pytest.approx([effect for effect, _ in expected[: len(factors)]])
    assert all(f.effect != 0 for f in factors)


def test_nothing_that_is_the_same_for_everybody_is_a_reason(model: TagModel) -> None:
    row = np.full(model.layout.width, np.nan, np.float32)
    for factors in model.explain(row, range(len(model.taxonomy.tags)), most=100):
        assert not [f for f in factors if f.feature in STATIC_NAMES]
        assert not [f for f in factors if f.feature.split("@")[0] in Affinities.NAMES and np.isnan(f.value)]
    assert model.explain(row, []) == []
