"""The conversion part of a retraining: trained, noted, compared on later impressions, promoted or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from features.settings import Settings
from serving.jobs import conversion_part
from serving.jobs.conversion_part import ConversionPart
from serving.jobs.job_steps import JobSteps
from serving.jobs.outcome import Code, Summary
from serving.jobs.register_conversion import register_conversion
from serving.jobs.shipping import Shipping
from tests.serving.conversion_homes import DAY, copied
from training.bundles.champion import champion_path
from training.bundles.manifest import CONVERSION
from training.conversion.boosting import BoosterSettings
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices
from training.registry import CONVERSION_MODEL, Registry
from training.source import open_source
from training.steps import Steps


class Home:
    """A home whose log has 24 days of impressions, and the part of its retraining that is tested."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings, self._monkeypatch = settings, monkeypatch
        self.steps = Steps(Console(quiet=True))

    def part(self, trees: int, seed: int) -> ConversionPart:
        fit = FitSettings(BoosterSettings(trees=trees, leaves=4, min_data_in_leaf=20), min_positives=20, seed=seed)

        def choices(**more: Any) -> ConversionChoices:
            return ConversionChoices(fit=fit, window_days=3, warm_up_days=3, **more)

        self._monkeypatch.setattr(conversion_part, "ConversionChoices", choices)
        source = open_source(self.settings)
        return ConversionPart(self.settings, source, source.last + 1, self.steps)

    def shipped(self, trees: int, seed: int = 7) -> Summary:
        """Train and ship one, as the job does."""
        part, summary = self.part(trees, seed), Summary("a-run")
        assert part.has_impressions
        name = part.train()["bundle"]
        source = open_source(self.settings)
        steps = JobSteps(self.settings.work_dir / "retrain", self.steps)
        shipping = Shipping(self.settings, steps, self.steps, summary, source.last + 1, source)
        shipping.register(
            CONVERSION, name, lambda: register_conversion(part.job(), part.folder(name), alias="challenger")
        )
        shipping.decide(CONVERSION, name)
        return summary

    @property
    def champion(self) -> str:
        return champion_path(self.settings, CONVERSION).name


@pytest.fixture
def home(conversion_home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(copied(conversion_home, tmp_path), monkeypatch)


def test_a_first_model_beats_the_base_rates_and_who_gains_nothing_stays_out(home: Home) -> None:
    first = home.shipped(trees=20)
    verdict = first.verdicts["conversion"]
    assert verdict["promote"], verdict["reason"]
    assert verdict["sides"]["champion"] == "the base rate"
    assert verdict["sides"]["start"] >= home.part(20, 7).as_of
    assert home.champion == first.versions["conversion"]
    assert first.code == Code.DONE

    worse = home.shipped(trees=1)
    verdict = worse.verdicts["conversion"]
    assert not verdict["promote"]
    assert verdict["sides"]["champion"] == home.champion == first.versions["conversion"]
    assert verdict["primary"]["difference"] > 0
    assert worse.code == Code.NOT_PROMOTED
    registry = Registry(home.settings.mlruns, CONVERSION_MODEL)
    for alias, name in (("champion", home.champion), ("challenger", worse.versions["conversion"])):
        assert registry.by_alias(alias) == registry.of_bundle(name)

    again = home.shipped(trees=20)
    assert again.versions == first.versions
    assert again.verdicts["conversion"]["reason"] == f"{home.champion} serves already"


def test_a_log_too_short_for_conversions_leaves_them_out(home: Home) -> None:
    part = home.part(20, 7)
    part.as_of = open_source(home.settings).first(part.as_of) + DAY
    assert part.has_impressions
    made = part.train()
    assert made["bundle"] is None
    assert made["said"]
