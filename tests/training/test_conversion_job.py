"""Conversion models are learned from a log, and measured on what came later."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from features.days import DAY_SECONDS, day_text
from features.errors import LogTooShortError, TrainingError
from features.settings import Settings
from features.world.importing import import_world
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.writer import write_world
from serving.cli.main import build_app
from training.conversion.boosting import BoosterSettings
from training.conversion.bundle import load_conversion_bundle
from training.conversion.evaluation import OURS, ConversionEvaluation
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices, ConversionJob, match_of, strategy_of
from training.conversion.quality import People, quality
from training.conversion.sampling import Shares, hash_share, thinned
from training.steps import Steps

WORLD = WorldSettings(people=300, days=20, seed=3, campaigns=4)
AS_OF = WORLD.begin + 13 * DAY_SECONDS
SMALL = FitSettings(booster=BoosterSettings(trees=15, leaves=7, learning_rate=0.2))
CHOICES = ConversionChoices(fit=SMALL, window_days=3, most_examples=5_000)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("conversion")
    write_world(WORLD, BroadPolicy(), folder / "world")
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
    import_world(settings, folder / "world")
    return settings


def job(home: Settings, as_of: int = AS_OF, choices: ConversionChoices = CHOICES) -> ConversionJob:
    return ConversionJob(home, as_of, choices, Steps())


@pytest.fixture(scope="module")
def trained(home: Settings) -> tuple[ConversionJob, Path, ConversionEvaluation]:
    made = job(home)
    bundle = made.train()
    return made, bundle, made.evaluate(bundle, days=2)


def test_the_sample_stands_for_the_log_and_knows_nothing_later(
    trained: tuple[ConversionJob, Path, ConversionEvaluation],
) -> None:
    made, _, _ = trained
    examples = made.sample.examples
    events = made.source.log.events.filter(
        f"kind = 'impression' and event_time >= {made.start} and event_time < {AS_OF}"
    )
    (many,) = events.aggregate("count(*)").fetchall()[0]
    assert len(examples) < 0.7 * many
    # A few people withhold consent.
    assert 0.93 * many < examples.weight.sum() < 1.02 * many
    assert examples.known_at.max() <= AS_OF
    assert WORLD.begin + 4 * DAY_SECONDS <= made.start <= WORLD.begin + 5 * DAY_SECONDS
    further = (examples.known_at[:, 2:] > 0).any(axis=1)
    assert (examples.weight[further] == 1).all()


def test_later_impressions_are_told_apart_and_the_sums_are_near(
    trained: tuple[ConversionJob, Path, ConversionEvaluation],
) -> None:
    _, bundle, found = trained
    model = load_conversion_bundle(bundle).model
    assert {"click", "true_interest"} <= set(model.targets) == set(found.quality)
    clicks = found.quality["click"]
    assert set(clicks) == {OURS, "base_rate", "logistic_regression", "click_only"}
    assert clicks[OURS].auc > 0.55
    assert clicks[OURS].total.low < 1.2
    assert clicks[OURS].total.high > 0.8
    assert clicks["base_rate"].auc == 0.5
    assert found.beaten_by["click"]["base_rate"].high < 0
    assert {part.dimension for part in found.slices} >= {"note", "delivery", "person", "platform"}
    assert found.start == AS_OF
    assert found.end <= AS_OF + 2 * DAY_SECONDS


def test_a_second_run_is_reused(home: Settings, trained: tuple[ConversionJob, Path, ConversionEvaluation]) -> None:
    _, bundle, found = trained
    again = job(home)
    assert again.train() == bundle
    assert again.evaluate(bundle, days=2).as_dict() == found.as_dict()
    assert "sample" not in vars(again)


def test_what_cannot_be_is_refused(
    home: Settings, trained: tuple[ConversionJob, Path, ConversionEvaluation]
) -> None:
    _, bundle, _ = trained
    late = job(home, WORLD.end - DAY_SECONDS)
    with pytest.raises(LogTooShortError, match="no window of 3 days from the as-of date on is over"):
        late.test(bundle, days=4, most=1_000)
    with pytest.raises(TrainingError, match="unknown strategy for immature impressions: 'wait'; valid: corrected"):
        strategy_of("wait")
    with pytest.raises(TrainingError, match="unknown way to match purchases with impressions: 'shop'; valid: note"):
        match_of("shop")


def test_the_verbs_register_and_measure(
    home: Settings,
    trained: tuple[ConversionJob, Path, ConversionEvaluation],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))
    monkeypatch.setenv("ZHONGCAO_MLRUNS", str(home.mlruns))
    monkeypatch.setattr("training.conversion.fit.FitSettings", lambda **given: replace(SMALL, **given))
    day = day_text(AS_OF, "UTC")
    options = ["--as-of", day, "--window-days", "3", "--most", "5000"]
    said = CliRunner().invoke(build_app(), ["train", "conversion", *options], catch_exceptions=False)
    assert said.exit_code == 0
    assert f"bundle {trained[1]}" in said.output
    assert "next: zhongcao fill" in said.output
    assert home.conversion_champion_file.exists()
    figures = tmp_path / "figures.json"
    measure = ["evaluate", "conversion", *options, "--days", "2", "--json", str(figures)]
    said = CliRunner().invoke(build_app(), measure, catch_exceptions=False)
    assert said.exit_code == 0
    document = json.loads(figures.read_text(encoding="utf-8"))
    assert document == {"bundle": trained[1].name, **trained[2].as_dict()}
    page = (home.home / "conversion.html").read_text(encoding="utf-8")
    assert "click within 3 days" in page
    assert "logistic regression" in page


def test_impressions_are_chosen_by_hash_and_weigh_what_they_stand_for() -> None:
    ids = pa.chunked_array([[f"e{n}" for n in range(20_000)]])
    share = hash_share(ids, 7)
    assert abs(share.mean() - 0.5) < 0.01
    assert (share == hash_share(ids, 7)).all()
    assert abs(np.corrcoef(share, hash_share(ids, 8))[0, 1]) < 0.05
    clicked, further = np.arange(20_000) < 5_000, np.arange(20_000) < 100
    kept, weight = thinned(ids, clicked, further, Shares(0.5, 0.1), 7)
    assert (kept[:100] == np.arange(100)).all()
    assert (weight[:100] == 1).all()
    assert weight.sum() == pytest.approx(20_000, rel=0.05)


def test_intervals_hold_the_ratio_and_groups_are_ordered() -> None:
    rng = np.random.default_rng(4)
    p = rng.beta(1, 9, 6_000)
    labels = (rng.random(6_000) < p).astype(np.uint8)
    found = quality(labels, p, People(rng.integers(0, 900, 6_000), 1))
    assert found.total.low < 1 < found.total.high
    assert found.total.value == pytest.approx(p.sum() / labels.sum())
    assert [predicted for predicted, _ in found.shares] == sorted(predicted for predicted, _ in found.shares)
    assert sum(ratio.low <= 1 <= ratio.high for ratio in found.deciles) >= 8
    assert 0 < found.auc < 1
