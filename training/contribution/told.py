"""What of a contribution report may be told: no row of few people, and none that tells of them by subtraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from features.errors import ContributionError
from features.rights.small_cells import may_be_told
from training.contribution.funnel import Funnel
from training.contribution.report import LEVELS, Line, Report


def told(report: Report, least: int) -> Report:
    """Return the report without rows and days that reached few people.

    Parameters
    ----------
    report
        All that was found.
    least
        The setting ``least_people``.

    Raises
    ------
    ContributionError
        All notes together reached too few people.
    """
    reached = report.all.funnel.reached
    if reached < least:
        raise ContributionError(
            "too few people were reached to tell of them",
            value=reached if reached == 0 else f"under {least}",
            valid=[f"{least} or more"],
            next_step="ask for a longer period, or lower the setting least_people",
        )
    lines, withheld = [report.all], {}
    for by in LEVELS[1:]:
        level = report.level(by)
        stay = may_be_told([_people(line) for line in level], least)
        lines += [line for line, stays in zip(level, stay, strict=True) if stays]
        withheld[by] = stay.count(False)
    stay = may_be_told([_people_of(day) for day in report.days], least)
    withheld["day"] = stay.count(False)
    days: Sequence[Funnel] = [day for day, stays in zip(report.days, stay, strict=True) if stays]
    return replace(report, lines=lines, days=days, least_people=least, withheld=withheld)


def _people(line: Line) -> int:
    acted = line.orders or any(credit.value for credit in line.credit.values())
    return _people_of(line.funnel) or int(bool(acted))


def _people_of(funnel: Funnel) -> int:
    # What was done by people whom the period reached not at all may be of one person.
    return funnel.reached or int(any(funnel.counts().values()))
