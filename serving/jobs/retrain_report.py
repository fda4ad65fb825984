"""What a retraining tells people: the report, tables on the terminal, and what to type next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from features.days import DAY_SECONDS, day_text, days_text
from features.settings import Settings
from serving.pages.people_cards import some_people
from serving.pages.report import write_report
from serving.pages.tables import people_table, quality_table
from training.registry import Registered
from training.tags.bundle import Bundle
from training.tags.evaluation import Evaluation
from training.tags.job import TagJob


def report_on(
    job: TagJob, bundle: Bundle, evaluation: Evaluation, plots: Sequence[Path], present: int, *,
    registered: Registered, serves: bool,
) -> None:  # fmt: skip
    """Write the report and print its tables.

    Parameters
    ----------
    job, bundle, evaluation, plots
        The run of the tag models, and what came of it.
    present
        When people were scored, epoch seconds.
    registered
        Where it stands in MLflow.
    serves
        Whether the bundle is the champion: a page of people shows what the store holds, so only of that.
    """
    settings, taxonomy, steps = job.settings, job.taxonomy, job.steps
    zone = job.builder.source.timezone
    people = []
    if serves:
        window = job.windows([present], None, "features as of now")[0]
        people = some_people(settings, bundle, list(window.persons), evaluation)
        steps.console.print(people_table(people))
    too_rare = bundle.about["training"]["too_rare"]
    end = bundle.as_of + taxonomy.horizon_days * DAY_SECONDS
    alias = "champion" if serves else "challenger"
    write_report(
        settings.report_file,
        facts=[
            f"model {bundle.version}, version {registered.model_version} in MLflow, alias {alias}",
            *_facts(bundle, evaluation, zone, present),
        ],
        window=f"{day_text(bundle.as_of, zone)} to {day_text(end, zone)}",
        evaluation=evaluation,
        taxonomy=taxonomy,
        too_rare=too_rare,
        plots=plots,
        people=people,
        commands=next_commands(settings, bundle),
    )
    steps.console.print(quality_table(evaluation))
    if too_rare:
        steps.say(f"{len(too_rare)} tags are too rare to learn and were left out: {', '.join(too_rare)}")


def next_commands(settings: Settings, bundle: Bundle) -> list[str]:
    """Return what to type after a run, with the programs named as this one was."""
    called = Path(sys.argv[0])
    # Found on the search path it is known by its whole path, which nobody types and a report need not tell.
    program = called if called.name == "zhongcao" and not called.is_absolute() else Path("zhongcao")
    store = settings.mlruns / "mlflow.db"
    return [
        f"{program} serve",
        f"curl -s http://{settings.host}:{settings.port}/readyz",
        f"{program} taxonomy show {bundle.taxonomy.tags[0].id}",
        f"{program.with_name('mlflow')} ui --backend-store-uri sqlite:///{store} --host 127.0.0.1",
    ]


def _facts(bundle: Bundle, evaluation: Evaluation, zone: str, present: int) -> list[str]:
    return [
        f"trained as of {day_text(bundle.as_of, zone)}, outcomes within {days_text(bundle.taxonomy.horizon_days)}",
        *bundle.about["chosen"],
        f"people scored as of {day_text(present, zone)}",
        f"{int(bundle.model.active.sum())} tags",
        f"{evaluation.people:,} people in the evaluation",
        f"data {bundle.about['data_version']}",
    ]
