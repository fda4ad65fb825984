"""Verbs that measure: how good a model was on a later window, and a study of the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.settings import scoring_settings
from serving.cli.train import (
    AsOfOption,
    AssignOption,
    DelayOption,
    InstantsOption,
    SeedOption,
    StepOption,
    TaxonomyOption,
    choices_of,
    job_of,
)

JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
PartsOption = Annotated[
    str, typer.Option(help="What to run, with commas: windows, additions, features, people, instants.")
]
WindowsOption = Annotated[int, typer.Option(min=1, help="Evaluate the whole recipe at so many past instants.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    evaluate = typer.Typer(no_args_is_help=True, help="Evaluate models on later windows.")
    evaluate.command("tags")(evaluate_tags)
    evaluate.command("study")(evaluate_study)
    app.add_typer(evaluate, name="evaluate")


def evaluate_tags(
    taxonomy: TaxonomyOption,
    as_of: AsOfOption,
    most_instants: InstantsOption = None,
    step_days: StepOption = None,
    delay_days: DelayOption = 0,
    assign: AssignOption = "share",
    seed: SeedOption = 7,
    json_path: JsonOption = None,
) -> None:
    """Evaluate the model trained as of a date on the window from that date on, beside its baselines.

    A model that was not trained yet with these choices is trained first.
    """
    from features.days import DAY_SECONDS
    from features.erasure.erasures import erased_since
    from features.errors import LogTooShortError
    from serving.jobs.evaluate import write_evaluation_page
    from serving.pages.tables import quality_table
    from training.splits import mature

    choices = choices_of(most_instants, step_days, delay_days, assign, seed)
    job = job_of(taxonomy, as_of, choices)
    known_at = job.builder.source.last + 1
    if not mature(job.as_of, job.horizon, delay_days * DAY_SECONDS, known_at):
        raise LogTooShortError(
            f"the outcome window of {job.horizon} days from the as-of date is not over in this log",
            value=as_of,
            next_step="name an earlier date, or import the events that came since",
        )
    bundle = job.train()
    evaluation = job.evaluate(bundle, job.as_of, known_at)
    job.steps.console.print(quality_table(evaluation))
    then = f"zhongcao retrain --taxonomy {taxonomy}"
    if erased := erased_since(job.settings, bundle.name):
        typer.echo(
            f"{erased:,} people were erased since {bundle.name} was trained, which may have learned from them"
        )
    page = write_evaluation_page(job, bundle, evaluation, [then])
    typer.echo(f"wrote {page}")
    if json_path is not None:
        document = {"bundle": bundle.name, "erased_since": erased, **evaluation.as_dict()}
        json_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        typer.echo(f"wrote {json_path}")
    typer.echo(f"next: {then}, which also registers, promotes and fills the store")


def evaluate_study(
    taxonomy: TaxonomyOption,
    as_of: AsOfOption = "now",
    parts: PartsOption = "windows,additions,features,people,instants",
    windows: WindowsOption = 4,
    most_instants: InstantsOption = None,
    step_days: StepOption = None,
    delay_days: DelayOption = 0,
    seed: SeedOption = 7,
    json_path: JsonOption = None,
) -> None:
    """Study the recipe: quality at past instants, without each family of features, with fewer people and instants.

    Every fit is kept: a run that was cut off goes on where it was.
    """
    from features.errors import TrainingError
    from features.log.event_log import EventLog
    from features.taxonomy.taxonomy import load_taxonomy
    from serving.pages.study_page import write_study
    from training.source import present_of
    from training.steps import Steps
    from training.study.plots import draw_study
    from training.study.study import PARTS, TagStudy

    wanted = tuple(part.strip() for part in parts.split(","))
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise TrainingError("a study has no such part", value=unknown[0], valid=PARTS)
    settings = scoring_settings()
    instant = present_of(EventLog.open(settings), as_of)
    choices = choices_of(most_instants, step_days, delay_days, "share", seed)
    study = TagStudy(settings, load_taxonomy(taxonomy), instant, choices, Steps())
    found = study.run(wanted, windows)
    zone = study.job.builder.source.timezone
    page = settings.report_file.with_name("study.html")
    then = f"zhongcao evaluate tags --taxonomy {taxonomy}"
    write_study(
        page,
        study=found,
        timezone=zone,
        facts=study.facts(),
        plots=draw_study(found, zone, study.job.folder / "study"),
        commands=[then],
    )
    typer.echo(f"wrote {page}")
    if json_path is not None:
        json_path.write_text(json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        typer.echo(f"wrote {json_path}")
    typer.echo(f"next: {then} --as-of DAY, which measures one model beside its baselines")
