"""A home of which a server answers every route: a log, a champion of tags and one of conversions, stores filled."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from features.rows.catalog import layout_for
from features.settings import Settings
from serving.online.backfill import backfill
from tests.serving.conversion_homes import AS_OF, DAY, conversion_log, filled
from tests.serving.homes import tiny_model
from tests.serving.live_homes import TAXONOMY, champion
from training.bundles.champion import promote
from training.bundles.manifest import CONVERSION
from training.conversion.boosting import BoosterSettings
from training.conversion.fit import FitSettings
from training.conversion.job import ConversionChoices, ConversionJob
from training.steps import Steps
from training.tags.bundle import write_bundle

KINDS = ("cart", "click", "impression", "purchase")
TAG = "tea.will-buy"
ACCOUNT = {"platform": "shop", "account": "u7"}
NOTE = "n1"


def whole_home(folder: Path) -> Settings:
    """Import the log of `conversion_homes`, train small champions, and fill both stores."""
    settings = conversion_log(folder)
    quiet = Steps(Console(quiet=True))
    small = FitSettings(BoosterSettings(trees=8, leaves=4, min_data_in_leaf=20), min_positives=20)
    choices = ConversionChoices(fit=small, window_days=3, warm_up_days=3)
    promote(settings, ConversionJob(settings, AS_OF, choices, quiet).train(), kind=CONVERSION)
    filled(settings)
    layout = layout_for(TAXONOMY, KINDS)
    windows = (AS_OF - 60 * DAY, AS_OF - 30 * DAY)
    model, _ = tiny_model(layout, TAXONOMY, [f"p{number}" for number in range(60)], windows)
    promote(settings, write_bundle(model, {"made": "for a test"}, AS_OF - DAY, settings.bundles_dir))
    backfill(settings, champion(settings), AS_OF, quiet)
    return settings
