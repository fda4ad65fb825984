"""Verbs of the memberships: who has which tags, and what changed since a version."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.settings import scoring_settings

if TYPE_CHECKING:
    from rich.console import Console

    from features.settings import Settings
    from serving.memberships.versions import Version


class Files(StrEnum):
    """What an export is written as."""

    parquet = "parquet"
    ndjson = "ndjson"


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    memberships = typer.Typer(no_args_is_help=True, help="Who has which tags, and what changed since a version.")
    memberships.command("export")(export)
    memberships.command("list")(list_versions)
    memberships.command("prune")(prune)
    app.add_typer(memberships, name="memberships")


def export(
    out: Annotated[Path, typer.Option(help="Folder for the files, of this export alone.", file_okay=False)],
    since: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Only what changed since this version; by default everything."),
    ] = None,
    files: Annotated[Files, typer.Option("--format", help="What is written.")] = Files.parquet,
) -> None:
    """Make a version of everybody's tags, and write all of them or what changed; started again, it goes on."""
    import hashlib
    import time

    from rich.console import Console

    from features.errors import MembershipsError
    from features.locks import exclusive
    from features.rights.ledger import note_output
    from serving.memberships.changes import Comparison
    from serving.memberships.export import export_changes
    from serving.memberships.versions import Versions

    settings, started, console = scoring_settings(), time.perf_counter(), Console(stderr=True)
    versions = Versions(settings)
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    next_step = "wait until it has ended"
    one = MembershipsError("another command makes or writes memberships", next_step=next_step)
    other = MembershipsError("another command writes there", value=str(out), next_step=next_step)
    # An erasure waits for whoever holds a lock of this name.
    with (
        exclusive(settings.work_dir / "score-memberships.lock", one),
        exclusive(settings.work_dir / f"score-{name}.lock", other),
    ):
        earlier = None if since is None else versions.named(since)
        version, new = _make(settings, versions.latest(), console)
        note_output(settings, out)
        done = export_changes(Comparison(versions, earlier, version), out, files.value, console=console)
        pruned = versions.prune(settings.memberships_kept)
    made = "made" if new else "nothing changed in the store since"
    typer.echo(f"{made} version {version.name}: {version.people:,} people, {version.memberships:,} tags")
    added, removed = (sum(done[change].values()) for change in ("added", "removed"))
    typer.echo(
        f"since {since or 'nothing'}: {added:,} tags added, {removed:,} removed, "
        f"{done['gone']:,} people to forget, {done['erased']:,} erased"
    )
    kept = f", {done['kept']} of them finished earlier" if done["kept"] else ""
    typer.echo(f"wrote {len(done['parts'])} parts{kept} in {time.perf_counter() - started:.0f} s")
    if pruned:
        typer.echo(f"deleted {len(pruned)} old versions; {settings.memberships_kept} are kept")
    typer.echo(f"next: read {out}/part-*.{files.value}; then zhongcao memberships export --since {version.name}")


def list_versions() -> None:
    """List the versions that are kept, oldest first."""
    from rich.console import Console as Screen
    from rich.table import Table

    from features.settings import load_settings
    from serving.memberships.versions import Versions
    from serving.predictions.words import time_in_words

    settings = load_settings()
    versions = Versions(settings).all()
    table = Table("version", "made", "as of", "model", "people", "tags")
    for one in versions:
        made, as_of = time_in_words(one.made_at), time_in_words(one.as_of)
        table.add_row(one.name, made, as_of, one.model, f"{one.people:,}", f"{one.memberships:,}")
    Screen(markup=False).print(table)
    last = f" --since {versions[-1].name}" if versions else ""
    typer.echo(f"{settings.memberships_kept} versions are kept; next: zhongcao memberships export --out DIR{last}")


def prune() -> None:
    """Delete the versions beyond memberships_kept, the oldest first; an export does the same at its end."""
    from features.errors import MembershipsError
    from features.locks import exclusive
    from features.settings import load_settings
    from serving.memberships.versions import Versions

    settings = load_settings()
    busy = MembershipsError("another command makes or writes memberships", next_step="wait until it has ended")
    with exclusive(settings.work_dir / "score-memberships.lock", busy):
        gone = Versions(settings).prune(settings.memberships_kept)
    typer.echo(f"deleted {len(gone)} versions; next: zhongcao memberships list")


def _make(settings: Settings, latest: Version | None, console: Console) -> tuple[Version, bool]:
    """Make a version of what the online store holds now."""
    import time

    from serving.batch.row_source import StoreRows
    from serving.consent.log import deleted_tags, withdrawn_since
    from serving.memberships.making import make_version
    from serving.memberships.versions import Versions
    from serving.memberships.words_since import words_since
    from serving.online.added_columns import open_store
    from training.bundles.champion import champion_path
    from training.tags.bundle import load_bundle

    now = int(time.time())
    bundle = load_bundle(champion_path(settings))
    store = open_store(settings, bundle.layout)
    try:
        source = StoreRows(store)
        # Read before the tags and withdrawals are: what is said meanwhile counts for the next version, too.
        words = words_since(settings, latest)
        return make_version(
            Versions(settings),
            bundle,
            source,
            withdrawn=withdrawn_since(settings, source.as_of, now),
            deleted=deleted_tags(settings),
            said=words.keys,
            stamp=words.stamp,
            now=now,
            console=console,
        )
    finally:
        store.close()
