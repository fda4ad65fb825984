"""Verbs of the champions: which serve and served, where, and back to the one before."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.settings import load_settings
from serving.cli.promotion import compare, promote

if TYPE_CHECKING:
    from training.bundles.manifest import Kind


class KindName(StrEnum):
    """The kinds of bundles that serve."""

    tags = "tags"
    conversion = "conversion"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("compare")(compare)
    app.command("promote")(promote)
    app.command("rollback")(roll_back)
    serving = typer.Typer(no_args_is_help=True, help="What serves.")
    serving.command("status")(status)
    app.add_typer(serving, name="serving")


def roll_back(kind: Annotated[KindName, typer.Argument(help="Which models: tags or conversion.")]) -> None:
    """Make the bundle that served before the champion again; a running server takes it up within seconds."""
    from serving.champions.rollback import rollback
    from serving.champions.running_servers import await_servers

    settings, chosen = load_settings(), _kind(kind)
    left, now = rollback(settings, chosen)
    typer.echo(f"{now} is the champion again, in place of {left}")
    for line in await_servers(settings, chosen, now):
        typer.echo(line)
    typer.echo(f"next: zhongcao serving status; zhongcao rollback {kind} goes one further back")


def status() -> None:
    """Show the champions, those before them, and what each running server serves."""
    from rich.console import Console
    from rich.table import Table

    from serving.champions.running_servers import running_servers
    from serving.cli.imported import tell_lacking
    from training.bundles.pointer import promotions

    settings = load_settings()
    table = Table("models", "bundle", "since", "how")
    for name in KindName:
        for number, move in enumerate(promotions(settings, _kind(name))):
            table.add_row(
                name, move.bundle, _when(move.at), f"{move.how}, the champion" if not number else move.how
            )
    Console(markup=False).print(table)
    tell_lacking(settings)
    servers = running_servers(settings)
    for server in servers:
        for name in KindName:
            for line in _lines(server[name]):
                typer.echo(f"port {server['port']}, {name}: {line}")
    if not servers:
        typer.echo("no server of this home runs on this machine; next: zhongcao serve")


def _lines(state: dict[str, Any]) -> list[str]:
    following = state.get("next")
    if "model" not in state:
        return [f"not answered: {state['problem']}"]
    now = f"{state['model']} answers since {_when(state['since'])}"
    if following is None:
        return [now]
    said = {"loads": "is being checked", "waits": "waits", "refused": "is refused"}[following["state"]]
    why = f": {following['problem']}" if "problem" in following else ""
    return [now, f"{following['bundle']} {said}{why}"]


def _kind(name: KindName) -> Kind:
    from training.bundles.manifest import CONVERSION, TAGS

    return TAGS if name is KindName.tags else CONVERSION


def _when(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
