"""The verb that estimates effects person by person, and says whom to show it to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.settings import Settings
    from training.uplift.trial import Trial
    from training.uplift.worth import ArmWorth

DataOption = Annotated[Path | None, typer.Option(help="CSV or Parquet file of a trial, one row per person.")]
CampaignOption = Annotated[str | None, typer.Option(help="Or a campaign of the log that has a hold-out.")]
TreatmentOption = Annotated[str | None, typer.Option(help="Column of the arm; with --data.")]
OutcomeOption = Annotated[
    str | None,
    typer.Option(help="Column of the outcome; for a campaign purchases (default), revenue or visits of its brand."),
]
ControlOption = Annotated[
    str | None, typer.Option(help="Arm of those who were shown nothing, where it cannot be told.")
]
LearnerOption = Annotated[str, typer.Option(help="s, t, x, or auto: the mean of s and x.")]
PersonOption = Annotated[str | None, typer.Option(help="Column of the people's keys; row numbers by default.")]
PropensityOption = Annotated[str | None, typer.Option(help="Column of the known chance of being treated.")]
FitOption = Annotated[
    bool,
    typer.Option("--fit-propensity", help="Arms were not drawn by lot: fit their chances."),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option(help="A column that is not to be used; may be given several times.")
]
KeepOption = Annotated[
    list[str] | None, typer.Option(help="A column to be used though it looks as if known only afterwards.")
]
WindowOption = Annotated[int, typer.Option(min=1, help="Days after a campaign's end in which outcomes count.")]
OutOption = Annotated[Path | None, typer.Option(help="Write everybody to this CSV file, best first.")]
PageOption = Annotated[Path | None, typer.Option(help="The page; uplift.html in the home by default.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
FoldsOption = Annotated[int, typer.Option(min=2, help="Fits; everybody is ranked by the one without them.")]
SeedOption = Annotated[int, typer.Option(help="Fixes folds, models and draws.")]
AsOfOption = Annotated[str, typer.Option("--as-of", help="For a campaign: only what was known then counts.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("uplift")(uplift)


def uplift(
    data: DataOption = None,
    treatment: TreatmentOption = None,
    outcome: OutcomeOption = None,
    control: ControlOption = None,
    campaign: CampaignOption = None,
    learner: LearnerOption = "auto",
    person: PersonOption = None,
    propensity: PropensityOption = None,
    fit_propensity: FitOption = False,
    ignore: IgnoreOption = None,
    keep: KeepOption = None,
    window_days: WindowOption = 14,
    as_of: AsOfOption = "now",
    folds: FoldsOption = 5,
    seed: SeedOption = 7,
    out: OutOption = None,
    page: PageOption = None,
    json_path: JsonOption = None,
) -> None:
    """Estimate whom a note or an ad changes, from a trial: rank people by effect, not by probability.

    Either --data with --treatment and --outcome, or --campaign.
    """
    from features.errors import TrainingError
    from features.locks import READING_LOCK, Shared
    from features.rights.ledger import note_output
    from serving.pages.uplift_page import write_ranking, write_uplift
    from training.steps import Steps
    from training.uplift.averaged import AveragedLearner
    from training.uplift.learners import LEARNERS
    from training.uplift.plots import draw_worth
    from training.uplift.trial import read_trial
    from training.uplift.worth import measure, rank_people

    kinds = LEARNERS | {"auto": AveragedLearner}
    if learner not in kinds:
        raise TrainingError("no such learner", value=learner, valid=kinds)
    settings = load_settings()
    steps = Steps()
    # Whoever is erased meanwhile would stand in the ranking: the erasure waits until it is written and noted.
    reading = None if campaign is None else Shared(settings.work_dir / READING_LOCK)
    if data is not None and treatment and outcome and campaign is None:
        trial = read_trial(
            data, treatment=treatment, outcome=outcome, control=control, person=person, propensity=propensity,
            ignore=ignore or (), keep=keep or (), by_lot=not fit_propensity,
        )  # fmt: skip
    elif campaign is not None and data is None:
        outcome = outcome or "purchases"
        trial = _campaign_trial(settings, campaign, outcome, window_days, as_of)
    else:
        raise TrainingError(
            "a trial is needed", next_step="give --data with --treatment and --outcome, or --campaign without them"
        )
    for name, why in trial.left_out.items():
        steps.say(f"not used: {name} ({why})")
    fitted = kinds[learner](folds=folds, fit_propensity=fit_propensity, seed=seed)
    with steps.step("fit", 1) as advance:
        ranked = rank_people(trial, fitted)
        advance()
    with steps.step("measure", 1) as advance:
        arms = measure(trial, fitted, ranked)
        advance()
    _show(arms, outcome)
    called = f"{learner.upper()}-learner" if learner != "auto" else "mean of S- and X-learner"
    size = f"{len(trial.codes):,} people, {len(trial.columns)} columns"
    facts = [f"{data.name if data else campaign}: {size}", called, f"{folds} folds, seed {seed}"]
    page = page or settings.report_file.with_name("uplift.html")
    command = f"zhongcao uplift --campaign {campaign}" if campaign else f"zhongcao uplift --data {data} …"
    write_uplift(
        page, arms=arms, outcome=outcome, facts=facts, left_out=trial.left_out,
        plots=draw_worth(arms, settings.work_dir / "uplift"), commands=[f"{command} --out ranking.csv"],
    )  # fmt: skip
    steps.say(f"wrote {page}")
    if json_path is not None:
        _write_json(json_path, facts, outcome, arms)
        steps.say(f"wrote {json_path}")
    if out is None:
        steps.say("next: the same with --out ranking.csv, which lists everybody, those who gain most first")
    else:
        note_output(settings, out)
        gaining = write_ranking(out, trial, ranked)
        steps.say(f"wrote {out}: {gaining:,} of {len(trial.codes):,} people are expected to gain")
    del reading


def _show(arms: Sequence[ArmWorth], outcome: str) -> None:
    from rich.console import Console

    from serving.pages.uplift_page import verdict, worth_table

    for worth in arms:
        Console().print(worth_table(worth, outcome))
        typer.echo(verdict(worth))


def _write_json(path: Path, facts: list[str], outcome: str, arms: Sequence[ArmWorth]) -> None:
    from training.quality.json_figures import to_json

    document = {"facts": facts, "outcome": outcome, "arms": {worth.arm: worth.as_dict() for worth in arms}}
    path.write_text(json.dumps(to_json(document), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _campaign_trial(settings: Settings, campaign: str, outcome: str, window_days: int, as_of: str) -> Trial:
    from features.log.event_log import EventLog
    from serving.jobs.contribution_source import open_tables
    from training.source import present_of
    from training.uplift.campaign import campaign_trial

    log = EventLog.open(settings)
    present = present_of(log, as_of)
    with open_tables(log) as tables:
        return campaign_trial(
            tables.events, tables.identities, tables.assignments, tables.campaigns, campaign=campaign,
            outcome=outcome, window_days=window_days, known_at=present, timezone=log.timezone,
        )  # fmt: skip
