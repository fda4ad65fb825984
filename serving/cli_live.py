"""Verbs of live features: filling the stores from the log, and checking what is live against the batch."""

from __future__ import annotations

import typer

from features.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.command("backfill")(backfill)


def backfill() -> None:
    """Fill the online store from the log for the champion, as of now, and for a conversion champion the histories.

    Events that are accepted meanwhile are counted afterwards, each once.
    """
    import time

    from features.event_log import EventLog
    from serving.backfill import backfill as run
    from serving.fill_histories import fill_histories
    from training.bundle import load_bundle
    from training.champion import champion_path
    from training.source import present_of
    from training.steps import Steps

    settings, steps = load_settings(), Steps()
    if settings.champion_file.exists() or not settings.conversion_champion_file.exists():
        bundle = load_bundle(champion_path(settings))
        kinds = bundle.about.get("choices", {}).get("kinds")
        info = run(settings, bundle, present_of(EventLog.open(settings), "now"), steps, kinds)
        typer.echo(f"rows of {info.people:,} people and {info.accounts:,} linked accounts for {bundle.version}")
    if settings.conversion_champion_file.exists():
        held = fill_histories(settings, "now", int(time.time()), steps)
        typer.echo(f"histories of {held.people:,} people, from the {held.source}")
    typer.echo("next: zhongcao serve; a server that runs already answers from them at once")
