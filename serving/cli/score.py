"""The verb of batch scoring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.settings import scoring_settings

if TYPE_CHECKING:
    from features.settings import Settings
    from serving.batch.row_source import RowSource
    from training.tags.bundle import Bundle


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("score")(score)


def score(
    people: Annotated[
        str,
        typer.Option(help="all, or a file with columns platform and account, or person.", metavar="all|FILE"),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the scores, of this run alone.", file_okay=False)],
    as_of: Annotated[
        str | None,
        typer.Option(help="Score people as of this day, from the log; by default as they are in the online store."),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Most tags per person; all by default.")] = None,
    min_probability: Annotated[float, typer.Option(min=0, max=1, help="Leave tags below it out.")] = 0.0,
) -> None:
    """Score everybody, or a list of people, with the champion model into a folder of Parquet files."""
    import hashlib
    import time

    from rich.console import Console

    from features.errors import ScoresError
    from features.locks import exclusive
    from features.people.identity import load_key
    from features.rights.ledger import note_output
    from serving.batch.listed_people import ListedPeople
    from serving.batch.people import Everybody
    from serving.batch.scores import score_people
    from serving.batch.table import ScoreFilter
    from serving.consent.log import deleted_tags, withdrawn_since
    from training.bundles.champion import champion_path
    from training.tags.bundle import load_bundle

    settings = scoring_settings()
    started, now = time.perf_counter(), int(time.time())
    bundle = load_bundle(champion_path(settings))
    source = _window_rows(settings, bundle, as_of) if as_of else _store_rows(settings, bundle)
    withdrawn = withdrawn_since(settings, source.as_of, now)
    listed = (
        Everybody(source, withdrawn)
        if people == "all"
        else ListedPeople(Path(people), load_key(settings), source, frozenset(withdrawn))
    )
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    busy = ScoresError("another command writes scores there", value=str(out), next_step="wait until it has ended")
    with exclusive(settings.work_dir / f"score-{name}.lock", busy):
        note_output(settings, out)
        done = score_people(
            bundle,
            listed,
            ScoreFilter(top, min_probability),
            out,
            threads=settings.threads,
            deleted=deleted_tags(settings),
            console=Console(stderr=True),
        )
    kept = f", {done['kept']} of them finished earlier" if done["kept"] else ""
    typer.echo(f"{done['people']:,} people, {done['scores']:,} scores, model {bundle.version}")
    for reason, count in done["left_out"].items():
        typer.echo(f"left out: {count:,}, {reason}")
    typer.echo(f"wrote {len(done['parts'])} parts{kept} in {time.perf_counter() - started:.0f} s")
    typer.echo(f"next: read {out}/part-*.parquet; {out}/_manifest.json says what is in them")


def _store_rows(settings: Settings, bundle: Bundle) -> RowSource:
    from serving.batch.row_source import StoreRows
    from serving.online.added_columns import open_store

    return StoreRows(open_store(settings, bundle.layout))


def _window_rows(settings: Settings, bundle: Bundle, as_of: str) -> RowSource:
    """Compute everybody's rows as of a day, or read them back."""
    import numpy as np

    from features.days import DAY_SECONDS, day_text
    from features.errors import LogTooShortError
    from features.log.event_log import EventLog
    from serving.batch.row_source import WindowRows
    from training.source import open_source, present_of
    from training.steps import Steps
    from training.tags.windows import WindowBuilder

    instant = present_of(EventLog.open(settings), as_of)
    source = open_source(settings)
    if instant > source.last + DAY_SECONDS:
        raise LogTooShortError(
            f"the log ends on {day_text(source.last, source.timezone)}, before the day to score people as of",
            value=as_of,
            next_step="name an earlier day, or import the events that came since",
        )
    kinds = bundle.about["choices"]["kinds"]
    builder = WindowBuilder(
        source,
        bundle.taxonomy,
        bundle.layout,
        settings.work_dir / "windows",
        None if kinds is None else tuple(kinds),
    )
    with Steps().step(f"features as of {day_text(instant, source.timezone)}", 1) as advance:
        persons, rows = builder.rows(instant)
        advance()
    owned = builder.spine(instant).accounts
    return WindowRows(
        name=builder.rows_key(instant),
        instant=instant,
        persons=persons,
        rows=rows,
        schema_hash=bundle.layout.schema_hash,
        accounts=owned["account"],
        owners=np.asarray(owned["row"]),
    )
