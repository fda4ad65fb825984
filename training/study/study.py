"""A study of the recipe: how it fares at several instants, and what its parts, features and data are worth.

Everything ends by the study's as-of date: nothing later is looked at, so a recipe may be chosen by what is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from features.days import DAY_SECONDS, day_text
from features.errors import LogTooShortError
from features.settings import Settings
from features.taxonomy.taxonomy import Taxonomy
from training.quality.bootstrap import Difference, paired_bootstrap
from training.quality.json_figures import to_json
from training.quality.metrics import MacroMetrics, macro_metrics
from training.splits import last_mature
from training.steps import Steps
from training.study.ablation import ablation, families
from training.study.learning_curve import PEOPLE_SHARES, fewer_instants, fewer_people, instants_counts
from training.study.refits import Refit, Refits
from training.tags.baselines import PooledLogisticRegression, history_count_probabilities
from training.tags.bundle import load_bundle
from training.tags.evaluation import Evaluation
from training.tags.job import JobSettings, TagJob

PARTS: Final = ("windows", "additions", "features", "people", "instants")


@dataclass(frozen=True)
class Addition:
    """A model of the ladder, and what it brought over the one before it."""

    name: str
    metrics: MacroMetrics
    over_previous: dict[str, Difference]


@dataclass(frozen=True)
class Study:
    """What was found.

    Parameters
    ----------
    windows
        The whole recipe at several past instants, oldest first; each model was trained on what was mature by then.
    additions
        From the history count to the whole recipe, on the last of these windows.
    features
        The pooled model without each family of features, on the validation window.
    people, instants
        The pooled model on fewer people and on fewer instants, on the validation window.
    """

    windows: list[Evaluation]
    additions: list[Addition]
    features: list[Refit]
    people: list[Refit]
    instants: list[Refit]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; of the windows the macro metrics only."""
        windows = [
            {"instant": e.instant, "people": e.people, "macro": {name: m.as_dict() for name, m in e.macro.items()}}
            for e in self.windows
        ]
        rest = {name: [asdict(one) for one in getattr(self, name)] for name in PARTS if name != "windows"}
        return dict(to_json({"windows": windows, **rest}))


class TagStudy:
    """Runs the parts of a study; whatever an earlier run finished is reused.

    Parameters
    ----------
    settings, taxonomy, choices, steps
        As for `TagJob`.
    as_of
        Nothing later is known, epoch seconds.
    """

    def __init__(
        self, settings: Settings, taxonomy: Taxonomy, as_of: int, choices: JobSettings, steps: Steps
    ) -> None:
        self._settings = settings
        self._taxonomy = taxonomy
        self._choices = choices
        self._steps = steps
        self.job = self._job(as_of)

    def run(self, parts: tuple[str, ...] = PARTS, most_windows: int = 4) -> Study:
        """Run the parts asked for.

        Parameters
        ----------
        parts
            Names out of `PARTS`.
        most_windows
            Past instants at which the whole recipe is evaluated, fewer where the log is too short.
        """
        windows: list[Evaluation] = []
        additions: list[Addition] = []
        for job in self._past(most_windows if "windows" in parts else int("additions" in parts)):
            if "windows" in parts:
                windows.insert(0, job.evaluate(job.train(), job.as_of, self.job.as_of))
            if "additions" in parts and not additions:
                additions = self._additions(job)
        return Study(windows=windows, additions=additions, **self._refits(parts))

    def facts(self) -> list[str]:
        """Say in words what is studied."""
        source, plan = self.job.builder.source, self.job.plan
        return [
            f"as of {day_text(self.job.as_of, source.timezone)}",
            f"{len(self._taxonomy.tags)} tags of {self._taxonomy.name}",
            f"refits on {len(plan.choose)} instants, measured from {day_text(plan.validation, source.timezone)} on",
            f"data {source.data_version}",
        ]

    def _job(self, as_of: int) -> TagJob:
        return TagJob(self._settings, self._taxonomy, as_of, self._choices, self._steps)

    def _past(self, most: int) -> Iterator[TagJob]:
        """Yield jobs as of the starts of the last mature outcome windows, the latest first."""
        zone, delay = self.job.builder.source.timezone, self._choices.delay_days * DAY_SECONDS
        instant = self.job.as_of
        for _ in range(most):
            instant = last_mature(instant, self.job.horizon, delay, zone)
            try:
                yield self._job(instant)
            except LogTooShortError as error:
                self._steps.say(f"no earlier window: {error}")
                return

    def _additions(self, job: TagJob) -> list[Addition]:
        train = job.train_windows()
        (test,) = job.windows([job.as_of], self.job.as_of, "features and labels of the later window")
        model = load_bundle(job.train()).model
        view, active, threads = model.view, model.active, self._settings.threads
        labels, seed = test.outcomes[:, active], self._choices.tags.seed
        rows = np.asarray(test.rows)
        with self._steps.step("what each addition brought", 5) as advance:
            ladder = {}
            ladder["history count"] = history_count_probabilities(view, train[-1], test.rows)
            advance()
            ladder["pooled logistic regression"] = PooledLogisticRegression(view, seed).fit(train).predict(test)
            advance()
            blended = replace(model, levels=np.zeros_like(model.levels))
            alone = replace(blended, head_share=np.zeros_like(model.head_share))
            for name, rung in (
                ("pooled trees", alone), ("with heads blended in", blended), ("with a level per tag", model),
            ):  # fmt: skip
                ladder[name] = rung.predict(rows, threads=threads)
                advance()
            previous, found = None, []
            for name, scores in ladder.items():
                scored = scores[:, active]
                over: dict[str, Difference] = {}
                if previous is not None:
                    over = paired_bootstrap(labels, scored, previous, seed=seed)
                found.append(Addition(name, macro_metrics(labels, scored), over))
                previous = scored
        return found

    def _refits(self, parts: tuple[str, ...]) -> dict[str, list[Refit]]:
        found: dict[str, list[Refit]] = {"features": [], "people": [], "instants": []}
        wanted = [part for part in found if part in parts]
        if not wanted:
            return found
        refits = Refits(self.job)
        fits = {
            "features": 1 + len(families(refits.view)),
            "people": len(PEOPLE_SHARES),
            "instants": len(instants_counts(len(refits.choose))),
        }
        runs = {"features": ablation, "people": fewer_people, "instants": fewer_instants}
        with self._steps.step("refits of the pooled model", sum(fits[part] for part in wanted)) as advance:
            for part in wanted:
                found[part] = runs[part](refits, advance)
        return found
