"""The contribution report 种草贡献值: funnel, credit by every rule, what was caused, and ROI, row by row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from features.paths.brand_paths import BrandPaths, read_paths
from features.paths.paths import column
from training.contribution.attributed import Attributed, Credit, Shape
from training.contribution.caused import (
    NO_CAMPAIGN,
    NOT_A_SUM,
    NOT_LISTED,
    NOT_OF_ONE,
    Caused,
    caused_by_campaigns,
    without_effect,
)
from training.contribution.curves import roi_curves
from training.contribution.funnel import Funnel, funnel
from training.contribution.question import Question
from training.contribution.roi import DecisionCycle, RoiCurve, decision_cycles
from training.steps import Steps

ROI_RULE: Final = "linear"
"""The rule whose credit the ROI curves add up."""

LEVELS: Final = ("all", "campaign", "creator", "note")


@dataclass(frozen=True)
class Tables:
    """What a report reads: canonical tables, relations on one connection or Arrow tables."""

    events: Any
    identities: Any
    notes: Any
    items: Any
    campaigns: pa.Table
    assignments: Any
    spend: pa.Table
    note_items: pa.Table
    timezone: str
    currency: str
    minor_digits: int


@dataclass(frozen=True)
class Line:
    """One note, creator or campaign, or all together.

    Parameters
    ----------
    funnel
        What happened; its ``by`` and ``key`` name the row.
    orders
        Conversions with a touch of it on their path; one may be in several rows.
    credit
        By rule; over the rows of a level it adds up to that of ``all``.
    caused
        What it caused, or why that is not known.
    roi
        The curve of its paid touches and spending; None where it had neither in the period.
    """

    funnel: Funnel
    orders: int
    credit: Mapping[str, Credit]
    caused: Caused
    roi: RoiCurve | None

    def incremental_roi(self, minor_digits: int) -> float:
        """Return what was caused over the cost 增量 ROI; NaN where either lacks or they are of other days."""
        cost = self.funnel.cost(minor_digits)
        effect = self.caused.found.effect if self.caused.found is not None else None
        return effect.total / cost if effect is not None and cost and not self.caused.reason else math.nan


@dataclass(frozen=True)
class Totals:
    """All conversions that the report is about.

    Parameters
    ----------
    orders, value, new_customers
        Orders of the brand net of refunds, minor units, and how many were of new customers.
    touched_orders, touched_value
        Those with a touch on their path.
    untouched_orders, untouched_value
        Those without.
    refunds_over, refunds_unmatched
        Given back beyond what was paid, or for orders that the log does not hold; they lower no value.
    """

    orders: int
    value: int
    new_customers: int
    touched_orders: int
    touched_value: int
    untouched_orders: int
    untouched_value: int
    refunds_over: int
    refunds_unmatched: int


@dataclass(frozen=True)
class Report:
    """What notes of a brand contributed in a period; `lines` are by level, then by cost and credit.

    `still_to_come` is the share of the orders after the period's clicks that has not come yet, NaN where it is not
    known. `withheld` counts the rows by level that `told` left out because of fewer than `least_people`.
    """

    question: Question
    timezone: str
    currency: str
    minor_digits: int
    totals: Totals
    entries: Mapping[str, int]
    lines: Sequence[Line]
    days: Sequence[Funnel]
    shapes: Sequence[Shape]
    cycles: Sequence[DecisionCycle]
    still_to_come: float
    least_people: int = 1
    withheld: Mapping[str, int] = field(default_factory=dict)

    def level(self, by: str) -> list[Line]:
        """Return the lines of a level."""
        return [line for line in self.lines if line.funnel.by == by]

    @property
    def all(self) -> Line:
        """The line of everything."""
        return self.level("all")[0]


def contribution_report(tables: Tables, question: Question, steps: Steps) -> Report:
    """Make the report.

    Parameters
    ----------
    tables
        The log.
    question
        Brand, period, as-of instant and windows.
    steps
        Where progress is told.
    """
    with steps.step("counting the funnel", 1) as advance:
        counted = _funnel(tables, question)
        advance()
    with steps.step("joining orders with touches", 1) as advance:
        found = _paths(tables, question)
        advance()
    with steps.step("crediting by every rule", 1) as advance:
        attributed = Attributed.of(found.paths)
        delays, orders = attributed.delays(question)
        advance()
    credit = {by: attributed.by(by) for by in LEVELS}
    with steps.step("estimating what campaigns caused", 1) as advance:
        caused = caused_by_campaigns(
            tables.events, tables.identities, tables.assignments, campaigns=tables.campaigns, notes=tables.notes,
            items=tables.items, question=question, credit=credit["campaign"], timezone=tables.timezone,
        )  # fmt: skip
        advance()
    lines = []
    for by in LEVELS:
        curves = roi_curves(
            attributed, by, question, rule=ROI_RULE, delays=delays, campaigns=tables.campaigns, spend=tables.spend,
            timezone=tables.timezone, minor_digits=tables.minor_digits,
        )  # fmt: skip
        rows, touched = {row.key: row for row in counted if row.by == by}, attributed.orders(by)
        made = [
            Line(
                rows.get(key, Funnel(by, key)),
                touched.get(key, 0),
                credit[by].get(key) or dict.fromkeys(attributed.credit, Credit(0, 0)),
                _caused(by, key, caused),
                curves.get(key),
            )
            for key in rows.keys() | credit[by].keys()
        ]
        lines += sorted(made, key=_largest_first)
    return Report(
        question,
        tables.timezone,
        tables.currency,
        tables.minor_digits,
        _totals(found),
        attributed.entries(),
        lines,
        [row for row in counted if row.by == "day"],
        attributed.shapes(),
        decision_cycles(delays, orders),
        attributed.still_to_come(question, delays),
    )


def _funnel(tables: Tables, question: Question) -> list[Funnel]:
    return funnel(
        tables.events,
        identities=tables.identities,
        notes=tables.notes,
        items=tables.items,
        campaigns=tables.campaigns,
        spend=tables.spend,
        brand=question.brand,
        start=question.start,
        end=question.end,
        as_of=question.as_of,
        timezone=tables.timezone,
        minor_digits=tables.minor_digits,
        post_click_days=question.windows.click_days,
        by=question.by,
    )


def _paths(tables: Tables, question: Question) -> BrandPaths:
    return read_paths(
        tables.events,
        {name: getattr(tables, name) for name in ("identities", "notes", "items", "campaigns", "note_items")},
        brands=(question.brand,),
        start=question.start,
        end=question.end,
        known_at=question.as_of,
        windows=question.windows,
        by=question.by,
    )


def _caused(by: str, key: str | None, caused: Mapping[str, Caused]) -> Caused:
    if by == "all":
        return without_effect(NOT_A_SUM)
    if by != "campaign":
        return without_effect(NOT_OF_ONE)
    if key is None:
        return without_effect(NO_CAMPAIGN)
    return caused.get(key) or without_effect(NOT_LISTED)


def _totals(found: BrandPaths) -> Totals:
    paths = found.paths
    reported, untouched = paths.reported, paths.without_touch
    touched = reported & ~untouched
    new = column(paths.conversions, "new_customer").astype(bool)
    return Totals(
        orders=int(reported.sum()),
        value=int(paths.values[reported].sum()),
        new_customers=int((reported & new).sum()),
        touched_orders=int(touched.sum()),
        touched_value=int(paths.values[touched].sum()),
        untouched_orders=int(untouched.sum()),
        untouched_value=int(paths.values[untouched].sum()),
        refunds_over=found.refunds_over,
        refunds_unmatched=found.refunds_unmatched,
    )


def _largest_first(line: Line) -> tuple[Any, ...]:
    key = line.funnel.key
    return key is None, -line.funnel.cost_micros, -line.credit[ROI_RULE].value, -line.funnel.impressions, key or ""
