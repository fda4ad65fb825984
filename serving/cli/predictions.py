"""Verbs of the prediction log: what is kept, one prediction in words, and deleting what is too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from features.settings import load_settings

if TYPE_CHECKING:
    from datetime import date

    from serving.predictions.record import Prediction

_ID_WIDTH: Final = 36


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    predictions = typer.Typer(no_args_is_help=True, help="What the prediction API answered, as far as it is kept.")
    predictions.command("list")(list_predictions)
    predictions.command("show")(show)
    predictions.command("prune")(prune)
    app.add_typer(predictions, name="predictions")


def list_predictions(
    day: Annotated[
        str | None, typer.Option(help="List the predictions of this day (UTC), the latest first.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most predictions of the day.")] = 20,
) -> None:
    """List the days of which predictions are kept, or the predictions of one day."""
    from rich.console import Console
    from rich.table import Column, Table

    from serving.predictions.files import PredictionFiles
    from serving.predictions.words import time_in_words

    settings = load_settings()
    files = PredictionFiles(settings.predictions_dir)
    if day is not None:
        found = files.latest(_day(day), limit)
        table = Table(Column("prediction", min_width=_ID_WIDTH), "what", "model", "as of", "answered")
        for one in found:
            table.add_row(one.id, one.origin.kind, one.origin.model, time_in_words(one.as_of), str(len(one.answer)))
        Console(markup=False).print(table)
        typer.echo("next: zhongcao predictions show ID" if found else "nothing is kept of this day")
        return
    days = files.days()
    table = Table("day", "tags", "conversions", "MB")
    for kept in days:
        table.add_row(kept.day.isoformat(), f"{kept.tags:,}", f"{kept.conversions:,}", f"{kept.size / 1e6:.1f}")
    Console(markup=False).print(table)
    typer.echo(
        f"{settings.predictions_share:g} of predictions are kept, for {settings.predictions_days} days; "
        + (f"next: zhongcao predictions list --day {days[-1].day}" if days else "next: zhongcao serve")
    )


def show(
    prediction: Annotated[str, typer.Argument(metavar="ID", help="The prediction_id of an answer.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything that is kept, as JSON.")] = False,
) -> None:
    """Show a prediction: what was asked and answered, and what it takes to compute it again."""
    import json

    from serving.predictions.log import read
    from serving.predictions.words import facts_in_words, rows_in_words

    settings = load_settings()
    found = read(settings, prediction)
    if as_json:
        typer.echo(json.dumps(_plain(found), ensure_ascii=False, indent=1))
        return
    for name, value in facts_in_words(found):
        typer.echo(f"{name:<14} {value}")
    typer.echo()
    for line in rows_in_words(found, settings):
        typer.echo(f"  {line}")


def prune() -> None:
    """Delete the days that are kept longer than predictions_days; a running server does the same every day."""
    from datetime import UTC, datetime

    from serving.predictions.files import PredictionFiles

    settings = load_settings()
    today = datetime.now(UTC).date()
    gone = PredictionFiles(settings.predictions_dir).prune(today, settings.predictions_days)
    typer.echo(f"deleted {gone} {'day' if gone == 1 else 'days'} of predictions; next: zhongcao predictions list")


def _day(text: str) -> date:
    from datetime import date

    from features.errors import PredictionLogError

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise PredictionLogError("this is no day", value=text, valid=["a day such as 2026-11-22"]) from error


def _plain(found: Prediction) -> dict[str, object]:
    from dataclasses import asdict

    kept = asdict(found)
    # JSON has no NaN.
    kept["features"] = None if found.features is None else [str(value) for value in found.features.ravel()]
    return {"made_at": found.made_at, **kept}
