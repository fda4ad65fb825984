"""A contribution report as one JSON document or one CSV table; ``docs/contribution.md`` says what the keys mean."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from features.days import day_text, days_text
from training.contribution.attributed import Credit
from training.contribution.funnel import Funnel
from training.contribution.report import ROI_RULE, Line, Report


def document_of(report: Report) -> dict[str, Any]:
    """Return the report as JSON values; amounts in minor units, what is not known is null."""
    question, zone = report.question, report.timezone
    return {
        "brand": question.brand,
        "from": day_text(question.start, zone),
        "to": day_text(question.end - 1, zone),
        "as_of": question.as_of,
        "by": question.by,
        "post_click_days": question.windows.click_days,
        "post_view_days": question.windows.view_days,
        "timezone": zone,
        "currency": report.currency,
        "minor_digits": report.minor_digits,
        "still_to_come": _still_to_come(report),
        "totals": asdict(report.totals) | {"entries": dict(report.entries)},
        "decision_cycles": [_plain(asdict(cycle)) for cycle in report.cycles],
        "paths": [asdict(shape) for shape in report.shapes],
        "roi_rule": ROI_RULE,
        "least_people": report.least_people,
        "withheld": dict(report.withheld),
        "rows": [_row(line, report.minor_digits) for line in report.lines],
        "days": [
            {"day": _day(row)} | _counted(row, report.minor_digits) for row in report.days if row.key is not None
        ],
    }


def csv_of(report: Report) -> str:
    """Return one line per row of the document: counts, rates, credits, effect and ROI so far."""
    rows = [_flat(line, report.minor_digits) for line in report.lines]
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def said_to_come(report: Report) -> str:
    """Say in words what is still to come, or nothing where all windows are over."""
    question = report.question
    if not question.days_open:
        return ""
    share = report.still_to_come
    part = f"; {_about(share)} of the orders after clicks have not come yet" if math.isfinite(share) else ""
    return (
        f"still to come: the windows are over on {day_text(question.matures, report.timezone)}, "
        f"in {days_text(question.days_open)}{part}"
    )


def said_withheld(report: Report) -> str:
    """Say in words which rows are withheld, or nothing where none is."""
    rows = ", ".join(f"{count:,} of {by}" for by, count in report.withheld.items() if count)
    return (
        f"rows withheld so that none tells of under {report.least_people} people (setting least_people): {rows}"
        if rows
        else ""
    )


def _about(share: float) -> str:
    return "less than 1 %" if share < 0.01 else f"about {100 * share:.0f} %"


def _still_to_come(report: Report) -> dict[str, Any]:
    funnel = report.all.funnel
    return {
        "share": _known(report.still_to_come),
        "open_clicks": funnel.open_clicks,
        "clicks": funnel.clicks,
        "windows_over_on": day_text(report.question.matures, report.timezone),
        "days": report.question.days_open,
    }


def _row(line: Line, minor_digits: int) -> dict[str, Any]:
    return {
        "by": line.funnel.by,
        "key": line.funnel.key,
        **_counted(line.funnel, minor_digits),
        "orders_on_paths": line.orders,
        "credit": {rule: asdict(given) for rule, given in line.credit.items()},
        "incremental": line.caused.as_dict(),
        "incremental_roi": _known(line.incremental_roi(minor_digits)),
        "disagreement": dict(line.caused.disagreement),
        "roi": line.roi.as_dict() if line.roi is not None else None,
    }


def _flat(line: Line, minor_digits: int) -> dict[str, Any]:
    given = {f"{rule}_{part}": value for rule, credit in line.credit.items() for part, value in _parts(credit)}
    caused = {f"incremental_{name}": value for name, value in line.caused.as_dict().items()}
    flags = {f"{rule}_flag": line.caused.disagreement.get(rule, "") for rule in line.credit}
    roi = None if line.roi is None else _known(float(line.roi.roi[-1]))
    still = None if line.roi is None else _known(line.roi.still_to_come)
    return {
        "by": line.funnel.by,
        "key": line.funnel.key,
        **_counted(line.funnel, minor_digits),
        "orders_on_paths": line.orders,
        **given,
        **caused,
        "incremental_roi": _known(line.incremental_roi(minor_digits)),
        **flags,
        "roi": roi,
        "still_to_come": still,
    }


def _parts(credit: Credit) -> Iterator[tuple[str, int]]:
    yield "direct", credit.direct
    yield "halo", credit.halo


def _counted(funnel: Funnel, minor_digits: int) -> dict[str, Any]:
    counts = funnel.counts()
    del counts["cost_micros"]
    cost = {"cost": funnel.cost(minor_digits), "cost_per_entry": funnel.cost_per_entry(minor_digits)}
    return _plain({**counts, **cost, **funnel.rates})


def _day(row: Funnel) -> str:
    return day_text(int(row.key or 0) * 86_400, "UTC")


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _known(value) if isinstance(value, float) else value for name, value in values.items()}


def _known(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
