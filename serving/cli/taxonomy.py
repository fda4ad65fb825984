"""Verbs of the taxonomy: read, check and draft tags."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import TaxonomyError
from features.named_files import require_new
from features.settings import load_settings

if TYPE_CHECKING:
    from features.taxonomy.taxonomy import Taxonomy

TaxonomyOption = Annotated[
    Path | None, typer.Option(help="Taxonomy file; the serving model's taxonomy by default.", show_default=False)
]
AsOfOption = Annotated[str, typer.Option(help="Day, ISO time or 'now': nothing later is looked at.")]


class DraftShape(StrEnum):
    """What a drafted taxonomy is made of."""

    AUDIENCE = "audience"
    CATEGORIES = "categories"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    taxonomy = typer.Typer(no_args_is_help=True, help="Read, check and draft audience tags.")
    taxonomy.command("list")(list_tags)
    taxonomy.command("check")(check)
    taxonomy.command("show")(show)
    taxonomy.command("propose")(propose)
    app.add_typer(taxonomy, name="taxonomy")


def list_tags(
    taxonomy: TaxonomyOption = None,
    words: Annotated[str, typer.Option(help="Only tags that have all these words in id, names or meaning.")] = "",
) -> None:
    """List the tags: id, names, days ahead, rule."""
    from rich.console import Console
    from rich.table import Table

    found = _taxonomy(taxonomy)
    table = Table("id", "name", "名称", "days", "rule", title=f"{found.name}, version {found.version}")
    wanted = words.lower().split()
    for tag in found.tags:
        text = f"{tag.id} {tag.name} {tag.name_zh} {tag.meaning}".lower()
        if all(word in text for word in wanted):
            table.add_row(tag.id, tag.name, tag.name_zh, str(tag.horizon_days), tag.criterion)
    Console(width=None if Console().is_terminal else 200, markup=False).print(table)
    typer.echo(f"{table.row_count} of {len(found.tags)} tags; next: zhongcao taxonomy show TAG")


def check(
    file: Annotated[Path, typer.Argument(help="Taxonomy file (TOML).", show_default=False)],
    log: Annotated[bool, typer.Option(help="Measure base rates on the event log where there is one.")] = True,
    as_of: Annotated[
        str | None, typer.Option(help="End of the window to measure; the log's end by default.")
    ] = None,
    rarest: Annotated[float, typer.Option(min=0, max=1, help="Base rate below which a tag is too rare.")] = 0.003,
) -> None:
    """Check a taxonomy file, and how often its rules came true in the log's last window."""
    from features.taxonomy.taxonomy import load_taxonomy

    found = load_taxonomy(file)
    categories = {category for vertical in found.verticals for category in vertical.categories}
    typer.echo(
        f"{file} is valid: {len(found.tags)} tags, {len(found.verticals)} verticals, {len(categories)} categories, "
        f"{sum(tag.iab is not None for tag in found.tags)} tags with an IAB id, hash {found.hash[:12]}"
    )
    settings = load_settings()
    if log and settings.log_dir.exists():
        from serving.tags.taxonomy_check import print_base_rates

        print_base_rates(settings, found, as_of, rarest)
    typer.echo(f"next: zhongcao train tags --taxonomy {file}")


def show(
    tag: Annotated[str, typer.Argument(help="Id of the tag.", show_default=False)],
    taxonomy: TaxonomyOption = None,
) -> None:
    """Show one tag's nutrition label: what it means, what it is made of, how far it looks."""
    from rich.console import Console

    from serving.tags.nutrition import label_table

    found = _taxonomy(taxonomy)
    Console(markup=False).print(label_table(found, found.tag(tag)))
    typer.echo("next: zhongcao taxonomy list shows the others")


def propose(
    shape: Annotated[
        DraftShape, typer.Option(help="audience: verticals × patterns; categories: one tag a category.")
    ] = DraftShape.AUDIENCE,
    as_of: AsOfOption = "now",
    size: Annotated[int, typer.Option(min=1, max=2000, help="Most tags.")] = 200,
    horizon_days: Annotated[
        int | None, typer.Option(min=1, max=366, help="Days ahead; chosen by the log's span by default.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the taxonomy; the shape by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Draft a taxonomy from the event log, with nothing but category codes."""
    from features.days import instant_of
    from features.log.event_log import EventLog
    from features.proposals.taxonomy import propose as draft

    if out is not None:
        require_new(out, TaxonomyError)
    event_log = EventLog.open(load_settings())
    con = event_log.connect()
    last = event_log.span(con)[1]
    text = draft(
        event_log.events(con),
        min(instant_of(as_of, event_log.timezone), last + 1),
        items=event_log.table(con, "items"),
        identities=event_log.table(con, "identities"),
        shape=shape.value,
        size=size,
        horizon_days=horizon_days,
        name=name,
        timezone=event_log.timezone,
    )
    if out is None:
        typer.echo(text)
        typer.echo("next: write it to a file with --out FILE, then zhongcao taxonomy check FILE", err=True)
        return
    out.write_text(text, encoding="utf-8")
    typer.echo(text.splitlines()[1].removeprefix("# "))
    typer.echo(f"wrote {out}; next: edit it, then zhongcao taxonomy check {out}")


def _taxonomy(file: Path | None) -> Taxonomy:
    from features.taxonomy.taxonomy import load_taxonomy

    if file is not None:
        return load_taxonomy(file)
    from training.bundles.champion import champion_path
    from training.tags.bundle import load_bundle

    settings = load_settings()
    if not settings.champion_file.exists():
        raise TaxonomyError(
            "no file is named, and no model serves whose tags could be shown",
            next_step="name a file with --taxonomy, or run `zhongcao retrain` first",
        )
    return load_bundle(champion_path(settings)).taxonomy
