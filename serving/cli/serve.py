"""Verbs of serving: the prediction API and its keys."""

from __future__ import annotations

from typing import Annotated

import typer

from features.settings import load_settings
from serving.cli.settings import scoring_settings


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("serve")(serve)
    keys = typer.Typer(no_args_is_help=True, help="API keys of the prediction API.")
    keys.command("add")(add_key)
    keys.command("list")(list_keys)
    keys.command("revoke")(revoke_key)
    app.add_typer(keys, name="keys")


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on, else the setting; beyond loopback callers need a key.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on, else the setting.")] = None,
    require_key: Annotated[
        bool, typer.Option("--require-key", help="Callers on loopback need a key too, as behind a proxy.")
    ] = False,
) -> None:
    """Serve the champion model's tags over HTTP until stopped."""
    from serving.server.serve import serve as run

    given: dict[str, object] = {"host": host, "port": port}
    given = {name: value for name, value in given.items() if value is not None}
    run(scoring_settings(**given), require_key=require_key)
    typer.echo("stopped; `zhongcao serve` starts it again")


def add_key(
    name: Annotated[str, typer.Option(help="Whom the key is for.")],
    scope: Annotated[
        list[str], typer.Option(help="What it opens: predict, ingest, export or admin; repeat for several.")
    ],
    brand: Annotated[
        str | None, typer.Option(help="The only brand whose data it opens; predictions are of no single brand.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; never by default.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a second that it may send; any number by default.")
    ] = None,
) -> None:
    """Make an API key and show it, once."""
    from serving.guard.access import KeyRing

    secret, key = KeyRing(load_settings().access_file).add(name, scope, brand=brand, days=days, rate=rate)
    typer.echo(secret)
    typer.echo(f"made key {key.id}; it is not shown again. Send it as `Authorization: Bearer KEY`", err=True)
    typer.echo(f"next: zhongcao serve --host 0.0.0.0; zhongcao keys revoke {key.id} takes it back", err=True)


def list_keys() -> None:
    """List the API keys, without their secrets."""
    import time
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from serving.guard.access import KeyRing

    table = Table("id", "name", "scopes", "brand", "rate", "made", "expires")
    now = time.time()
    keys = KeyRing(load_settings().access_file).known()
    for key in keys:
        made = datetime.fromtimestamp(key.created, UTC).date().isoformat()
        end = "never" if key.expires is None else datetime.fromtimestamp(key.expires, UTC).date().isoformat()
        expires = f"{end} (expired)" if key.expired(now) else end
        rate = "any" if key.rate is None else f"{key.rate:g}/s"
        table.add_row(key.id, key.name, ", ".join(key.scopes), key.brand or "all", rate, made, expires)
    Console(markup=False).print(table)
    count = "1 key" if len(keys) == 1 else f"{len(keys)} keys"
    typer.echo(f"{count}; `zhongcao keys add` makes one, `zhongcao keys revoke ID` takes one back")


def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `zhongcao keys list` shows it.")],
) -> None:
    """Take an API key back; a running server refuses it at once."""
    from serving.guard.access import KeyRing

    key = KeyRing(load_settings().access_file).revoke(key_id)
    typer.echo(f"revoked key {key.id} of {key.name}; `zhongcao keys list` shows the others")
