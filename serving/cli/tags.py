"""Verbs of the serving tags: list them, add one without retraining the others, take an added one away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import TaxonomyError
from features.settings import load_settings
from serving.cli.settings import scoring_settings
from training.lean_start import import_lightgbm

if TYPE_CHECKING:
    from serving.tags.new_tags import Change


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    tags = typer.Typer(no_args_is_help=True, help="Tags of the serving model: list, add, remove.")
    tags.command("list")(list_tags)
    tags.command("add")(add)
    tags.command("remove")(remove)
    app.add_typer(tags, name="tags")


def list_tags() -> None:
    """List the serving tags: names, kind, how common, how good, and whether they were added."""
    from rich.console import Console

    import_lightgbm()
    from serving.tags.table import tag_table
    from training.bundles.champion import champion_path
    from training.tags.bundle import load_bundle

    settings = load_settings()
    bundle = load_bundle(champion_path(settings), saved=True)
    Console(width=None if Console().is_terminal else 200, markup=False).print(tag_table(settings, bundle))
    added = bundle.taxonomy.added_tags
    typer.echo(f"{len(bundle.taxonomy.tags)} tags, {added} of them added; next: zhongcao tags add FILE")


def add(
    file: Annotated[
        Path | None,
        typer.Argument(help="Fragment of a taxonomy file with [[tag]] tables (TOML).", show_default=False),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="Taxonomy file to write the fragment into, for the next retraining.")
    ] = None,
    seeds: Annotated[
        Path | None, typer.Option(help="CSV list of people: columns platform and account, or person.")
    ] = None,
    tag_id: Annotated[str, typer.Option("--id", help="With --seeds: id of the tag.")] = "",
    name: Annotated[str, typer.Option(help="With --seeds: name of the tag.")] = "",
    name_zh: Annotated[str, typer.Option(help="With --seeds: Chinese name; the name by default.")] = "",
    meaning: Annotated[str, typer.Option(help="With --seeds: one sentence that says what the list is.")] = "",
) -> None:
    """Add tags to the serving model, from rules or from a list of people; no other tag changes."""
    import time

    import_lightgbm()
    from serving.tags.new_tags import add_from_rules, add_from_seeds
    from training.steps import Steps

    if (file is None) == (seeds is None):
        raise TaxonomyError(
            "a new tag comes either from a file of rules or from a list of people",
            valid=["zhongcao tags add FILE", "zhongcao tags add --seeds people.csv --id ID --name NAME"],
        )
    settings = scoring_settings()
    if file is not None:
        _say(add_from_rules(settings, file, Steps(), into=into))
        known = f"{file} stands at the end of it, as --into writes it" if into is None else f"it names {into}"
        typer.echo(f"the next zhongcao retrain trains the tags with all others if {known}")
    elif seeds is not None:
        if not tag_id or not name:
            raise TaxonomyError("a tag from a list needs --id and --name", value=tag_id or name)
        said = meaning or f"Like the people of the list: {name}."
        entry = {"id": tag_id, "name": name, "name_zh": name_zh or name, "meaning": said}
        change = add_from_seeds(settings, seeds, entry, Steps(), now=int(time.time()))
        _say_seeds(change)
        _say(change)


def remove(tag: Annotated[str, typer.Argument(help="Id of an added tag.", show_default=False)]) -> None:
    """Take an added tag away; no other tag changes."""
    import_lightgbm()
    from serving.tags.new_tags import remove as take_away
    from training.steps import Steps

    change = take_away(scoring_settings(), tag, Steps())
    typer.echo(f"{tag} is gone: champion {change.bundle}, made of {change.parent}")
    typer.echo("next: zhongcao serve; a server that runs already takes it up")


def _say_seeds(change: Change) -> None:
    if change.seeds is not None:
        reasons = "".join(f"; {count} {reason}" for reason, count in change.seeds.reasons.items())
        typer.echo(f"{len(change.seeds.persons)} people of the list are known{reasons}")
    if change.left_out is not None:
        typer.echo(f"the lines that were left out: {change.left_out}")


def _say(change: Change) -> None:
    from rich.console import Console

    from serving.tags.table import quality_of_new

    if change.bundle == change.parent:
        typer.echo(f"nothing to add: champion {change.bundle} has all of it already")
        return
    Console(width=None if Console().is_terminal else 200, markup=False).print(quality_of_new(change.quality))
    for quality in change.quality:
        if not quality.assigned:
            typer.echo(f"{quality.tag} tells no more than its base rate: it has scores, but nobody is assigned it")
    typer.echo(f"champion {change.bundle}, made of {change.parent}")
    typer.echo("next: zhongcao serve; a server that runs already takes it up; zhongcao tags list shows all tags")
