"""A contribution report as a table for the terminal."""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from serving.pages.render import number
from training.contribution.report import Line, Report

_RULES: Final = ("last", "linear", "shapley")
_MOST_NOTES: Final = 10
_METHODS: Final = {"hold_out": "", "doubly_robust": " †"}
_MARKS: Final = {"over": " ▲", "under": " ▼", "": ""}


def contribution_table(report: Report) -> Table:
    """Show everything, the campaigns and the first notes, narrow enough for 80 columns."""
    table = Table(
        title=f"Contribution of {escape(report.question.brand)}, {report.currency}", title_justify="left",
        caption="▲ credited with more than it caused, ▼ with less, beyond noise; † doubly robust, not held out",
        caption_justify="left",
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("", overflow="fold")
    for heading in ("clicks", "cost", *_RULES, "caused, 95 %", "ROI"):
        table.add_column(heading, justify="right")
    for by, title in (("all", ""), ("campaign", "campaigns"), ("note", "notes")):
        if title:
            table.add_section()
            table.add_row(title, style="bold")
        for line in report.level(by)[:_MOST_NOTES]:
            table.add_row(*(escape(cell) for cell in _cells(line, report)))
    return table


def _cells(line: Line, report: Report) -> list[str]:
    unit = 10**report.minor_digits
    found = line.caused.as_dict()
    caused = "–"
    if found["value"] is not None:
        ends = f"[{found['low'] / unit:,.0f}, {found['high'] / unit:,.0f}]"
        caused = f"{found['value'] / unit:,.0f} {ends}{_METHODS[found['method']]}"
    flags = line.caused.disagreement
    return [
        line.funnel.key or ("everything" if line.funnel.by == "all" else f"no {line.funnel.by}"),
        f"{line.funnel.clicks:,}",
        f"{line.funnel.cost(report.minor_digits) / unit:,.0f}",
        *(f"{line.credit[rule].value / unit:,.0f}{_MARKS[flags.get(rule, '')]}" for rule in _RULES),
        caused,
        number(float(line.roi.roi[-1]), 2) if line.roi is not None else "–",
    ]
