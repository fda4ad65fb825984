"""The training job: windows, model, evaluation and registration, each kept and reused by a rerun."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from features.days import DAY_SECONDS, day_text, shift_days
from features.errors import LogTooShortError, TrainingError
from features.processes import in_threads
from features.rows.catalog import layout_for
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from training.code import code_version
from training.source import open_source
from training.splits import mature
from training.steps import Steps
from training.tags import stability
from training.tags.auto_plan import Spacing, auto_plan
from training.tags.bundle import load_bundle, write_bundle
from training.tags.dask_heads import head_trainer
from training.tags.evaluation import Evaluation, evaluate_tags
from training.tags.finished import Finished
from training.tags.fit import TagSettings, TrainingLog, fit_tags
from training.tags.pairs import Window
from training.tags.slices import platforms_of
from training.tags.windows import WindowBuilder


@dataclass(frozen=True)
class JobSettings:
    """What a user may choose about a training run.

    Parameters
    ----------
    tags
        Parameters of the models.
    step_days, most_instants
        Layout of the training instants; None where `training.tags.auto_plan` chooses.
    delay_days
        Days after a window's end until its events have arrived.
    validation
        Instant of the validation window, where it must be another than the last mature one.
    kinds
        Who is trained on and scored: people with an event of these kinds; None for any event.
    """

    tags: TagSettings = field(default_factory=TagSettings)
    step_days: int | None = None
    most_instants: int | None = None
    delay_days: int = 0
    validation: int | None = None
    kinds: tuple[str, ...] | None = None


class TagJob:
    """One training run of the tag models as of an instant.

    Parameters
    ----------
    settings
        Where everything lies.
    taxonomy
        The tags.
    as_of
        The model knows nothing that happened or arrived later, epoch seconds.
    choices
        What the user chose.
    steps
        Shows progress.
    version
        Of the log's events; the latest by default.

    Raises
    ------
    EventLogError, LogTooShortError
        There is no log, or it is too short before `as_of`.
    """

    def __init__(
        self, settings: Settings, taxonomy: Taxonomy, as_of: int, choices: JobSettings, steps: Steps,
        *, version: int | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.taxonomy = taxonomy
        self.as_of = as_of
        self.choices = choices
        self.steps = steps
        source = open_source(settings, version=version, most_people=settings.train_people)
        self.horizon = taxonomy.horizon_days
        first = source.first(as_of)
        spacing = Spacing(
            self.horizon,
            people=source.accounts(as_of),
            rhythm_days=source.rhythm(as_of),
            delay=choices.delay_days * DAY_SECONDS,
            timezone=source.timezone,
        )
        self.plan, self.chosen = auto_plan(
            first,
            as_of,
            spacing,
            step_days=choices.step_days,
            most=choices.most_instants,
            validation=choices.validation,
        )
        layout = layout_for(taxonomy, {"purchase", *source.kinds(self.plan.train[-1])})
        self.builder = WindowBuilder(
            source,
            taxonomy,
            layout,
            settings.work_dir / "windows",
            choices.kinds,
            course=self.plan.course,
            delay=choices.delay_days * DAY_SECONDS,
        )
        self.require_outcomes(self.plan.validation, as_of)

    @property
    def folder(self) -> Path:
        """Checkpoints of this run, named after everything that it depends on."""
        parts = [
            self.builder.source.data_version, self.taxonomy.hash, self.builder.layout.schema_hash, code_version(),
            asdict(self.plan), asdict(self.choices),
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return self.settings.work_dir / "runs" / key

    @property
    def _finished(self) -> Finished:
        return Finished(self.folder, self.settings.bundles_dir, self.steps)

    def windows(self, instants: Iterable[int], labels_known_at: int | None, name: str) -> list[Window]:
        """Build the windows of some instants, reusing those that are on disk."""
        return self._windows([(instant, labels_known_at) for instant in instants], name)

    def _windows(self, wanted: Sequence[tuple[int, int | None]], name: str) -> list[Window]:
        """Build windows of instants with what labels know, several at once, reusing those that are on disk."""
        missing = [each for each in wanted if not self.builder.is_built(*each)]
        if not missing:
            self.steps.reused(name)
            return [self.builder.build(*each) for each in wanted]

        def build(each: tuple[int, int | None]) -> Window:
            with self.builder.beside() as builder:
                return builder.build(*each)

        built = {}
        with self.steps.step(name, len(missing)) as advance:
            for each, window in zip(missing, in_threads(build, missing, self.settings.threads), strict=True):
                built[each] = window
                advance()
        return [built.get(each) or self.builder.build(*each) for each in wanted]

    def train(self) -> Path:
        """Train, unless this very run was done before, and return the bundle's folder."""
        bundle = self._finished.bundle("tag models", self._train)
        shutil.rmtree(self.folder / "unfinished", ignore_errors=True)
        return bundle

    def _train(self) -> Path:
        for choice in self.chosen:
            self.steps.say(choice)
        choose, train, present = self.fit_windows()
        work = self.folder / "unfinished"
        total = 2 * (len(self.taxonomy.tags) + 1)
        with self.steps.step(f"tag models ({len(self.taxonomy.tags)} tags, fitted twice)", total) as advance:
            model, log = fit_tags(
                layout=self.builder.layout,
                taxonomy=self.taxonomy,
                choose=choose,
                validation=train[-1],
                train=train,
                fitted=present.fitted,
                settings=self.choices.tags,
                threads=self.settings.threads,
                trainer=head_trainer(self.settings),
                work=work,
                advance=advance,
            )
        return write_bundle(model, self._about(log), self.as_of, self.settings.bundles_dir)

    def evaluate(self, bundle: Path, instant: int, known_at: int) -> Evaluation:
        """Evaluate a bundle of this run on the window of a later instant, beside the baselines.

        Parameters
        ----------
        bundle
            What `train` returned.
        instant
            The window's instant, not before `as_of`.
        known_at
            Outcomes use what had arrived by then, and nothing later is looked at.

        Raises
        ------
        TrainingError
            `instant` is before `as_of`: the model has seen what it would be asked for.
        LogTooShortError
            The outcome window is not over by `known_at`, or the log ends before it does.
        """
        if instant < self.as_of:
            raise TrainingError(
                "a model cannot be evaluated on what it was trained on",
                value=instant,
                valid=[f"{self.as_of} or later"],
            )
        self.require_outcomes(instant, known_at)
        return self._finished.evaluation(
            f"{instant}-{known_at}", Evaluation, lambda: self._evaluate(bundle, instant, known_at)
        )

    def _evaluate(self, bundle: Path, instant: int, known_at: int) -> Evaluation:
        train = self.train_windows()
        week_after = self._week_after(instant, known_at)
        wanted = [(instant, known_at), *([] if week_after is None else [(week_after, None)])]
        test, *later = self._windows(wanted, "features and labels of the later window")
        spine = self.builder.spine(instant)
        with self.steps.step("evaluation beside the baselines", 4 + len(later)) as advance:
            return evaluate_tags(
                load_bundle(bundle).model,
                test,
                train[-1],
                train,
                platforms=platforms_of(self.builder.source.events, spine),
                later=later[0] if later else None,
                seed=self.choices.tags.seed,
                threads=self.settings.threads,
                advance=advance,
            )

    def _week_after(self, instant: int, known_at: int) -> int | None:
        """Return the instant by whose window steadiness is judged, where it is within the log and `known_at`."""
        later = shift_days(instant, stability.DAYS, self.builder.source.timezone)
        return None if later > min(known_at, self.builder.source.last + 1) else later

    def require_outcomes(self, instant: int, known_at: int) -> None:
        """Refuse an instant whose outcomes the log does not hold yet.

        Raises
        ------
        LogTooShortError
            The outcome window is not over by `known_at`, or the log ends before it does.
        """
        # Days that the log does not reach look like days on which nobody did anything: labels would be wrong, not
        # missing. A quiet day, or a tenth of the window, is let pass.
        length, last = self.horizon * DAY_SECONDS, self.builder.source.last
        if mature(instant, self.horizon, self.choices.delay_days * DAY_SECONDS, known_at) and (
            last + max(DAY_SECONDS, length // 10) >= instant + length
        ):
            return
        end = day_text(last, self.builder.source.timezone)
        raise LogTooShortError(
            f"an outcome window of {self.horizon} days is not over: the log ends on {end}",
            next_step=f"give --as-of {end} or an earlier day, or import the events that came since",
        )

    def fit_windows(self) -> tuple[list[Window], list[Window], Window]:
        """Build all that a model is fitted on: `choose_windows`, `train_windows`, and that of the present."""
        choose = [(instant, self.plan.validation) for instant in self.plan.choose]
        train = [(instant, self.as_of) for instant in self.plan.train]
        *windows, present = self._windows([*choose, *train, (self.as_of, None)], "features and labels")
        return windows[: len(choose)], windows[len(choose) :], present

    def train_windows(self) -> list[Window]:
        """Build the windows that the model is fitted on; the last is the validation window."""
        return self.windows(self.plan.train, self.as_of, "features and labels of the training windows")

    def choose_windows(self) -> list[Window]:
        """Build the windows that choices are made with, as they were known at the validation instant."""
        name = "features and labels of the windows before validation"
        return self.windows(self.plan.choose, self.plan.validation, name)

    def _about(self, log: TrainingLog) -> dict[str, Any]:
        return {
            "data_version": self.builder.source.data_version,
            "code_version": code_version(),
            "taxonomy": self.taxonomy.name,
            "taxonomy_hash": self.taxonomy.hash,
            "layout_hash": self.builder.layout.schema_hash,
            "timezone": self.builder.source.timezone,
            "choices": asdict(self.choices),
            "plan": asdict(self.plan),
            "chosen": list(self.chosen),
            "training": asdict(log),
        }
