"""One training run of the conversion models as of an instant: sample, fit, bundle; and its evaluation."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, get_args

from features.days import DAY_SECONDS, day_text
from features.errors import LogTooShortError, TrainingError
from features.impressions.features import ImpressionFeatures
from features.impressions.response_query import Match
from features.impressions.responses import DEFAULT_WINDOWS
from features.settings import Settings
from training.bundles.manifest import CONVERSION
from training.code import code_version
from training.conversion.bundle import load_conversion_bundle, write_conversion_bundle
from training.conversion.evaluation import ConversionEvaluation, evaluate_conversion
from training.conversion.examples import STRATEGIES, Strategy
from training.conversion.fit import ConversionLog, FitSettings, fit_conversion
from training.conversion.source import ConversionSource, Outcomes, Sample
from training.conversion.tag_choice import chosen_tags
from training.conversion.tag_scorer import BundleScorer
from training.steps import Steps
from training.tags.bundle import Bundle, load_bundle
from training.tags.finished import Finished

_BOOSTERS: Final = 12
_SAMPLE: Final = "sample"
_TEST: Final = "test"


@dataclass(frozen=True)
class ConversionChoices:
    """What a user may choose about a training run.

    Parameters
    ----------
    fit
        Parameters and strategy of the models.
    window_days
        Days after an impression within which each target counts; None for 15 for purchases, and fewer for the
        steps before.
    match
        What a purchase must share with the impression: note, brand or items.
    delay_days
        Days that events take to arrive.
    most_days
        Impressions of so many days before the date are learned from, at most.
    warm_up_days
        Impressions of the log's first days are not learned from: little was known of anybody then.
    most_examples
        About how many impressions are learned from; all that led to the shop are.
    paid_only
        Learn from paid impressions only.
    tags
        Bundle of tag models whose scores are columns, a name among the home's bundles, a folder, or
        `training.conversion.tag_choice.NEWEST`; None for none. Impressions from its as-of date on are learned from.
    """

    fit: FitSettings = field(default_factory=FitSettings)
    window_days: int | None = None
    match: Match = "note"
    delay_days: int = 0
    most_days: int = 90
    warm_up_days: int = 14
    most_examples: int = 800_000
    paid_only: bool = False
    tags: str | None = None

    def outcomes(self) -> Outcomes:
        """Return what counts as an answer to an impression."""
        windows = dict(DEFAULT_WINDOWS)
        if self.window_days is not None:
            # Where all of a log's answers are slow, such as to a letter, one window serves all of them.
            windows = dict.fromkeys(DEFAULT_WINDOWS, self.window_days * DAY_SECONDS)
        return Outcomes(windows, self.match, self.delay_days * DAY_SECONDS, self.paid_only)


def strategy_of(text: str) -> Strategy:
    """Return the strategy of that name.

    Raises
    ------
    TrainingError
        There is no such strategy.
    """
    for strategy in STRATEGIES:
        if text == strategy:
            return strategy
    raise TrainingError("unknown strategy for immature impressions", value=text, valid=STRATEGIES)


def match_of(text: str) -> Match:
    """Return the way of that name to find what a purchase shares with an impression.

    Raises
    ------
    TrainingError
        There is no such way.
    """
    matches: tuple[Match, ...] = get_args(Match)
    for match in matches:
        if text == match:
            return match
    raise TrainingError("unknown way to match purchases with impressions", value=text, valid=matches)


class ConversionJob:
    """One training run of the conversion models as of an instant.

    Parameters
    ----------
    settings
        Where everything lies.
    as_of
        The model knows nothing that happened or arrived later, epoch seconds.
    choices
        What the user chose.
    steps
        Shows progress.
    source
        What to read; the home's log by default.
    """

    def __init__(
        self, settings: Settings, as_of: int, choices: ConversionChoices, steps: Steps,
        source: ConversionSource | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.as_of = as_of
        self.choices = choices
        self.steps = steps
        self.source = source or ConversionSource.open(settings, choices.outcomes(), steps)

    @cached_property
    def start(self) -> int:
        """When the training impressions start."""
        if self._tags is None:
            return self._earliest
        if self._tags.as_of >= self.as_of:
            raise TrainingError(
                f"tag bundle {self._tags.version} may only score impressions after its own date, and none is left "
                "to learn from",
                value=day_text(self._tags.as_of, self.source.log.timezone),
                valid=[f"before {day_text(self.as_of, self.source.log.timezone)}"],
                next_step="train one with zhongcao train tags --as-of an earlier day",
            )
        return max(self._earliest, self._tags.as_of)

    @cached_property
    def _earliest(self) -> int:
        first = self.source.log.first(self.as_of)
        warm_up = min(self.choices.warm_up_days * DAY_SECONDS, (self.as_of - first) // 3)
        return max(first + warm_up, self.as_of - self.choices.most_days * DAY_SECONDS)

    @cached_property
    def _tags_folder(self) -> Path | None:
        zone, asked = self.source.log.timezone, self.choices.tags
        return chosen_tags(self.settings, asked, self._earliest, zone, self.steps.say)

    @cached_property
    def _tags(self) -> Bundle | None:
        return None if self._tags_folder is None else load_bundle(self._tags_folder)

    @property
    def _chosen(self) -> dict[str, Any]:
        """The choices; scores are named by what they are of, wherever it lies."""
        return asdict(replace(self.choices, tags=None if self._tags is None else self._tags.version))

    @cached_property
    def _scorer(self) -> BundleScorer | None:
        return None if self._tags is None else BundleScorer(self._tags, self.source.log, self.start)

    @cached_property
    def folder(self) -> Path:
        """Checkpoints of this run, named after everything that it depends on."""
        parts = [self.source.data_version, code_version(), self.as_of, self._chosen]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return self.settings.work_dir / "conversion" / key

    @cached_property
    def features(self) -> ImpressionFeatures:
        """Columns of the rows."""
        return self.source.features(self.as_of, () if self._scorer is None else self._scorer.patterns)

    @cached_property
    def sample(self) -> Sample:
        """The training impressions; parts that an earlier run read are reused until the models are finished."""
        choices = self.choices
        return self.source.train_sample(
            self.start, self.as_of, most=choices.most_examples, seed=choices.fit.seed,
            features=self.features, scores=self._scorer, folder=self.folder / _SAMPLE,
        )  # fmt: skip

    def train(self) -> Path:
        """Train, unless this very run was done before, and return the bundle's folder."""
        bundle = self._finished.bundle("conversion models", self._train, CONVERSION)
        self._forget()
        return bundle

    def _train(self) -> Path:
        examples = self.sample.examples
        with self.steps.step(f"conversion models ({self.choices.fit.strategy})", _BOOSTERS) as advance:
            model, log = fit_conversion(
                examples, self.as_of, self.choices.fit, threads=self.settings.threads, advance=advance
            )
        parent, tags = self.settings.bundles_dir, self._tags_folder
        return write_conversion_bundle(model, self._about(log), self.as_of, parent, tags)

    @property
    def _finished(self) -> Finished:
        return Finished(self.folder, self.settings.bundles_dir, self.steps)

    def _forget(self) -> None:
        """Delete rows that were kept for a run that might have been cut off."""
        for name in (_SAMPLE, _TEST):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def test(self, bundle: Path, days: int, most: int) -> Sample:
        """Read impressions after the as-of date whose windows are over, for an evaluation of a bundle.

        Parameters
        ----------
        bundle
            What `train` returned.
        days
            How many days from the as-of date on.
        most
            About how many impressions, evenly drawn.

        Raises
        ------
        LogTooShortError
            No window of an impression from the as-of date on is over in the log.
        """
        known_at = self.source.log.last_arrival(self.source.log.last + 1) + 1
        longest = max(self.source.outcomes.windows.values()) + self.source.outcomes.arrival_delay
        end = min(self.as_of + days * DAY_SECONDS, self.source.log.last + 1 - longest)
        if end <= self.as_of:
            zone = self.source.log.timezone
            raise LogTooShortError(
                f"no window of {longest / DAY_SECONDS:.0f} days from the as-of date on is over: the log ends on "
                f"{day_text(self.source.log.last, zone)}",
                next_step="name an earlier date or a shorter --window-days, or import the events that came since",
            )
        features = ImpressionFeatures.of_json(load_conversion_bundle(bundle).about["features"])
        return self.source.test_sample(
            self.as_of, end, known_at, most=most, seed=self.choices.fit.seed, features=features,
            scores=self._scorer, folder=self.folder / _TEST,
        )  # fmt: skip

    def evaluate(self, bundle: Path, days: int, most: int = 500_000) -> ConversionEvaluation:
        """Evaluate a bundle on later impressions, beside the baselines; for the parameters see `test`.

        What an earlier run found is reused.
        """
        found = self._finished.evaluation(
            f"{days}-{most}", ConversionEvaluation, lambda: self._evaluate(bundle, days, most)
        )
        self._forget()
        return found

    def _evaluate(self, bundle: Path, days: int, most: int) -> ConversionEvaluation:
        test, train = self.test(bundle, days, most), self.sample
        with self.steps.step("evaluation beside the baselines", 4) as advance:
            return evaluate_conversion(
                load_conversion_bundle(bundle).model,
                test,
                train,
                self.as_of,
                self.choices.fit,
                threads=self.settings.threads,
                advance=advance,
            )

    def _about(self, log: ConversionLog) -> dict[str, Any]:
        return {
            "data_version": self.source.data_version,
            "code_version": code_version(),
            "timezone": self.source.log.timezone,
            "match": self.choices.match,
            "features": self.features.to_json(),
            "tags_bundle": None if self._tags is None else self._tags.version,
            "scored_tags": None if self._scorer is None else self._scorer.people.tags.to_dict(),
            "choices": self._chosen,
            "start": self.start,
            "training": asdict(log),
        }
