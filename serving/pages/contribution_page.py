"""The page of a contribution report: what was seen, credited and caused, with the terms explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from features.days import day_text, days_text
from serving.pages.contribution_document import said_to_come, said_withheld
from serving.pages.render import number, percent, pictures, write_page
from training.contribution.report import Line, Report
from training.contribution.roi import LEAST_ORDERS

_MOST_NOTES: Final = 200
_FUNNEL: Final = (
    "impressions", "click rate", "true interest", "jumps", "bounce rate", "entered", "entry rate",
    "search-back rate", "orders", "revenue", "new customers", "hide rate", "cost", "cost per entry",
)  # fmt: skip
_PEOPLE: Final = {
    "hold_out": "{:,} people against {:,} held out",
    "doubly_robust": "doubly robust, {:,} people reached against {:,} not",
}


def write_contribution(path: Path, *, report: Report, plots: Sequence[Path], commands: Sequence[str]) -> None:
    """Write the page, atomically.

    Parameters
    ----------
    path
        The HTML file.
    report
        What was found.
    plots
        PNG files, put into the page.
    commands
        What to type next.
    """
    question, zone, windows = report.question, report.timezone, report.question.windows
    rules = list(report.all.credit)
    levels = []
    for by, title in (("campaign", "Campaigns"), ("creator", "Creators"), ("note", "Notes")):
        lines = report.level(by)
        reasons = {line.caused.reason for line in lines} if by != "campaign" else set()
        levels.append(
            {
                "by": by,
                "title": title,
                "reasons": sorted(reasons),
                "left_out": max(len(lines) - _MOST_NOTES, 0),
                "funnel": [_funnel_row(line, report) for line in lines[:_MOST_NOTES]],
                "credit": [_credit_row(line, rules, report) for line in lines[:_MOST_NOTES]],
            }
        )
    write_page(
        path,
        "contribution.html",
        title=f"contribution of {question.brand}",
        facts=[
            f"{day_text(question.start, zone)} to {day_text(question.end - 1, zone)}",
            f"as of {day_text(question.as_of - 1, zone)}",
            f"by {question.by.replace('_', ' ')}",
            f"{days_text(windows.click_days)} post-click, {days_text(windows.view_days)} post-view",
            f"amounts in {report.currency}",
        ],
        to_come=said_to_come(report),
        all_funnel=_funnel_row(report.all, report),
        all_credit=_credit_row(report.all, rules, report),
        totals=_totals(report),
        funnel_headings=_FUNNEL,
        rules=[rule.replace("_", " ") for rule in rules],
        levels=levels,
        cycles=[_cycle(cycle) for cycle in report.cycles],
        least_orders=LEAST_ORDERS,
        withheld=said_withheld(report),
        shapes=[
            {"steps": shape.steps, "orders": f"{shape.orders:,}", "value": _money(shape.value, report)}
            for shape in report.shapes
        ],
        plots=pictures(plots),
        commands=commands,
    )


def _totals(report: Report) -> list[tuple[str, str, str]]:
    totals = report.totals
    entries = ", ".join(f"{name.replace('_', '-')} {count:,}" for name, count in report.entries.items())
    rows = [
        ("orders of the brand", totals.orders, totals.value),
        ("with a touch on their path", totals.touched_orders, totals.touched_value),
        ("without a touch", totals.untouched_orders, totals.untouched_value),
    ]
    said = [(name, f"{orders:,}", _money(value, report)) for name, orders, value in rows]
    share = totals.new_customers / totals.orders if totals.orders else math.nan
    return [
        *said,
        ("of new customers", f"{totals.new_customers:,}", percent(share)),
        ("how they came", entries, ""),
    ]


def _funnel_row(line: Line, report: Report) -> dict[str, Any]:
    funnel, rates = line.funnel, line.funnel.rates
    per_entry = funnel.cost_per_entry(report.minor_digits)
    cells = [
        _count(funnel.impressions),
        _share(rates["click_rate"]),
        _count(funnel.true_interest),
        _count(funnel.link_clicks),
        _share(rates["bounce_rate"]),
        _count(funnel.entered),
        _share(rates["store_entry_rate"]),
        _share(rates["search_back_rate"]),
        _count(funnel.orders),
        _amount(funnel.revenue, report),
        _share(rates["new_customer_share"]),
        _share(rates["hide_rate"]),
        _amount(funnel.cost(report.minor_digits), report),
        {"v": _value(per_entry), "text": number(per_entry / 10**report.minor_digits, 2)},
    ]
    return {"name": _name(line), "cells": cells}


def _credit_row(line: Line, rules: Sequence[str], report: Report) -> dict[str, Any]:
    cells = []
    for rule in rules:
        given = line.credit[rule]
        flag = line.caused.disagreement.get(rule, "")
        halo = f"{_money(given.halo, report)} halo" if given.halo else ""
        cells.append(_amount(given.value, report) | {"flag": flag, "small": halo})
    roi = float(line.roi.roi[-1]) if line.roi is not None else math.nan
    still = line.roi.still_to_come if line.roi is not None else math.nan
    return {
        "name": _name(line),
        "orders": _count(line.orders),
        "cells": cells,
        "caused": _caused(line, report),
        "roi": {"v": _value(roi), "text": number(roi, 2)},
        "still": {"v": _value(still), "text": percent(still)},
    }


def _caused(line: Line, report: Report) -> dict[str, Any]:
    found = line.caused.as_dict()
    if found["value"] is None:
        return {"v": "", "text": "–", "small": found["reason"]}
    interval = f"{_money(found['low'], report)} … {_money(found['high'], report)}"
    people = _PEOPLE[found["method"]].format(found["people_treated"], found["people_held"])
    roi = line.incremental_roi(report.minor_digits)
    over_cost = f"{number(roi, 2)} × its cost" if math.isfinite(roi) else ""
    small = "; ".join(part for part in (interval, over_cost, people, found["fallback"], found["reason"]) if part)
    return {"v": str(found["value"]), "text": _money(found["value"], report), "small": small}


def _cycle(cycle: Any) -> dict[str, Any]:
    return {
        "category": cycle.category or "all",
        "orders": f"{cycle.orders:,}",
        "median": number(cycle.median_days, 1),
        "most": number(cycle.days_80, 1),
    }


def _name(line: Line) -> str:
    if line.funnel.key is not None:
        return line.funnel.key
    return "everything" if line.funnel.by == "all" else f"no {line.funnel.by}"


def _count(value: int) -> dict[str, Any]:
    return {"v": str(value), "text": f"{value:,}"}


def _share(value: float) -> dict[str, Any]:
    return {"v": _value(value), "text": percent(value)}


def _amount(value: float, report: Report) -> dict[str, Any]:
    return {"v": _value(value), "text": _money(value, report)}


def _money(value: float, report: Report) -> str:
    return f"{value / 10**report.minor_digits:,.0f}" if math.isfinite(value) else "–"


def _value(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ""
