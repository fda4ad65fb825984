"""Verbs of the inbox: what live events wait, and moving them into the log now."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from features.settings import load_settings

BACKFILL: Final = "zhongcao backfill"
LOG_READER: Final = "log"
REPLAY: Final = {LOG_READER: "zhongcao inbox replay"}


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    inbox = typer.Typer(no_args_is_help=True, help="Live events on their way into the log.")
    inbox.command("status")(status)
    inbox.command("move")(move)
    inbox.command("retire")(retire)
    inbox.command("replay")(replay)
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
        told = "retired" if name in state.retired else f"{state.behind[name]:,} events behind"
        typer.echo(f"  reader {name}: {told}, at {seq} of {state.last_seq}")
    for name, reasons in sorted(state.aside.items()):
        why = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        typer.echo(f"  set aside, {name} could not take them: {why}")
        typer.echo(f"    next, once mended: {REPLAY.get(name, BACKFILL)}")
    typer.echo("next: zhongcao inbox move" if state.waiting or state.refused else "next: zhongcao log")


def retire(reader: Annotated[str, typer.Argument(help="As `zhongcao inbox status` names it.")]) -> None:
    """Wait for a reader no longer: what is in the log leaves the inbox, and the reader must be filled to go on.

    A server does so by itself for a store that has taken nothing while 200,000 events went into the log.
    """
    from features.inbox.hold import no_fill
    from features.inbox.inbox import Inbox
    from features.log.event_log import EventLog

    settings = load_settings()
    with Inbox(EventLog.open(settings)) as inbox:
        with no_fill(settings, reader):
            inbox.retire(reader)
        held = inbox.describe().held
    typer.echo(f"nothing waits for the reader {reader} now; {held:,} events are in the inbox")
    typer.echo(f"next, when it is wanted again: {BACKFILL}")


def replay() -> None:
    """Move events into the log that it could not take, once what stood in their way was mended."""
    from features.inbox.inbox import Inbox
    from features.inbox.mover import bring_back
    from features.log.event_log import EventLog

    log = EventLog.open(load_settings())
    with Inbox(log) as inbox:
        brought = bring_back(inbox, log)
        left = len(inbox.aside(LOG_READER))
    typer.echo(f"moved {brought:,} events into the log that were set aside; {left:,} still are")
    typer.echo(f"next: {BACKFILL}" if brought else "next: zhongcao inbox status")


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
    if done.aside:
        typer.echo(f"  {done.aside:,} could not be written and were set aside; see zhongcao inbox status")
    if done.quarantined:
        typer.echo(f"  {done.quarantined:,} rows are in quarantine {done.quarantine}")
        typer.echo(f"next: zhongcao quarantine show {done.quarantine}")
    else:
        typer.echo("next: zhongcao log")
