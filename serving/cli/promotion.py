"""Verbs of promotions: two models on the same later window, and a challenger that becomes the champion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from serving.cli.settings import scoring_settings

if TYPE_CHECKING:
    from training.gates.promotion import Verdict

SHUT: Final = 3
"""Exit code where the gate stays shut; 2 is that of errors."""

AsOfOption = Annotated[str, typer.Option(help="Day, ISO time or 'now': nothing later is looked at.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the verdict to this file.")]
_RUN: Final = "A bundle, a run id of MLflow, or tags:champion, tags:challenger, conversion:champion."


def compare(
    champion: Annotated[str, typer.Argument(help=_RUN)],
    challenger: Annotated[str, typer.Argument(help=_RUN)],
    as_of: AsOfOption = "now",
    json_path: JsonOption = None,
) -> None:
    """Compare two models on a window that neither knows, and say whether the second may replace the first."""
    from features.errors import BundleError
    from features.log.event_log import EventLog
    from serving.jobs.promotion import bundle_named, compared
    from training.source import present_of
    from training.steps import Steps

    settings = scoring_settings()
    (before, kind), (after, other) = (bundle_named(settings, run) for run in (champion, challenger))
    if kind is not other:
        raise BundleError("models of different kinds cannot be compared", value=(before.name, after.name))
    present = present_of(EventLog.open(settings), as_of)
    verdict = compared(settings, before, after, kind, present=present, steps=Steps())
    show(verdict)
    _write(json_path, verdict)
    typer.echo(f"next: zhongcao promote {after.name}" if verdict.promote else "next: the champion stays")


def promote(
    run: Annotated[str, typer.Argument(help=_RUN)],
    as_of: AsOfOption = "now",
    force: Annotated[bool, typer.Option(help="Promote whatever the gate says; --because says why.")] = False,
    because: Annotated[str, typer.Option(help="Why the gate is overruled; kept with the verdict.")] = "",
    json_path: JsonOption = None,
) -> None:
    """Make a model the champion where it is better than the one that serves, and worse at nothing guarded."""
    from features.errors import BundleError, ZhongcaoError
    from features.log.event_log import EventLog
    from serving.champions.running_servers import await_servers
    from serving.jobs.promotion import (
        bundle_named,
        champion_of,
        compared,
        forced_now,
        keep_verdict,
        promote_bundle,
    )
    from training.source import present_of
    from training.steps import Steps

    if force != bool(because.strip()):
        raise BundleError("who overrules the gate says why: --force and --because go together")
    settings = scoring_settings()
    folder, kind = bundle_named(settings, run)
    champion = champion_of(settings, kind)
    if champion is not None and champion.name == folder.name:
        typer.echo(f"{folder.name} is the champion already; next: zhongcao serving status")
        return
    present = present_of(EventLog.open(settings), as_of)
    try:
        verdict = compared(settings, champion, folder, kind, present=present, steps=Steps())
    except ZhongcaoError as error:
        if not force:
            raise
        typer.echo(f"promoted without a comparison: {error}")
    else:
        show(verdict)
        _write(json_path, verdict)
        if not verdict.promote and not force:
            typer.echo(f"not promoted; next: zhongcao promote {run} --force --because TEXT, if you know better")
            raise typer.Exit(SHUT)
        if not verdict.promote:
            keep_verdict(settings, folder.name, kind, verdict, forced_now(because.strip()))
    promote_bundle(settings, folder, kind)
    typer.echo(f"{folder.name} is the champion, in place of {'none' if champion is None else champion.name}")
    for line in await_servers(settings, kind, folder.name):
        typer.echo(line)
    typer.echo(f"next: zhongcao backfill, where it reads other columns; zhongcao rollback {kind.name} goes back")


def show(verdict: Verdict) -> None:
    """Print what was checked and found."""
    from rich.console import Console
    from rich.table import Table

    table = Table("check", "", "what was found", title=f"{verdict.people:,} people, {verdict.pairs:,} pairs")
    for check in verdict.report.checks:
        table.add_row(check.name, check.status, "\n".join((check.said, *check.examples)))
    Console(markup=False).print(table)
    typer.echo(verdict.reason)


def _write(path: Path | None, verdict: Verdict) -> None:
    if path is not None:
        path.write_text(json.dumps(verdict.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        typer.echo(f"wrote {path}")
