"""Verbs for data: import, mapping, log, quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from features.errors import MappingError, SourceError
from features.named_files import require_new
from features.settings import load_settings
from serving.cli.imported import tell, tell_lacking, tell_next

COMPLETE_JOURNEY = "complete-journey"
WORLD = "world"

mapping_app = typer.Typer(no_args_is_help=True, help="Mapping files: how outside columns become canonical ones.")
quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that were refused: list, show, replay.")


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    app.command("import")(import_)
    app.command("log")(log)
    app.add_typer(mapping_app, name="mapping")
    app.add_typer(quarantine_app, name="quarantine")


def import_(
    data: Annotated[list[str], typer.Argument(help="Data files, or complete-journey, or world and its folder.")],
    mapping: Annotated[
        Path | None, typer.Option(help="Mapping file of the data files; complete-journey needs none.")
    ] = None,
    backfill: Annotated[
        bool,
        typer.Option("--backfill", help="The rows were known when they happened, though they are imported later."),
    ] = False,
    promotions: Annotated[
        bool,
        typer.Option("--promotions", help="complete-journey: also 12.4 M impressions of displays and mailers."),
    ] = False,
) -> None:
    """Import data files through a mapping, or the Complete Journey demo data.

    One import is one atomic version of the log. Importing a file twice adds nothing.

    Rows that cannot be imported are kept in quarantine with the reason.
    """
    if mapping is None and data[0] == WORLD:
        _import_world(data[1:])
        return

    from features.datasets.complete_journey import import_complete_journey
    from features.log.event_log import EventLog
    from features.log.importing import import_lock, import_rows
    from features.log.input import Input
    from features.progress import progress
    from features.sources.mapping import load_mapping
    from features.sources.open_reader import open_reader

    settings = load_settings()
    if mapping is None:
        if data != [COMPLETE_JOURNEY]:
            raise SourceError(
                "data files need a mapping", value=data[0], valid=[COMPLETE_JOURNEY, f"{WORLD} FOLDER"],
                next_step="give --mapping FILE; zhongcao mapping draft FILE writes a first one",
            )  # fmt: skip
        with progress() as bar:
            summaries = import_complete_journey(settings, promotions=promotions, bar=bar)
        for summary in summaries:
            tell(summary)
        typer.echo("next: zhongcao log")
        tell_lacking(settings)
        return
    read_with = load_mapping(mapping)
    inputs = [Input(open_reader(Path(file), read_with), read_with) for file in data]
    event_log = EventLog.open(settings, create=True, currency=read_with.currency)
    with import_lock(settings), progress() as bar:
        summary = import_rows(event_log, inputs, backfill=backfill, bar=bar)
    tell(summary)
    tell_next(settings, summary)


def log(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """Show what the log holds: counts per platform and kind, time span, people, quarantine, versions."""
    import json
    from dataclasses import asdict

    from features.log.event_log import EventLog
    from features.log.summary import summarise

    found = summarise(EventLog.open(load_settings()))
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    typer.echo(f"events version {found.version}, {found.timezone}, {found.currency}, {found.first} to {found.last}")
    typer.echo(f"{found.accounts:,} accounts of {found.people:,} people")
    for row in found.events:
        typer.echo(
            f"  {row['platform']:<14} {row['kind']:<12} {row['count']:>12,}  {row['first']} to {row['last']}"
        )
    typer.echo("tables: " + ", ".join(f"{name} {rows:,}" for name, rows in found.rows.items()))
    typer.echo("imports:")
    for entry in found.history:
        typer.echo(
            f"  {entry['table']} {entry['version']}: {entry.get('source', '')}, "
            f"accepted {entry.get('accepted', 0):,}, "
            f"duplicates {entry.get('duplicates', 0):,}, quarantined {entry.get('quarantined', 0):,}, "
            f"{entry.get('seconds', 0)} s" + (", back-fill" if entry.get("backfill") else "")
        )
    rows = sum(found.quarantined.values())
    typer.echo(f"quarantined rows: {rows:,}")
    train = "zhongcao retrain --taxonomy FILE; zhongcao taxonomy propose drafts a FILE"
    typer.echo(f"next: {'zhongcao quarantine list, or ' if rows else ''}{train}")


@mapping_app.command("draft")
def mapping_draft(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON lines or Parquet file.")],
    out: Annotated[
        Path | None, typer.Option(help="New file to write the mapping to, instead of standard output.")
    ] = None,
) -> None:
    """Guess a mapping, with the reason for each guess, and preview ten rows and what would be refused."""
    from features.proposals.mapping import draft

    if out is not None:
        require_new(out, MappingError)
    drafted = draft(file, load_settings())
    if out is None:
        typer.echo(drafted.toml)
    else:
        out.write_text(drafted.toml, encoding="utf-8")
        typer.echo(f"wrote {out}", err=True)
    typer.echo(drafted.preview, err=True)
    typer.echo(f"next: mend the mapping, then zhongcao import --mapping {out or 'FILE.toml'} {file}", err=True)


@quarantine_app.command("list")
def quarantine_list() -> None:
    """List the quarantines and why their rows were refused."""
    from features.log.quarantine import load, names, path_of, reasons_of

    settings = load_settings()
    found = names(settings)
    for name in found:
        files = load(settings, name)
        rows = sum(len(file.rows) for file in files)
        typer.echo(f"{name}  {rows:,} rows of {', '.join(sorted({file.name for file in files}))}")
        for reason, count in reasons_of(files).most_common():
            typer.echo(f"  {count:>8,}  {reason}")
        typer.echo(f"  {path_of(settings, name)}")
    typer.echo("next: zhongcao quarantine show NAME" if found else "nothing is in quarantine")


@quarantine_app.command("show")
def quarantine_show(
    name: Annotated[str, typer.Argument(help="Name of the quarantine.")],
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 20,
) -> None:
    """Show refused rows with file, line and reasons."""
    from features.log.quarantine import load, path_of

    settings = load_settings()
    shown = [(file, row) for file in load(settings, name) for row in file.rows][:rows]
    for file, row in shown:
        typer.echo(f"{file.name}:{row.line}: {row.raw}")
        for reason in row.reasons:
            value = "" if reason.value is None else f" {reason.value!r}:"
            typer.echo(f"    {reason.column}:{value} {reason.problem}")
    typer.echo(
        f"next: mend the mapping and run zhongcao quarantine replay {name} --mapping FILE, "
        f"or mend the text of raw in {path_of(settings, name)} and run zhongcao quarantine replay {name}"
    )


@quarantine_app.command("replay")
def quarantine_replay(
    name: Annotated[str, typer.Argument(help="Name of the quarantine.")],
    mapping: Annotated[Path | None, typer.Option(help="The mended mapping; else the one of the import.")] = None,
) -> None:
    """Import the rows of a quarantine again; those that are good now leave it."""
    from features.inbox.replay import replay
    from features.log.event_log import EventLog
    from features.progress import progress
    from features.sources.mapping import load_mapping

    settings = load_settings()
    event_log = EventLog.open(settings)
    with progress() as bar:
        summary = replay(event_log, name, mapping=load_mapping(mapping) if mapping else None, bar=bar)
    tell(summary)
    tell_next(settings, summary)


def _import_world(folders: list[str]) -> None:
    from serving.cli.world import import_world

    if len(folders) != 1:
        raise SourceError(
            "name the world's folder", value=" ".join(folders), next_step="zhongcao import world FOLDER"
        )
    import_world(Path(folders[0]))
