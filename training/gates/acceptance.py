"""Overruling a failed check knowingly: who took it upon them, when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from features.errors import GateError
from training.gates.check import Check, Report


@dataclass(frozen=True)
class Acceptance:
    """Somebody's word that what a check found is right.

    Parameters
    ----------
    name
        Of the check.
    who, why
        Who says so, and their reason.
    at
        When, epoch seconds.
    """

    name: str
    who: str
    why: str
    at: int


def accepted(report: Report, acceptances: Sequence[Acceptance]) -> Report:
    """Return a report in which accepted checks warn instead of failing, and say who accepted them.

    Raises
    ------
    GateError
        The report has no such check, or no reason was given.

    Examples
    --------
    >>> report = Report("data", (Check("volume", "FAIL", "half of it on Sunday"),))
    >>> accepted(report, [Acceptance("volume", "li", "the shop was closed", 1_714_521_600)]).checks[0].said
    'half of it on Sunday; accepted by li at 2024-05-01T00:00:00Z: the shop was closed'
    """
    by_name = {acceptance.name: acceptance for acceptance in acceptances}
    names = [check.name for check in report.checks]
    for name, acceptance in by_name.items():
        if name not in names:
            raise GateError("no check has this name", value=name, valid=names)
        if not acceptance.why.strip():
            raise GateError("a check is accepted for a reason", value=name, next_step="say why, with --why TEXT")
    return replace(report, checks=tuple(_told(check, by_name.get(check.name)) for check in report.checks))


def _told(check: Check, acceptance: Acceptance | None) -> Check:
    if acceptance is None or check.status != "FAIL":
        return check
    when = datetime.fromtimestamp(acceptance.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = f"{check.said}; accepted by {acceptance.who} at {when}: {acceptance.why.strip()}"
    return replace(check, status="WARN", said=said, next_step="")
