"""ROI curves of all notes, creators or campaigns from the credit of their paid touches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.paths.paths import column
from training.contribution.attributed import Attributed
from training.contribution.question import Question
from training.contribution.roi import RoiCurve, roi_curve
from training.delay import DelayModel

Int64 = NDArray[np.int64]


def roi_curves(
    attributed: Attributed,
    level: str,
    question: Question,
    *,
    rule: str,
    delays: DelayModel | None,
    campaigns: pa.Table,
    spend: pa.Table,
    timezone: str,
    minor_digits: int,
) -> dict[str | None, RoiCurve]:
    """Return a curve per name at a level: its paid touches in the period, and all they are credited with so far.

    What was spent on campaigns of the brand whose touches name no cost is cost of theirs and of everything, also
    where nobody was touched: the curve has cost alone then.

    Parameters
    ----------
    attributed
        Paths and credit.
    level
        ``note``, ``creator``, ``campaign`` or ``all``.
    question
        Period and as-of instant.
    rule
        Whose credit is the value.
    delays
        How long orders take after a click.
    campaigns, spend
        Canonical rows of campaigns and of spending.
    timezone, minor_digits
        Of the log.
    """
    paths = attributed.paths
    seen, clicked = column(paths.touches, "time"), column(paths.touches, "click").astype(bool)
    micros = column(paths.touches, "cost_micros")
    codes, touched = attributed.names(level)
    bills = _bills(attributed, level, question, (campaigns, spend), 10 ** (6 - minor_digits))
    names = [*touched, *(name for name in bills if name not in touched)]
    category = attributed.categories
    delivered = (seen >= question.start) & (seen < question.end) & column(paths.touches, "paid").astype(bool)
    position = np.flatnonzero(delivered[paths.touch])
    ordered = column(paths.conversions, "time")[attributed.ordered[position]]
    value = attributed.credit[rule][position]
    touch_groups = _groups(codes, np.flatnonzero(delivered), len(names))
    order_groups = _groups(codes[paths.touch], position, len(names))
    places = np.full(len(paths.touch), -1)
    places[position] = np.arange(len(position))
    curves = {}
    for number, name in enumerate(names):
        mine, theirs = touch_groups[number], places[order_groups[number]]
        paid_at, paid = bills.get(name, (np.empty(0, np.int64), np.empty(0, np.int64)))
        if not len(mine) + len(paid_at):
            continue
        nothing = np.zeros(len(paid_at), bool)
        curves[name] = roi_curve(
            touched=np.concatenate([seen[mine], paid_at]),
            cost_micros=np.concatenate([micros[mine], paid]),
            counts=np.concatenate([clicked[mine], nothing]),
            categories=[*category[mine], *("" for _ in paid_at)],
            ordered=ordered[theirs],
            value=value[theirs],
            as_of=question.as_of,
            timezone=timezone,
            minor_digits=minor_digits,
            delays=delays,
        )
    return curves


def _groups(codes: Int64, rows: Int64, many: int) -> list[Int64]:
    """Return the rows of each code."""
    order = rows[np.argsort(codes[rows], kind="stable")]
    edges = np.searchsorted(codes[order], np.arange(many + 1))
    return [order[low:high] for low, high in pairwise(edges)]


def _bills(
    attributed: Attributed, level: str, question: Question, tables: tuple[pa.Table, pa.Table], unit: int
) -> dict[str | None, tuple[Int64, Int64]]:
    """Return times and amounts, in millionths, of the spending of campaigns whose touches name no cost."""
    if level not in {"all", "campaign"}:
        return {}
    touches = attributed.paths.touches
    codes, names = attributed.names("campaign")
    costs = np.zeros(len(names), np.int64)
    np.add.at(costs, codes, column(touches, "cost_micros"))
    campaigns, spend = tables
    mine = campaigns.filter(pc.equal(campaigns["brand"], question.brand))["campaign"].to_pylist()
    free = {*mine} - {name for name, cost in zip(names, costs, strict=True) if cost}
    rows = [
        (row["campaign"], row["spent_at"], row["amount"] * unit)
        for row in spend.to_pylist()
        if row["campaign"] in free
        and question.start <= row["spent_at"] < question.end
        and row["arrived_at"] <= question.as_of
    ]
    keys: dict[str | None, list[tuple[str, int, int]]] = {None: rows} if level == "all" else {}
    for row in rows if level == "campaign" else ():
        keys.setdefault(row[0], []).append(row)
    return {
        name: (np.array([row[1] for row in billed], np.int64), np.array([row[2] for row in billed], np.int64))
        for name, billed in keys.items()
    }
