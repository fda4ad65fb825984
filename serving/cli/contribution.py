"""The verb that reports what a brand's notes contributed."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from features.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.contribution.question import Brand
    from training.contribution.report import Report

BrandOption = Annotated[str | None, typer.Option(help="Whose notes; left out, the brands of the log are listed.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First day; 30 days before the end by default.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last day; the day of --as-of by default.")]
ByOption = Annotated[
    str, typer.Option(help="click_date: touches of the period and what came of them; order_date: its orders.")
]
ClickOption = Annotated[int, typer.Option("--post-click", help="Days after a click in which an order counts.")]
ViewOption = Annotated[int, typer.Option("--post-view", help="Days after a view without a click.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
CsvFlag = Annotated[bool, typer.Option("--csv", help="Print one line per note, creator and campaign as CSV.")]
AsOfOption = Annotated[str, typer.Option("--as-of", help="Only what was known then counts: a day, a time, or now.")]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("contribution")(contribution)


def contribution(
    brand: BrandOption = None,
    first: FromOption = None,
    last: ToOption = None,
    by: ByOption = "click_date",
    post_click: ClickOption = 15,
    post_view: ViewOption = 1,
    as_json: JsonFlag = False,
    as_csv: CsvFlag = False,
    as_of: AsOfOption = "now",
) -> None:
    """Report what a brand's notes, creators and campaigns contributed: credited by rules, and caused.

    Writes a page into the home, and prints a table, JSON or CSV.
    """
    from features.errors import ContributionError
    from features.log.event_log import EventLog
    from serving.jobs.contribution_source import open_tables, period_of
    from serving.pages.contribution_document import csv_of, document_of, said_to_come, said_withheld
    from serving.pages.contribution_page import write_contribution
    from serving.pages.contribution_plots import draw_contribution
    from training.contribution.question import brands_of, question_of
    from training.contribution.report import contribution_report
    from training.contribution.told import told
    from training.source import present_of
    from training.steps import Steps

    if as_json and as_csv:
        raise ContributionError("a report is printed once", value="--json --csv", next_step="leave one of them out")
    settings = load_settings()
    log = EventLog.open(settings)
    present = present_of(log, as_of)
    with open_tables(log) as tables:
        brands = brands_of(tables.events, tables.notes, tables.items)
        if brand is None:
            _list(brands)
            return
        start, end = period_of(first, last, present, log.timezone)
        question = question_of(
            brands, brand, start=start, end=end, as_of=present, timezone=log.timezone, by=by,
            click_days=post_click, view_days=post_view,
        )  # fmt: skip
        steps = Steps()
        report = told(contribution_report(tables, question, steps), settings.least_people)
    page = settings.report_file.with_name("contribution.html")
    words = f"zhongcao contribution --brand {shlex.quote(brand)} --from {first or 'DAY'} --to {last or 'DAY'}"
    write_contribution(
        page,
        report=report,
        plots=draw_contribution(report, settings.work_dir / "contribution"),
        commands=[f"{words} --csv > rows.csv", f"{words} --by order_date"],
    )
    if as_json:
        typer.echo(json.dumps(document_of(report), ensure_ascii=False, indent=1))
    elif as_csv:
        typer.echo(csv_of(report), nl=False)
    else:
        _show(report)
    if to_come := said_to_come(report):
        steps.say(to_come)
    if withheld := said_withheld(report):
        steps.say(withheld)
    steps.say(f"wrote {page}")


def _list(brands: Sequence[Brand]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Brands of the log", title_justify="left")
    table.add_column("brand")
    for heading in ("notes", "impressions", "purchase lines"):
        table.add_column(heading, justify="right")
    for brand in brands:
        table.add_row(brand.name, f"{brand.notes:,}", f"{brand.impressions:,}", f"{brand.purchases:,}")
    Console().print(table)
    typer.echo("next: zhongcao contribution --brand NAME --from DAY --to DAY")


def _show(report: Report) -> None:
    from rich.console import Console

    from serving.pages.contribution_table import contribution_table

    Console().print(contribution_table(report))
