"""The verb that values a delivery policy before money is spent on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.settings import load_settings
from serving.cli.train import AsOfOption, SeedOption

if TYPE_CHECKING:
    from serving.jobs.evaluate_policy import PolicyAnswer

PolicyOption = Annotated[
    str,
    typer.Option(
        help="uniform (each available note alike), by-score (more often what a model expects more of), or a CSV or "
        "Parquet file with columns note and weight, and event_id where weights differ by slot."
    ),
]
CampaignOption = Annotated[str | None, typer.Option(help="Show this campaign's notes alone; by default all notes.")]
RewardOption = Annotated[
    str, typer.Option(help="click, true_interest, link_click, store_visit, cart, purchase or ctcvr.")
]
FromOption = Annotated[str | None, typer.Option("--from", help="First day of the impressions; 30 days by default.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day of the impressions.")]
TemperatureOption = Annotated[float, typer.Option(help="Of by-score: the smaller, the more it favours the best.")]
ExploreOption = Annotated[float, typer.Option(min=0, max=1, help="Of by-score: share of slots filled alike.")]
ClipOption = Annotated[float | None, typer.Option(help="Cut larger weights to this; by default none are cut.")]
MostOption = Annotated[int, typer.Option(min=1, help="Read persons by lot until they have so many slots.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the group ``evaluate``, which must be there."""
    for group in app.registered_groups:
        if group.name == "evaluate" and group.typer_instance is not None:
            group.typer_instance.command("policy")(evaluate_policy)


def evaluate_policy(
    policy: PolicyOption = "uniform",
    campaign: CampaignOption = None,
    reward: RewardOption = "click",
    first: FromOption = None,
    last: ToOption = None,
    as_of: AsOfOption = "now",
    temperature: TemperatureOption = 1.0,
    explore: ExploreOption = 0.1,
    clip: ClipOption = None,
    most: MostOption = 200_000,
    seed: SeedOption = 7,
    json_path: JsonOption = None,
) -> None:
    """Say what a delivery policy would have brought, from impressions logged with their propensity.

    Where the log shows too little of what the policy would show, it refuses.
    """
    from features.durable import write_durably
    from serving.jobs.evaluate_policy import PolicyQuestion
    from serving.jobs.evaluate_policy import evaluate_policy as value_it
    from training.steps import Steps

    question = PolicyQuestion(policy, reward, campaign, first, last, as_of, temperature, explore, clip, most, seed)
    steps = Steps()
    found = value_it(load_settings(), question, steps)
    _tell(found)
    if json_path is not None:
        write_durably(json_path, json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n")
        typer.echo(f"wrote {json_path}")
    if found.refusal is not None:
        raise found.refusal
    typer.echo("next: the same for another policy; dr is the one to go by")


def _tell(found: PolicyAnswer) -> None:
    from rich.console import Console
    from rich.table import Table

    asked, overlap = found.question, found.overlap
    typer.echo(f"{found.slots:,} slots of {overlap.persons:,} people, {found.notes:,} notes to choose from")
    for why, many in found.left_out.items():
        typer.echo(f"left out: {many:,} slots ({why})")
    typer.echo(
        f"worth {overlap.effective:,.0f} slots of the policy's own; mean weight {overlap.mean_weight:.3f} "
        f"± {overlap.mean_weight_error:.3f}; one person bears {overlap.largest_share:.1%} at most"
    )
    if not found.estimates:
        return
    name = Path(asked.policy).name
    table = Table(title=f"{asked.reward} per 1,000 slots under {name}; logged: {found.brought * 1e3:.3f}")
    for column in ("", "value", "95 % interval", "more than logged", "95 % interval", "weight cut off"):
        table.add_column(column, justify="right")
    for method, value in found.estimates.items():
        table.add_row(
            method,
            f"{value.value * 1e3:.3f}",
            f"{value.low * 1e3:.3f} to {value.high * 1e3:.3f}",
            f"{value.gain * 1e3:+.3f}",
            f"{value.gain_low * 1e3:+.3f} to {value.gain_high * 1e3:+.3f}",
            f"{value.clipped:.1%}",
        )
    Console().print(table)
