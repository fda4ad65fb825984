"""Verbs of the shadow: a challenger scores the requests that the champion answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from features.settings import load_settings
from serving.cli.champion import KindName

if TYPE_CHECKING:
    from features.settings import Settings
    from serving.shadow.pointer import Pointed
    from training.bundles.manifest import Kind

RunArgument = Annotated[
    str, typer.Argument(help="A bundle, a run id of MLflow, or tags:challenger, conversion:challenger.")
]
KindArgument = Annotated[KindName, typer.Argument(help="Which models: tags or conversion.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module to the main app."""
    shadow = typer.Typer(no_args_is_help=True, help="A challenger that scores live requests without answering.")
    shadow.command("start")(start)
    shadow.command("stop")(stop)
    shadow.command("status")(status)
    app.add_typer(shadow, name="shadow")


def start(
    run: RunArgument,
    share: Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of predictions that it scores.")] = 0.1,
) -> None:
    """Let a challenger score the same requests as the champion of its kind; running servers notice it."""
    import time

    from features.errors import BundleError
    from serving.jobs.promotion import bundle_named, champion_of
    from serving.shadow.pointer import Pointed, start_shadow
    from serving.shadow.reading import why_not_comparable

    settings = load_settings()
    folder, kind = bundle_named(settings, run)
    champion = champion_of(settings, kind)
    if champion is None or champion.name == folder.name:
        said = "there is no champion to run beside" if champion is None else "this bundle is the champion"
        raise BundleError(said, value=folder.name, next_step="`zhongcao serving status` lists the champions")
    start_shadow(settings, folder, kind, Pointed(folder.name, int(time.time()), share))
    typer.echo(f"{folder.name} scores {share:g} of what {champion.name} answers")
    if why := why_not_comparable(champion, folder, kind):
        typer.echo(f"it can score nothing while {champion.name} answers: {why}")
    typer.echo("next: zhongcao shadow status")


def stop(kind: KindArgument) -> None:
    """End a shadow, and write what it has seen to its run in MLflow, where there is one."""
    from serving.jobs.promotion import registered
    from serving.shadow.pointer import pointed_shadow, stop_shadow
    from serving.shadow.report import figures_of

    settings, chosen = load_settings(), _kind(kind)
    pointed = pointed_shadow(settings, chosen)
    if pointed is None:
        typer.echo(f"no challenger of {kind} runs as a shadow; next: zhongcao shadow start RUN")
        return
    said = _shown(settings, chosen, pointed)
    stop_shadow(settings, chosen)
    found = registered(settings, pointed.bundle, chosen)
    if found is None:
        typer.echo(f"{pointed.bundle} is in no run of MLflow; nothing was logged there")
    else:
        registry, run = found
        registry.log_shadow(run.run_id, f"{pointed.bundle}-{pointed.since}", said, figures_of(said))
        typer.echo(f"logged to MLflow run {run.run_id}")
    typer.echo(
        f"{pointed.bundle} runs as a shadow no more; next: zhongcao compare {kind}:champion {pointed.bundle}"
    )


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what the shadows have seen: agreement with the champion, and what both said of what came true."""
    import json

    from serving.shadow.pointer import pointed_shadow
    from serving.shadow.report import seen_so_far

    settings = load_settings()
    running = [(kind, found) for kind in map(_kind, KindName) if (found := pointed_shadow(settings, kind))]
    if as_json:
        typer.echo(json.dumps([seen_so_far(settings, *one) for one in running], indent=1))
        return
    for one in running:
        _shown(settings, *one)
    if not running:
        typer.echo("no challenger runs as a shadow; next: zhongcao shadow start RUN")
    else:
        typer.echo("next: zhongcao shadow stop tags or conversion")


def _shown(settings: Settings, kind: Kind, pointed: Pointed) -> dict[str, Any]:
    from rich.console import Console
    from rich.table import Table

    from serving.shadow.report import in_words, seen_so_far

    said = seen_so_far(settings, kind, pointed)
    for line in in_words(said):
        typer.echo(line)
    names = ("count", "correlation", "mean_difference", "jaccard")
    table = Table("tag or target", *(name.replace("_", " ") for name in names))
    for row in said["agreement"]:
        table.add_row(row["name"], *(_number(row[name]) for name in names))
    if said["agreement"]:
        Console(markup=False).print(table)
    true = Table("tag or target", "outcomes", "came true", "model", "said", "log loss", "ece")
    for row in said["matured"]:
        for side in ("champion", "challenger"):
            figures = (_number(row[side][name]) for name in ("said", "log_loss", "ece"))
            true.add_row(row["name"], f"{row['outcomes']:,}", f"{row['came_true']:,}", side, *figures)
    if said["matured"]:
        Console(markup=False).print(true)
    return said


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _kind(name: KindName) -> Kind:
    from training.bundles.manifest import CONVERSION, TAGS

    return TAGS if name is KindName.tags else CONVERSION
