from __future__ import annotations

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest

from features.rows.fitted import BASIS, Affinities
from serving.words.factors import Vocabulary, in_words
from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path
from training.quality.calibration import Platt
from training.tags.bundle import load_bundle
from training.tags.explain import Explanation, explain
from training.tags.model import TagModel
from training.tags.statics import STATIC_NAMES


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TagModel:
    """A model whose first tag is blended, second scored by its head alone, third by the pooled model alone."""
    trained = load_bundle(champion_path(tiny_home(tmp_path_factory.mktemp("home")))).model
    rng = np.random.default_rng(2)
    matrix = np.floor(rng.exponential(3.0, (300, len(trained.layout.head_columns)))).astype(np.float32)
    labels = (matrix[:, 0] + matrix[:, -1] + rng.normal(0, 2, 300) > 5).astype(np.float32)
    params = {"objective": "binary", "num_leaves": 4, "num_threads": 1, "verbosity": -1}
    booster = lgb.train(params, lgb.Dataset(matrix, labels), num_boost_round=10)
    return replace(
        trained, heads={0: booster, 1: booster}, head_share=np.array([0.35, 1.0, 0.0]), platt=Platt(0.8, -0.4)
    )


def rows(model: TagModel) -> np.ndarray:
    rng = np.random.default_rng(3)
    made = np.floor(rng.exponential(3.0, (4, model.layout.width))).astype(np.float32)
    missing = rng.random(made.shape) < 0.2
    # Never missing in people's rows: without it there are no affinities at all.
    model.layout.scope(missing)[..., model.layout.scope_names.index(BASIS)] = False
    made[missing] = np.nan
    made[-1] = np.nan
    return made


def test_bias_and_factors_add_up_to_the_calibrated_log_odds(model: TagModel) -> None:
    tags = range(len(model.taxonomy.tags))
    for row in rows(model):
        probabilities = model.predict(row[None])[0]
        explained = explain(model, row, tags)
        expected = np.log(probabilities) - np.log1p(-probabilities)
        assert [explanation.logit for explanation in explained] == pytest.approx(expected, abs=1e-9)


def test_clipped_logits_add_up_too(model: TagModel) -> None:
    row = rows(model)[0]
    steep = replace(model, negative_share=1e-9, platt=Platt(1.0, 0.0), head_share=np.zeros(3))
    probability = steep.predict(row[None])[0, 2]
    assert explain(steep, row, [2])[0].logit == pytest.approx(np.log(probability / (1 - probability)))


def test_members_are_weighed_and_a_column_of_both_is_one_factor(model: TagModel) -> None:
    row = rows(model)[0]
    blended, head_alone = explain(model, row, [0, 1])
    columns = [model.layout.columns[column] for column in model.layout.head_columns]
    shap = model.heads[0].predict(row[None, model.layout.head_columns], pred_contrib=True)[0]
    of_head = {name: effect for name, effect in zip(columns, shap[:-1], strict=True) if effect}
    assert {f.feature: f.effect for f in head_alone.factors} == pytest.approx(
        {name: 0.8 * effect for name, effect in of_head.items()}
    )
    pair = model.view.gather(row[None], model.fitted, np.zeros(1, np.int64), np.zeros(1, np.int64))
    shap = model.pooled.predict(pair, pred_contrib=True)[0]
    of_pooled: dict[str, float] = {}
    for feature, effect in enumerate(shap[:-1]):
        # A scope without a parent stands for its own parent, so that a column can be there twice.
        name = model.view.concrete_name(feature, 0)
        of_pooled[name] = of_pooled.get(name, 0.0) + effect
    expected = {
        name: 0.8 * (0.65 * of_pooled.get(name, 0.0) + 0.35 * of_head.get(name, 0.0))
        for name in {*of_pooled, *of_head} - set(STATIC_NAMES)
    }
    found = {f.feature: f.effect for f in blended.factors}
    assert len(found) == len(blended.factors)
    effects = {name: effect for name, effect in expected.items() if effect}
    assert found.keys() == effects.keys()
    assert found == pytest.approx(effects)


def test_values_are_those_of_the_row(model: TagModel) -> None:
    row = rows(model)[1]
    at = {name: row[column] for column, name in enumerate(model.layout.columns)}
    for explanation in explain(model, row, [0, 1, 2]):
        for factor in explanation.factors:
            if factor.feature in at:
                assert factor.value == pytest.approx(float(at[factor.feature]), nan_ok=True)


def test_nothing_that_is_the_same_for_everybody_is_a_reason(model: TagModel) -> None:
    row = np.full(model.layout.width, np.nan, np.float32)
    for factors in model.explain(row, [0, 2], most=100):
        assert not [f for f in factors if f.feature in STATIC_NAMES]
        assert not [f for f in factors if f.feature.split("@")[0] in Affinities.NAMES and np.isnan(f.value)]
    assert model.explain(row, []) == []


def test_the_strongest_come_first_and_all_have_words(model: TagModel) -> None:
    row = rows(model)[0]
    names = Vocabulary.of(model.taxonomy)
    for explanation, factors in zip(explain(model, row, [0, 1]), model.explain(row, [0, 1], most=3), strict=True):
        sizes = sorted((abs(f.effect) for f in explanation.factors), reverse=True)
        assert [abs(f.effect) for f in factors] == sizes[:3]
        for factor in explanation.factors:
            assert "_" not in in_words(factor.feature, factor.value, names)
            assert "_" not in in_words(factor.feature, factor.value, names, "zh")


def test_a_model_without_trees_has_no_reasons() -> None:
    assert Explanation(-1.5, ()).strongest(5) == []
