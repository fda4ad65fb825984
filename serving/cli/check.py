"""The verb that looks at the log before models learn from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from features.settings import load_settings
from serving.cli.train import AsOfOption

SHUT: Final = 3
"""Exit code where a check fails; 2 is that of errors."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("check")(check)


def check(
    as_of: AsOfOption = "now",
    days: Annotated[int, typer.Option(min=1, help="Judge so many of the newest days, half of a short log.")] = 14,
    taxonomy: Annotated[
        Path | None, typer.Option(help="Taxonomy file whose verticals the rates of labels are judged by.")
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Name of a failed check that is right as it is; needs --why.")
    ] = None,
    why: Annotated[str, typer.Option(help="Why checks are accepted.")] = "",
    who: Annotated[str, typer.Option("--by", help="Who accepts them; the user of the machine by default.")] = "",
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")] = None,
) -> None:
    """Compare the newest days of the log with the days before, and say what models must not learn from."""
    import getpass
    import time

    from rich.console import Console

    from features.log.event_log import EventLog
    from features.taxonomy.taxonomy import load_taxonomy
    from serving.pages.checks_table import checks_table
    from training.gates.acceptance import Acceptance, accepted
    from training.gates.data import check_data
    from training.source import present_of

    log = EventLog.open(load_settings())
    verticals = None
    if taxonomy is not None:
        verticals = {vertical.id: vertical.categories for vertical in load_taxonomy(taxonomy).verticals}
    report = check_data(log, present_of(log, as_of), since_days=days, verticals=verticals)
    now = int(time.time())
    by = who or getpass.getuser()
    report = accepted(report, [Acceptance(name, by, why, now) for name in accept or ()])
    Console(markup=False).print(checks_table(report))
    if json_path is not None:
        json_path.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        typer.echo(f"wrote {json_path}")
    if not report.passed:
        typer.echo("the gate is shut: mend the data, or --accept a check --why it is right")
        raise typer.Exit(SHUT)
    typer.echo("next: zhongcao retrain --taxonomy FILE")
