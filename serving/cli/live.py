"""Verbs of live features: filling the stores from the log, and checking what is live against the batch."""

from __future__ import annotations

from typing import Annotated

import typer

from features.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.command("backfill")(backfill)
    app.command("parity")(parity)


def backfill(
    since_import: Annotated[
        bool,
        typer.Option("--since-import", help="Only people of whom events were imported since; all, if need be."),
    ] = False,
) -> None:
    """Fill the online store from the log for the champion, as of now, and for a conversion champion the histories.

    Events that are accepted meanwhile are counted afterwards, each once.
    """
    import time

    from features.log.event_log import EventLog
    from serving.histories.fill import fill_histories
    from serving.live.since_import import rebuild_histories, rebuild_rows
    from serving.online.backfill import backfill as run
    from training.bundles.champion import champion_path
    from training.source import present_of
    from training.steps import Steps
    from training.tags.bundle import load_bundle

    settings, steps = load_settings(), Steps()
    if settings.champion_file.exists() or not settings.conversion_champion_file.exists():
        bundle = load_bundle(champion_path(settings))
        kinds = bundle.about.get("choices", {}).get("kinds")
        renewed = rebuild_rows(settings, bundle, steps) if since_import else None
        if renewed is not None:
            typer.echo(f"rows of {renewed:,} people of whom events were imported, for {bundle.version}")
        else:
            info = run(settings, bundle, present_of(EventLog.open(settings), "now"), steps, kinds)
            typer.echo(f"rows of {info.people:,} people and {info.accounts:,} linked accounts for {bundle.version}")
    if settings.conversion_champion_file.exists():
        renewed = rebuild_histories(settings, steps) if since_import else None
        if renewed is not None:
            typer.echo(f"histories of {renewed:,} people of whom events were imported")
        else:
            held = fill_histories(settings, "now", int(time.time()), steps)
            typer.echo(f"histories of {held.people:,} people, from the {held.source}")
    typer.echo("next: zhongcao serve; a server that runs already answers from them at once")


def parity(
    sample: Annotated[int, typer.Option(min=1, help="How many people; half of them with recent events.")] = 200,
    seed: Annotated[int, typer.Option(help="Chooses the people.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare live rows and histories with what the batch computes from log and inbox; a difference exits with 1.

    May be run beside a server.
    """
    import json
    from dataclasses import asdict

    from serving.histories.sqlite_store import SqliteHistories
    from serving.live.parity import Parity, check_rows
    from serving.live.parity_histories import check_histories
    from serving.online.choice import open_store
    from training.bundles.champion import champion_path
    from training.tags.bundle import load_bundle

    settings, found = load_settings(), Parity()
    if settings.champion_file.exists() or not settings.conversion_champion_file.exists():
        store = open_store(settings)
        found += check_rows(settings, store, load_bundle(champion_path(settings)), sample, seed)
        store.close()
    if settings.conversion_champion_file.exists():
        histories = SqliteHistories(settings.histories_file)
        found += check_histories(settings, histories, sample, seed)
        histories.close()
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        typer.echo(
            f"{found.rows:,} rows, {found.fed:,} of them fed live, and {found.histories:,} histories compared; "
            f"{found.different:,} differ"
        )
        for one in found.differences:
            typer.echo(
                f"  {one.what} of person {one.person}: {one.column} is {one.live}, the batch says {one.batch}"
            )
        typer.echo("next: zhongcao backfill" if found.different else "next: zhongcao inbox status")
    raise typer.Exit(1 if found.different else 0)
