"""Verbs for worlds: make one whose truth is known, and look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from serving.cli.imported import tell, tell_lacking

world_app = typer.Typer(
    no_args_is_help=True, help="Simulated worlds of notes, ads and purchases, in which the truth is known."
)


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.add_typer(world_app, name="world")


@world_app.command("make")
def make(
    out: Annotated[Path, typer.Option(help="New folder for the world, or that of a run that was cut off.")],
    people: Annotated[int, typer.Option(min=1, help="How many people.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="How many days.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    campaigns: Annotated[int, typer.Option(min=0, help="How many campaigns.")] = 12,
    start: Annotated[str, typer.Option(help="First day; the default's 90 days hold 618.")] = "2024-04-01",
    policy: Annotated[
        Literal["broad", "interest"],
        typer.Option(help="broad: ads for all alike; interest: more often to those who lately read about it."),
    ] = "broad",
    hold_out: Annotated[
        float, typer.Option(min=0, max=1, help="Share of people kept from each campaign; they see house ads.")
    ] = 0.1,
    effect: Annotated[
        float, typer.Option(min=0, max=10, help="Multiplies how much notes raise the desire for a brand.")
    ] = 1.0,
    no_effect: Annotated[int, typer.Option(min=0, help="How many of the campaigns change nothing.")] = 0,
    prepares: Annotated[
        int, typer.Option(min=0, help="How many of the campaigns only prepare sales: notes without a link.")
    ] = 0,
    all_linked: Annotated[
        bool, typer.Option("--all-linked", help="Every shop account is known to be its person's from the start.")
    ] = False,
    organic_truth: Annotated[
        bool, typer.Option("--organic-truth", help="Write true probabilities of organic impressions too.")
    ] = False,
) -> None:
    """Make a world: events and tables to import, and apart what campaigns and notes really caused.

    A run that was cut off goes on where the same command is given again.
    """
    from features.progress import progress
    from features.world.policy import BroadPolicy, InterestPolicy
    from features.world.settings import WorldSettings
    from features.world.writer import parts_of, write_world

    settings = WorldSettings(
        people=people, days=days, seed=seed, campaigns=campaigns, start=start, hold_out=hold_out, effect=effect,
        no_effect=no_effect, prepares=prepares, all_linked=all_linked, organic_truth=organic_truth,
    )  # fmt: skip
    chooses = BroadPolicy() if policy == "broad" else InterestPolicy()
    with progress() as bar:
        task = bar.add_task("days", total=days * len(parts_of(settings)))
        written = write_world(settings, chooses, out, lambda: bar.advance(task))
    kept = f", {written.kept} of {days} days were there already" if written.kept else ""
    typer.echo(f"{out}: {written.events:,} events of {people:,} people on {days} days{kept}")
    typer.echo(f"the truth is in {out / 'truth'}; nothing that learns may read it")
    typer.echo(f"next: zhongcao world show {out}, or zhongcao import world {out}")


@world_app.command("show")
def show(folder: Annotated[Path, typer.Argument(help="Folder of a finished world.")]) -> None:
    """Write a page that sets the world's marginals beside published ones, and says what its campaigns caused."""
    from serving.pages.world_page import write_world_page

    typer.echo(f"wrote {write_world_page(folder)}")
    typer.echo(f"next: open it in a browser, then zhongcao import world {folder}")


def import_world(folder: Path) -> None:
    """Import a world's events and tables."""
    from features.days import day_text
    from features.log.event_log import EventLog
    from features.progress import progress
    from features.settings import load_settings
    from features.world.folder import description, settings_of
    from features.world.importing import import_world as bring_in

    settings, last = load_settings(), settings_of(description(folder)).end
    with progress() as bar:
        summaries = bring_in(settings, folder, bar=bar)
    for summary in summaries:
        tell(summary)
    as_of = day_text(last, EventLog.open(settings).timezone)
    typer.echo(f"next: zhongcao log, then zhongcao retrain --taxonomy {folder / 'taxonomy.toml'} --as-of {as_of}")
    tell_lacking(settings)
