"""The part of a retraining that conversion models take, where the log has impressions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from features.days import DAY_SECONDS, day_text
from features.errors import LogTooShortError, TrainingError
from features.settings import Settings
from training.conversion.job import ConversionChoices, ConversionJob
from training.conversion.source import ConversionSource
from training.conversion.tag_choice import NEWEST
from training.source import LogSource
from training.steps import Steps

TEST_DAYS: Final = 7
"""Days of impressions that are kept from the models, for the comparison with the champion."""


class ConversionPart:
    """Trains conversion models early enough that later impressions can judge them.

    Parameters
    ----------
    settings
        Where everything lies.
    source
        The log, for what it holds of impressions.
    present
        Of the run, epoch seconds.
    steps
        Shows progress.
    """

    def __init__(self, settings: Settings, source: LogSource, present: int, steps: Steps) -> None:
        choices = ConversionChoices(tags=NEWEST)
        outcomes = choices.outcomes()
        longest = max(outcomes.windows.values()) + outcomes.arrival_delay
        self.as_of = min(present, source.last + 1) - longest - TEST_DAYS * DAY_SECONDS
        self._choices, self._settings, self._steps, self._source = choices, settings, steps, source

    @property
    def has_impressions(self) -> bool:
        """Whether there is anything to learn from."""
        known = f"kind = 'impression' and event_time < {self.as_of} and arrived_at <= {self.as_of}"
        return bool(self._source.events.filter(known).limit(1).fetchall())

    def train(self) -> dict[str, Any]:
        """Train; say why not where the log does not suffice."""
        try:
            folder = self.job().train()
        except (LogTooShortError, TrainingError) as error:
            self._steps.say(f"conversion models are left out: {error}")
            return {"bundle": None, "said": str(error)}
        day = day_text(self.as_of, self._source.timezone)
        return {"bundle": folder.name, "said": f"trained as of {day}"}

    def job(self) -> ConversionJob:
        """Return the training run, on the version of the log that the job began with."""
        outcomes, version = self._choices.outcomes(), self._source.version
        source = ConversionSource.open(self._settings, outcomes, self._steps, version=version)
        return ConversionJob(self._settings, self.as_of, self._choices, self._steps, source)

    def folder(self, name: str) -> Path:
        """Return the folder of a bundle."""
        return self._settings.bundles_dir / name
