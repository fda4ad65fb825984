"""Verbs for conversion models: train them, and measure them on later impressions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.settings import scoring_settings
from serving.cli.train import AsOfOption, SeedOption

if TYPE_CHECKING:
    from training.conversion.job import ConversionJob

StrategyOption = Annotated[
    str,
    typer.Option(
        help="Impressions whose window is not over: corrected counts each by the share of conversions that could "
        "be seen, mature leaves them out, negative takes what was not seen for something that never comes."
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option(min=1, help="Days after an impression for every target; by default 1 to 15, by target."),
]
MatchOption = Annotated[
    str, typer.Option(help="What a purchase shares with the impression: note (it names the note), brand or items.")
]
DelayOption = Annotated[int, typer.Option(min=0, help="Days that events take to arrive.")]
MostDaysOption = Annotated[int, typer.Option(min=1, help="Learn from impressions of so many days at most.")]
MostOption = Annotated[int, typer.Option(min=1_000, help="Learn from about so many impressions.")]
PaidOption = Annotated[bool, typer.Option("--paid-only", help="Leave impressions out that nobody paid for.")]
TagsOption = Annotated[
    str,
    typer.Option(
        help="Tag models whose scores become columns: the newest bundle of the home that knows nothing of the "
        "impressions, a bundle (name or folder; impressions from its date on are learned from), or none."
    ),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the groups ``train`` and ``evaluate``, which must be there."""
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    for name, verb in (("train", train_conversion), ("evaluate", evaluate_conversion)):
        group = groups[name]
        if group is not None:
            group.command("conversion")(verb)


def train_conversion(
    as_of: AsOfOption = "now",
    strategy: StrategyOption = "corrected",
    window_days: WindowOption = None,
    match: MatchOption = "note",
    delay_days: DelayOption = 0,
    most_days: MostDaysOption = 90,
    most: MostOption = 800_000,
    paid_only: PaidOption = False,
    tags: TagsOption = "newest",
    seed: SeedOption = 7,
) -> None:
    """Train the conversion models as of a date, register them, and make them the ones that serve."""
    from serving.jobs.register_conversion import register_conversion
    from training.bundles.champion import promote
    from training.bundles.manifest import CONVERSION

    job = _job(as_of, strategy, window_days, match, delay_days, most_days, most, paid_only, seed, tags)
    bundle = job.train()
    _tell(job, bundle)
    promote(job.settings, bundle, kind=CONVERSION)
    register_conversion(job, bundle)
    typer.echo(f"bundle {bundle}")
    typer.echo("next: zhongcao fill, then zhongcao serve; or zhongcao evaluate conversion --as-of DAY")


def evaluate_conversion(
    as_of: AsOfOption,
    days: Annotated[int, typer.Option(min=1, help="Impressions of so many days from the date on.")] = 14,
    strategy: StrategyOption = "corrected",
    window_days: WindowOption = None,
    match: MatchOption = "note",
    delay_days: DelayOption = 0,
    most_days: MostDaysOption = 90,
    most: MostOption = 800_000,
    paid_only: PaidOption = False,
    tags: TagsOption = "newest",
    seed: SeedOption = 7,
    json_path: JsonOption = None,
) -> None:
    """Evaluate the conversion models trained as of a date on the impressions from that date on.

    A model that was not trained yet with these choices is trained first; what serves stays as it is.
    """
    from features.durable import write_durably
    from serving.pages.conversion_page import quality_tables, write_conversion_page

    job = _job(as_of, strategy, window_days, match, delay_days, most_days, most, paid_only, seed, tags)
    bundle = job.train()
    _tell(job, bundle)
    found = job.evaluate(bundle, days)
    for table in quality_tables(found):
        job.steps.console.print(table)
    page = write_conversion_page(job.settings.report_file.with_name("conversion.html"), job, bundle, found)
    typer.echo(f"wrote {page}")
    if json_path is not None:
        document = {"bundle": bundle.name, **found.as_dict()}
        write_durably(json_path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        typer.echo(f"wrote {json_path}")
    typer.echo("next: zhongcao train conversion, which also registers and promotes")


def _job(
    as_of: str,
    strategy: str,
    window_days: int | None,
    match: str,
    delay_days: int,
    most_days: int,
    most: int,
    paid_only: bool,
    seed: int,
    tags: str,
) -> ConversionJob:
    from features.log.event_log import EventLog
    from training.conversion.fit import FitSettings
    from training.conversion.job import ConversionChoices, ConversionJob, match_of, strategy_of
    from training.source import present_of
    from training.steps import Steps

    settings = scoring_settings()
    choices = ConversionChoices(
        fit=FitSettings(strategy=strategy_of(strategy), seed=seed),
        window_days=window_days,
        match=match_of(match),
        delay_days=delay_days,
        most_days=most_days,
        most_examples=most,
        paid_only=paid_only,
        tags=None if tags == "none" else tags,
    )
    instant = present_of(EventLog.open(settings), as_of)
    return ConversionJob(settings, instant, choices, Steps())


def _tell(job: ConversionJob, bundle: Path) -> None:
    """Say what was learned, and what was left out."""
    from training.conversion.bundle import load_conversion_bundle

    made = load_conversion_bundle(bundle)
    log = made.about["training"]
    windows = ", ".join(f"{target} within {days:g} d" for target, days in made.model.window_days.items())
    job.steps.say(f"targets: {windows}")
    for target in log["left_out"]:
        job.steps.say(f"{target} is left out: it came true for too few impressions of this log, or only lately")
    for target, other in log["same"].items():
        job.steps.say(f"{target} came true where {other} did, and shares its model")
