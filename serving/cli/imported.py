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
    """Say what to do after an import, see `tell_lacking`."""
    typer.echo(
        f"next: zhongcao quarantine show {summary.quarantine}" if summary.quarantine else "next: zhongcao log"
    )
    tell_lacking(settings)


def tell_lacking(settings: Settings) -> None:
    """Say what filled stores lack of what came by file."""
    from serving.live.imports import lacking

    if settings.store != "sqlite" or settings.store_file.exists() or settings.histories_file.exists():
        for reader, lacks in lacking(settings).items():
            if lacks:
                typer.echo(f"live events, {reader}: {lacks}")
