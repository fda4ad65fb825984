from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path
from training.tags.bundle import load_bundle
from training.tags.model import TagModel
from training.tags.pairs import Window
from training.tags.pooled import PooledSettings, fit_pooled, negative_share, pooled_logits, sample_pairs

SETTINGS = PooledSettings(trees=6, leaves=4, min_data_in_leaf=5)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TagModel:
    return load_bundle(champion_path(tiny_home(tmp_path_factory.mktemp("home")))).model


def window(model: TagModel, people: int = 300, rate: float = 0.1, seed: int = 4) -> Window:
    rng = np.random.default_rng(seed)
    rows = np.floor(rng.exponential(3.0, (people, model.layout.width))).astype(np.float32)
    outcomes = (rng.random((people, len(model.taxonomy.tags))) < rate).astype(np.uint8)
    return Window(0, [""] * people, rows, outcomes, model.fitted)


def test_all_positives_of_active_tags_are_kept_and_a_share_of_the_rest() -> None:
    labels = (np.random.default_rng(1).random((4000, 3)) < 0.2).astype(np.uint8)
    active = np.array([True, False, True])
    people, tags = sample_pairs(labels, active, 0.25, np.random.default_rng(2))
    kept = labels[people, tags]
    assert set(tags) == {0, 2}
    assert kept.sum() == labels[:, active].sum()
    negatives = (labels[:, active] == 0).sum()
    assert (kept == 0).sum() == pytest.approx(0.25 * negatives, rel=0.1)


def test_fewer_negatives_are_kept_where_the_pairs_would_be_too_many(model: TagModel) -> None:
    one = window(model)
    active = np.ones(len(model.taxonomy.tags), bool)
    assert negative_share([one], active, SETTINGS) == SETTINGS.negative_share
    positives, pairs = int(one.outcomes.sum()), one.outcomes.size
    bound = positives + (pairs - positives) // 10
    share = negative_share([one], active, replace(SETTINGS, most_pairs=bound))
    assert share == pytest.approx(0.1, abs=0.01)
    assert negative_share([one], active, replace(SETTINGS, most_pairs=1)) == 0.01


def test_the_cost_grows_with_positives_where_they_are_rare(model: TagModel) -> None:
    one = window(model, people=2_000, rate=0.01)
    active = np.ones(len(model.taxonomy.tags), bool)
    share = negative_share([one], active, SETTINGS)
    positives = int(one.outcomes.sum())
    assert share * (one.outcomes.size - positives) == pytest.approx(SETTINGS.negatives * positives)


def test_the_logits_are_corrected_for_the_share_that_was_kept(model: TagModel) -> None:
    one = window(model, people=2000)
    active = np.ones(len(model.taxonomy.tags), bool)
    for most in (10**9, 2000):
        booster, share = fit_pooled(
            model.view, [one], active, replace(SETTINGS, most_pairs=most), seed=1, threads=1
        )
        logits = pooled_logits(booster, model.view, one.rows, one.fitted, share)
        assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(0.1, abs=0.02)


def test_blocks_of_pairs_do_not_change_the_model(model: TagModel, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = [window(model, seed=seed) for seed in (5, 6)]
    active = np.ones(len(model.taxonomy.tags), bool)
    whole, _ = fit_pooled(model.view, windows, active, SETTINGS, seed=3, threads=1)
    monkeypatch.setattr("training.tags.pooled.GATHER_PAIRS", 17)
    parts, _ = fit_pooled(model.view, windows, active, SETTINGS, seed=3, threads=1)
    assert parts.model_to_string() == whole.model_to_string()
