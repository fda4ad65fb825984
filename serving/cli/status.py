"""Verb ``status``: how things stand in a home, and whether there is a reason to retrain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from serving.cli.settings import scoring_settings


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("status")(status)


def status(
    taxonomy: Annotated[Path | None, typer.Option(help="Taxonomy file to compare with the champion's.")] = None,
    as_of: Annotated[str, typer.Option(help="Day, ISO time or 'now'.")] = "now",
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out drift and quality, which read the log.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show reasons to retrain with their evidence, how fresh everything is, the last runs and the models."""
    import json

    from rich.console import Console
    from rich.table import Table

    from features.taxonomy.taxonomy import load_taxonomy
    from serving.jobs.state_of_things import status_of
    from training.steps import Steps

    known = None if taxonomy is None else load_taxonomy(taxonomy)
    found = status_of(scoring_settings(), Steps(), as_of=as_of, taxonomy=known, quick=quick)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = Console(markup=False)
    given = found["reasons"]
    if isinstance(given, dict):
        typer.echo(given["problem"])
        given = []
    table = Table("reason to retrain", "", "what was found")
    for one in given:
        table.add_row(one["name"], "yes" if one["fired"] else "no", one["said"])
    console.print(table)
    fresh = Table("", "how fresh")
    for name, state in found["freshness"].items():
        fresh.add_row(name.replace("_", " "), _words(state))
    console.print(fresh)
    for kind, model in found["models"].items():
        typer.echo(f"{kind}: {_model(model)}")
    for run in found["runs"]:
        typer.echo(f"run {run['run']}: {run['code_name']}: {run['said'] or 'nothing to say'}")
    retrain = any(one["fired"] for one in given)
    file = taxonomy or "TAXONOMY.toml"
    typer.echo(f"next: zhongcao retrain --taxonomy {file}" if retrain else "next: nothing; there is no reason")


def _words(state: dict[str, Any]) -> str:
    return state.get("problem") or ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in state.items())


def _model(model: dict[str, Any]) -> str:
    if model["champion"] is None:
        return "none serves"
    later = ", ".join(f"{one['bundle']} ({one['reason'] or 'not compared'})" for one in model["challengers"])
    shadow = f"; shadow {_words(model['shadow'])}" if "shadow" in model else ""
    return f"{model['champion']} serves; challengers: {later or 'none'}{shadow}"
