"""How an import went, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from features.log.importing import Summary
    from features.settings import Settings


def tell(summary: Summary) -> None:
    """Say how an import went."""
    typer.echo(
        f"{summary.table}: read {summary.read:,}, accepted {summary.accepted:,}, "
        f"duplicates {summary.duplicates:,}, "
        f"quarantined {summary.quarantined:,}, skipped {summary.skipped:,} in {summary.seconds:.1f} s; "
        f"version {summary.version}"
    )
    for reason, count in summary.reasons.items():
        typer.echo(f"  {count:>8,}  {reason}")
    if summary.erased:
        typer.echo(f"  {summary.erased:>8,}  of people who were erased, kept nowhere")
    for what, count in (("item", summary.unknown_items), ("note", summary.unknown_notes)):
        if count:
            typer.echo(f"  {count:,} events name {what}s that the log does not know; import {what}s first")


def tell_next(settings: Settings, summary: Summary) -> None:
    """Say what to do after an import; filled live rows do not hold what came by file."""
    filled = settings.store != "sqlite" or settings.store_file.exists() or settings.histories_file.exists()
    if summary.accepted and filled:
        typer.echo("live rows and histories do not hold these rows until zhongcao backfill has run")
    typer.echo(
        f"next: zhongcao quarantine show {summary.quarantine}" if summary.quarantine else "next: zhongcao log"
    )
