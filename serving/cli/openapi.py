"""The verb that writes the OpenAPI document of the prediction API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("openapi")(openapi)


def openapi(
    out: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Write the OpenAPI 3.1 document that a server answers at /v1/openapi.json."""
    from serving.api.openapi import openapi_bytes

    document = openapi_bytes()
    if out is None:
        typer.echo(document, nl=False)
        return
    out.write_bytes(document)
    typer.echo(f"wrote {out}; a running server answers the same at /v1/openapi.json")
