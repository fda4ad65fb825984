"""The verb that says what to spend a campaign's budget on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from features.settings import load_settings
from serving.cli.train import AsOfOption, SeedOption

CampaignOption = Annotated[str, typer.Option(help="Campaign of the log whose notes are to be shown.")]
BudgetOption = Annotated[float, typer.Option(help="In whole units of the log's currency.")]
DaysOption = Annotated[int, typer.Option(min=1, max=90, help="Days in which it is spent.")]
CapOption = Annotated[int, typer.Option(min=1, max=6, help="Most impressions of a note per person.")]
ExploreOption = Annotated[float, typer.Option(min=0, max=0.9, help="Share of the budget spent on everybody alike.")]
SlotsOption = Annotated[float, typer.Option(min=0.01, max=1, help="Most of anybody's ad slots that it may take.")]
TagsOption = Annotated[int, typer.Option(min=0, max=30, help="Audience tags at most.")]
MostOption = Annotated[int, typer.Option(min=100, help="People looked at; of more, so many by lot.")]
OutOption = Annotated[Path | None, typer.Option(help="Folder of plan.json and plan.html; the home by default.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("plan")(plan)


def plan(
    campaign: CampaignOption,
    budget: BudgetOption,
    days: DaysOption = 14,
    as_of: AsOfOption = "now",
    cap: CapOption = 4,
    explore: ExploreOption = 0.1,
    most_of_slots: SlotsOption = 0.5,
    tags: TagsOption = 8,
    most: MostOption = 20_000,
    seed: SeedOption = 7,
    out: OutOption = None,
) -> None:
    """Plan a campaign's delivery: which audiences see which notes where, for the most caused purchases.

    People's tolerance is a limit: no more hides per impression than so far.
    """
    from rich.console import Console

    from features.durable import write_durably
    from serving.jobs.delivery_plan import plan_delivery
    from serving.pages.plan_document import as_dict
    from serving.pages.plan_page import plan_table, sentences, write_plan_page
    from training.policy.plan_made import PlanQuestion
    from training.quality.json_figures import to_json
    from training.steps import Steps

    settings = load_settings()
    question = PlanQuestion(campaign, budget, days, as_of, cap, explore, most_of_slots, tags, most, seed)
    steps = Steps()
    found = plan_delivery(settings, question, steps)
    Console().print(plan_table(found))
    for sentence in sentences(found):
        typer.echo(sentence)
    folder = out or settings.report_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    document, page = folder / "plan.json", folder / "plan.html"
    write_durably(document, json.dumps(to_json(as_dict(found)), indent=1, ensure_ascii=False) + "\n")
    write_plan_page(page, found, settings.work_dir / "plan")
    steps.say(f"wrote {document} and {page}")
    typer.echo("next: give the ad server plan.json; let it log each choice's share as the impression's propensity")
