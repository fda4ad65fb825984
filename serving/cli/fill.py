"""The verb that fills the store of histories, from which conversions are predicted."""

from __future__ import annotations

from typing import Annotated

import typer

from features.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.command("fill")(fill)


def fill(
    as_of: Annotated[
        str, typer.Option(help="Day, ISO time or now; now is the end of a log that ended more than a day ago.")
    ] = "now",
) -> None:
    """Fill the store that conversions are predicted from with everybody's history; started again, it goes on."""
    import time

    from serving.histories.fill import fill_histories
    from training.steps import Steps

    info = fill_histories(load_settings(), as_of, int(time.time()), Steps())
    scores = f" with their scores of {info.scored_by}" if info.scored_by else ""
    typer.echo(
        f"histories of {info.people:,} people{scores} and {info.accounts:,} linked accounts, from the {info.source}"
    )
    typer.echo("next: zhongcao serve; a server that runs already answers from them at once")
