"""Verbs that tell where things come from: predictions computed again, and the lineage of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from features.settings import load_settings

if TYPE_CHECKING:
    from serving.reproduction.reproduce import Reproduced


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.command("reproduce")(reproduce)
    app.command("lineage")(lineage)


def reproduce(
    predictions: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="The prediction_id of answers.")
    ] = None,
    latest: Annotated[int, typer.Option(min=0, help="So many of the latest predictions that are kept, too.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute kept predictions again from log, bundle and code, and compare features and scores bit by bit.

    Exits with 0 where all are the same, 1 where one differs, and 3 where one cannot be computed again because
    people were erased, or a bundle or the log is gone.
    """
    import json
    from dataclasses import asdict

    from features.errors import PredictionLogError
    from serving.reproduction.reproduce import Code, Reproducer
    from serving.reproduction.reproduce import latest as latest_kept

    settings = load_settings()
    ids = [*(predictions or []), *(latest_kept(settings, latest) if latest else [])]
    if not ids:
        raise PredictionLogError(
            "no prediction is named" if not latest else "no prediction is kept",
            next_step="give an ID or --latest N; `zhongcao predictions list` lists what is kept",
        )
    found = list(Reproducer(settings).again(ids))
    if as_json:
        typer.echo(json.dumps([{"code_name": one.code.name.lower(), **asdict(one)} for one in found], indent=1))
    else:
        for one in found:
            _tell(one)
        typer.echo(f"{sum(one.code == Code.SAME for one in found):,} of {len(found):,} are the same, bit by bit")
        typer.echo(f"next: zhongcao predictions show {found[0].id}")
    raise typer.Exit(_code([one.code for one in found]))


def lineage(
    model: Annotated[
        str, typer.Argument(help="A bundle, a run id of MLflow, or tags:champion, conversion:champion.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show where a model comes from: data, code, taxonomy, erasures since, parents, verdicts and promotions."""
    import json

    from serving.jobs.lineage import lineage as lineage_of
    from serving.jobs.lineage import tree
    from serving.jobs.promotion import bundle_named

    settings = load_settings()
    found = lineage_of(settings, *bundle_named(settings, model))
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else "\n".join(tree(found)))


def _tell(one: Reproduced) -> None:
    typer.echo(f"{one.id} {one.said}")
    for line in (*one.differences, *one.notes):
        typer.echo(f"  {line}")


def _code(codes: list[int]) -> int:
    """Return the exit code of several predictions: one that differs says more than one that is gone."""
    return 1 if 1 in codes else max(codes)
