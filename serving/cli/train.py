"""Verbs of the ML engineer: train and retrain, and what they share with evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.settings import scoring_settings

if TYPE_CHECKING:
    from training.tags.job import JobSettings, TagJob

TaxonomyOption = Annotated[Path, typer.Option(help="Taxonomy file (TOML).", show_default=False)]
AsOfOption = Annotated[str, typer.Option(help="Day, ISO time or 'now': nothing later is known to the run.")]
InstantsOption = Annotated[
    int | None, typer.Option(min=2, help="Train on so many past instants at most; chosen by default, and said.")
]
StepOption = Annotated[
    int | None, typer.Option(min=1, help="Days between training instants; chosen by default, and said.")
]
DelayOption = Annotated[int, typer.Option(min=0, help="Days after a window until its events have arrived.")]
AssignOption = Annotated[
    str, typer.Option(help="Who is assigned a tag: share, precision=0.5 or value=GAIN:COST.", metavar="RULE")
]
SeedOption = Annotated[int, typer.Option(help="Seed; with data and code it fixes the model byte for byte.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    train = typer.Typer(no_args_is_help=True, help="Train models.")
    train.command("tags")(train_tags)
    app.add_typer(train, name="train")
    app.command("retrain")(retrain)


def train_tags(
    taxonomy: TaxonomyOption,
    as_of: AsOfOption = "now",
    most_instants: InstantsOption = None,
    step_days: StepOption = None,
    delay_days: DelayOption = 0,
    assign: AssignOption = "share",
    seed: SeedOption = 7,
) -> None:
    """Train the tag models on all windows that are mature as of a date, and write a bundle."""
    choices = choices_of(most_instants, step_days, delay_days, assign, seed)
    job = job_of(taxonomy, as_of, choices)
    bundle = job.train()
    typer.echo(f"bundle {bundle}")
    typer.echo(f"next: zhongcao evaluate tags --taxonomy {taxonomy} --as-of {as_of}")


def retrain(
    taxonomy: TaxonomyOption,
    as_of: AsOfOption = "now",
    most_instants: InstantsOption = None,
    step_days: StepOption = None,
    delay_days: DelayOption = 0,
    assign: AssignOption = "share",
    seed: SeedOption = 7,
    accept: Annotated[
        list[str] | None, typer.Option(help="Name of a data check that may fail; needs --why.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why checks are accepted.")] = "",
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="Only where there is a reason, see zhongcao status.")
    ] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write the summary to this file, - for standard output.")
    ] = None,
) -> None:
    """Run the whole job: check the data, train, evaluate, compare, register, promote, fill the stores, report.

    Exit codes: 0 done, 2 error, 3 data gate shut, 4 a challenger not promoted, 5 another job runs, 6 log too short.
    """
    from features.durable import write_durably
    from features.taxonomy.taxonomy import load_taxonomy
    from serving.jobs.outcome import Code
    from serving.jobs.retrain import retrain as run

    summary = run(
        scoring_settings(),
        load_taxonomy(taxonomy),
        as_of,
        choices_of(most_instants, step_days, delay_days, assign, seed),
        accept=tuple(accept or ()),
        why=why,
        if_needed=if_needed,
    )
    if str(json_path) == "-":
        typer.echo(summary.text(), nl=False)
    elif json_path is not None:
        write_durably(json_path, summary.text())
    if summary.code not in (Code.DONE, Code.NOT_PROMOTED):
        typer.echo(f"error: {summary.said}", err=True)
    if summary.code:
        raise typer.Exit(summary.code)


def choices_of(
    most_instants: int | None, step_days: int | None, delay_days: int, assign: str, seed: int
) -> JobSettings:
    """Gather what the options say."""
    from training.tags.assignment import AssignmentRule
    from training.tags.fit import TagSettings
    from training.tags.job import JobSettings

    return JobSettings(
        tags=TagSettings(assign=AssignmentRule.parse(assign), seed=seed),
        step_days=step_days,
        most_instants=most_instants,
        delay_days=delay_days,
    )


def job_of(taxonomy: Path, as_of: str, choices: JobSettings) -> TagJob:
    """Return the run that a taxonomy file, a date and choices name."""
    from features.log.event_log import EventLog
    from features.taxonomy.taxonomy import load_taxonomy
    from training.source import present_of
    from training.steps import Steps
    from training.tags.job import TagJob

    settings = scoring_settings()
    instant = present_of(EventLog.open(settings), as_of)
    return TagJob(settings, load_taxonomy(taxonomy), instant, choices, Steps())
