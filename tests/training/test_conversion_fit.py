"""Conversion models find known probabilities, however late the conversions come."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from features.errors import BundleError, FeatureError, LogTooShortError, TrainingError
from features.settings import Settings
from tests.training.conversion_world import DAY, Known, tiny_world
from training.bundles.champion import champion_path, promote, verify_bundle
from training.bundles.manifest import CONVERSION
from training.conversion.baselines import logistic_regression
from training.conversion.boosting import Answers, BoosterSettings, base_logit, binned, derivatives
from training.conversion.bundle import load_conversion_bundle, write_conversion_bundle
from training.conversion.chain import Fitter, parts_of
from training.conversion.choose import StageLog
from training.conversion.curves import fit_curve
from training.conversion.examples import LATEST
from training.conversion.examples import Known as KnownThen
from training.conversion.fit import ConversionLog, FitSettings, fit_conversion
from training.conversion.model import ConversionModel
from training.quality.calibration import sigmoid

SMALL = BoosterSettings(trees=40, leaves=8, learning_rate=0.12, min_data_in_leaf=40, feature_fraction=1.0)


@cache
def world() -> Known:
    return tiny_world(24_000)


@cache
def fitted(strategy: str) -> tuple[ConversionModel, ConversionLog]:
    settings = FitSettings(booster=SMALL, strategy=strategy)  # type: ignore[arg-type]
    return fit_conversion(world().examples, world().end, settings, threads=2)


def test_probabilities_are_near_the_true_ones() -> None:
    later = tiny_world(20_000, seed=9)
    model, log = fitted("corrected")
    p, truth = model.predict(later.examples.rows), later.truth[:, [0, 1, 2, 2]]
    loss = -(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean(axis=0)
    least = -(truth * np.log(truth) + (1 - truth) * np.log1p(-truth)).mean(axis=0)
    assert (loss / least < 1.03).all()
    assert np.abs(p.sum(axis=0) / truth.sum(axis=0) - 1).max() < 0.06
    assert log.left_out == ()
    assert dict(log.same) == {"ctcvr": "purchase"}
    assert model.window_days == {"click": 1, "link_click": 1, "purchase": 5, "ctcvr": 5}


def test_no_target_is_likelier_than_what_it_presupposes() -> None:
    model, _ = fitted("corrected")
    p = model.predict((np.random.default_rng(1).normal(size=(500, 5)) * 5).astype(np.float32))
    assert [stage.within for stage in model.stages] == [
        (),
        ("click",),
        ("link_click", "click"),
        ("link_click", "click", "purchase"),
    ]
    assert (np.diff(p, axis=1) <= 0).all()
    assert (p > 0).all()


def test_only_the_correction_keeps_the_sum_with_every_impression() -> None:
    # Of the last days' impressions most slow purchases are still to come.
    examples, end = world().examples, world().end
    recent = examples.time > end - 5 * DAY
    truth = world().truth[recent, 2].sum()
    column = examples.targets.index("purchase")
    for strategy, low, high in (("corrected", 0.93, 1.07), ("negative", 0.5, 0.85)):
        known = KnownThen(examples, end, strategy)  # type: ignore[arg-type]
        answers = Answers(known.seen("purchase")[recent], known.exposure("purchase")[recent], np.ones(recent.sum()))
        estimate = sigmoid(np.array([base_logit(answers)]))[0] * recent.sum()
        assert low < estimate / truth < high
    assert not KnownThen(examples, end, "mature").usable("purchase")[recent].any()
    assert (examples.known_at[:, column] > end).any()


def test_what_is_known_days_after_the_window_never_counts() -> None:
    examples = world().examples
    bought, windows = examples.known_at[:, 2] > 0, examples.windows
    known_at = examples.known_at.copy()
    known_at[bought, 2] = (examples.time + windows[2] + LATEST)[bought]
    known_at[np.flatnonzero(bought)[::2], 2] += 1
    later = replace(examples, known_at=known_at)
    assert later.seen("purchase", world().end + 99 * DAY).sum() == bought.sum() // 2
    assert replace(later, arrival_delay=1).seen("purchase", world().end + 99 * DAY).sum() == bought.sum()
    # So nothing is still to come of what is older.
    old = examples.time + windows[2] + LATEST <= world().end
    assert (KnownThen(later, world().end, "corrected").exposure("purchase")[old] == 1).all()


def test_nothing_that_was_known_later_is_looked_at() -> None:
    examples, end = world().examples, world().end
    cut = end - 3 * DAY
    before = replace(examples, known_at=np.where(examples.known_at <= cut, examples.known_at, 0))
    one, other = (KnownThen(e, cut, "corrected") for e in (examples, before))
    for target in examples.targets:
        assert (one.seen(target) == other.seen(target)).all()
        assert (one.exposure(target) == other.exposure(target)).all()


def test_threads_do_not_change_the_bytes_and_a_bundle_is_verified(tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(home=tmp_path, mlruns=tmp_path / "mlruns")
    model, _ = fitted("corrected")
    again, _ = fit_conversion(world().examples, world().end, FitSettings(booster=SMALL), threads=1)
    first, second = (
        write_conversion_bundle(m, {"made": "for a test"}, world().end, settings.bundles_dir)
        for m in (model, again)
    )
    assert first == second
    loaded = load_conversion_bundle(first)
    rows = world().examples.rows[:200]
    assert (loaded.model.predict(rows) == model.predict(rows)).all()
    assert loaded.version == first.name
    assert loaded.as_of == world().end
    with pytest.raises(BundleError, match="no champion yet; run `zhongcao train conversion` first"):
        champion_path(settings, CONVERSION)
    promote(settings, first, kind=CONVERSION)
    assert champion_path(settings, CONVERSION) == first
    with pytest.raises(BundleError, match=r"foreign bundle: 'zhongcao\.conversion 1'"):
        verify_bundle(first)
    (first / "stages.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match="corrupt"):
        promote(settings, first, kind=CONVERSION)
    with pytest.raises(FeatureError, match=r"another shape than the model reads: \(200, 4\)"):
        model.predict(rows[:, :4])


def test_what_never_happens_is_left_out_and_too_short_a_log_is_refused() -> None:
    examples, end = world().examples, world().end
    known_at = examples.known_at.copy()
    known_at[:, 2:] = 0
    model, log = fit_conversion(
        replace(examples, known_at=known_at), end, FitSettings(booster=SMALL, strategy="negative"), threads=2
    )
    assert model.targets == ("click", "link_click")
    assert log.left_out == ("purchase", "ctcvr")
    with pytest.raises(TrainingError, match="no target came true for 50 impressions"):
        fit_conversion(replace(examples, known_at=known_at * 0), end, FitSettings(), threads=1)
    with pytest.raises(LogTooShortError, match="no later slice of it has windows that are over"):
        fit_conversion(examples, int(examples.time.min()) + 6 * DAY, FitSettings(), threads=1)
    with pytest.raises(TrainingError, match="unknown strategy for immature impressions: 'wait'; valid: corrected"):
        KnownThen(examples, end, "wait")  # type: ignore[arg-type]


def test_what_the_log_tells_of_only_lately_is_left_out_and_the_rest_is_learned() -> None:
    examples, end = world().examples, world().end
    known_at = examples.known_at.copy()
    known_at[examples.time < end - 9 * DAY, 2:] = 0
    assert (known_at > 0).sum(axis=0).min() > 200
    model, log = fit_conversion(replace(examples, known_at=known_at), end, FitSettings(booster=SMALL), threads=2)
    assert model.targets == ("click", "link_click")
    assert log.left_out == ("purchase", "ctcvr")
    known_at[examples.time < end - 9 * DAY] = 0
    with pytest.raises(TrainingError, match=r"often enough by the start of the later slice: .* use a longer log"):
        fit_conversion(replace(examples, known_at=known_at), end, FitSettings(), threads=1)


def test_where_everybody_converts_there_is_a_baseline_all_the_same() -> None:
    examples, end = world().examples, world().end
    everybody = np.where(examples.known_at > 0, examples.known_at, examples.time[:, None] + 1)
    known = KnownThen(replace(examples, known_at=everybody), end, "negative")
    assert logistic_regression(known, ("click",), examples.rows[:3], seed=1) == pytest.approx(1.0, abs=1e-6)


def test_derivatives_are_those_of_the_likelihood_of_what_was_seen() -> None:
    rng = np.random.default_rng(2)
    z, e, seen = rng.normal(size=50), rng.random(50), rng.random(50) < 0.4

    def loss(logits: np.ndarray) -> np.ndarray:
        p = sigmoid(logits)
        return np.where(seen, -np.log(p), -np.log1p(-p * e))

    gradient, curvature = derivatives(z, seen, e)
    assert gradient == pytest.approx((loss(z + 1e-6) - loss(z - 1e-6)) / 2e-6, abs=1e-6)
    p = sigmoid(z)
    unseen = derivatives(z, np.zeros(50, bool), e)[0]
    assert curvature == pytest.approx(p * e * (1 - p) ** 2 + (1 - p * e) * unseen**2)


def test_curves_bend_where_lines_do_not_fit_and_levels_move_where_they_are_clearly_off() -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(size=20_000) * 2 - 1
    y = (rng.random(20_000) < sigmoid(z)).astype(np.uint8)
    weight, person = np.ones(20_000), np.arange(20_000)
    straight = fit_curve(z / 0.8, y, weight, person)
    assert straight.at == ()
    assert straight.line.slope == pytest.approx(0.8, abs=0.03)
    squared = np.sign(z) * z**2
    bent = fit_curve(squared, y, weight, person)
    assert len(bent.at) > 5
    # What a few days are off by is left, what is more than that is taken.
    near = fit_curve(z + 0.05, y, weight, person).apply(z + 0.05).mean()
    assert near == pytest.approx(sigmoid(z + 0.05).mean(), rel=1e-6)
    far = fit_curve(z + 1, y, weight, person).apply(z + 1).mean()
    assert y.mean() < far < 1.06 * y.mean()
    few = slice(0, 60)
    drawn = fit_curve(z[few] + 1, y[few], weight[few], person[few])
    assert far / y.mean() < drawn.apply(z[few] + 1).mean() / y[few].mean()
    assert drawn.apply(z[few] + 1).mean() < sigmoid(z[few] + 1).mean()
    assert (np.diff(bent.apply(np.linspace(-30, 30, 400))) >= 0).all()


def test_a_chain_adds_up_to_conversions_that_skipped_its_steps() -> None:
    examples, end = world().examples, world().end
    known_at = examples.known_at.copy()
    link, purchase = (examples.targets.index(target) for target in ("link_click", "purchase"))
    bought = np.flatnonzero(known_at[:, purchase])
    known_at[bought[::80], link] = 0
    known = KnownThen(replace(examples, known_at=known_at), end, "negative")
    fitter = Fitter(binned(examples.rows, SMALL), known, SMALL, seed=1, threads=2)
    booster, start = fitter.chain("purchase", "link_click")
    jumped = examples.rows[known.seen("link_click")]
    expected = sigmoid(booster.predict(jumped, raw_score=True) + start).sum()
    assert expected == pytest.approx(known.seen("purchase").sum(), rel=0.01)


def test_what_is_part_of_what_is_read_from_the_log() -> None:
    link, purchase = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    assert parts_of({"link_click": link, "purchase": purchase}) == {"link_click": (), "purchase": ()}
    assert parts_of({"link_click": link, "purchase": purchase & link})["purchase"] == ("link_click",)


def test_the_log_of_a_fit_says_what_was_chosen() -> None:
    _, log = fitted("corrected")
    stage = log.stages["purchase"]
    assert isinstance(stage, StageLog)
    assert stage.slice_log_loss < stage.slice_base_log_loss
    assert stage.trees > 0
    assert stage.median_delay is not None
    assert 0.2 * DAY < stage.median_delay < 2 * DAY
