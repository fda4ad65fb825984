"""Verbs of the inbox: what live events wait, and moving them into the log now."""

from __future__ import annotations

import typer

from features.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    inbox = typer.Typer(no_args_is_help=True, help="Live events on their way into the log.")
    inbox.command("status")(status)
    inbox.command("move")(move)
    app.add_typer(inbox, name="inbox")


def status() -> None:
    """Show how many live events wait to be moved into the log or into quarantine."""
    from features.inbox.state import state_in

    settings = load_settings()
    state = state_in(settings.inbox_file)
    if state is None:
        typer.echo("there is no inbox yet; next: zhongcao serve, then POST /v1/events")
        return
    typer.echo(
        f"{state.waiting:,} events wait for the log, {state.refused:,} rows for quarantine; "
        f"{state.seen:,} ids were seen, by import or live"
    )
    for name, seq in sorted(state.readers.items()):
        typer.echo(f"  reader {name}: at {seq} of {state.last_seq}")
    typer.echo("next: zhongcao inbox move" if state.waiting or state.refused else "next: zhongcao log")


def move() -> None:
    """Move live events into the log now, and those that are not valid into quarantine.

    A running server does the same every move_seconds.
    """
    from features.inbox.inbox import Inbox
    from features.inbox.mover import move as run
    from features.log.event_log import EventLog

    log = EventLog.open(load_settings())
    with Inbox(log) as inbox:
        done = run(inbox, log)
    typer.echo(f"moved {done.events:,} events into version {done.version} of the log")
    if done.superseded:
        typer.echo(f"  {done.superseded:,} more were imported since they were accepted; the log holds them once")
    if done.quarantined:
        typer.echo(f"  {done.quarantined:,} rows are in quarantine {done.quarantine}")
        typer.echo(f"next: zhongcao quarantine show {done.quarantine}")
    else:
        typer.echo("next: zhongcao log")
