"""Checks with a name and a verdict, and reports of several: the same for data, models and promotions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, Self

from features.errors import GateError

Status = Literal["PASS", "WARN", "FAIL"]
MOST_EXAMPLES: Final = 10


@dataclass(frozen=True)
class Check:
    """What one check found.

    Parameters
    ----------
    name
        Stable name, lower case with dashes, by which settings and readers know it.
    status
        ``FAIL`` stops the run, ``WARN`` is told, ``PASS`` is kept on record.
    said
        What was found, with its figures, in one sentence without a full stop.
    count
        Rows, days, tags or whatever the check counts, that are at fault.
    examples
        At most ten of them in words; never ids of people.
    evidence
        Figures that the verdict follows from.
    next_step
        What to do about it.

    Examples
    --------
    >>> Check("missing-platform", "FAIL", "no event of 'taobao' in 3 days, 9,120 a day before", count=3).status
    'FAIL'
    """

    name: str
    status: Status
    said: str
    count: int = 0
    examples: tuple[str, ...] = ()
    evidence: Mapping[str, float] = field(default_factory=dict)
    next_step: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", tuple(self.examples[:MOST_EXAMPLES]))


@dataclass(frozen=True)
class Report:
    """Checks of one subject.

    Parameters
    ----------
    about
        What was checked, as a noun: "data", "promotion of tags".
    checks
        In the order in which they were made.
    """

    about: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Checks that stop the run."""
        return tuple(check for check in self.checks if check.status == "FAIL")

    @property
    def passed(self) -> bool:
        """Whether nothing stops the run."""
        return not self.failed

    def require(self) -> None:
        """Stop the run where a check failed.

        Raises
        ------
        GateError
            Names the failed checks, with what each found.

        Examples
        --------
        >>> Report("data", (Check("volume", "FAIL", "2 days without an event"),)).require()
        Traceback (most recent call last):
        features.errors.GateError: the gate of data is shut: volume (2 days without an event)
        """
        if self.failed:
            found = "; ".join(f"{check.name} ({check.said})" for check in self.failed)
            steps = dict.fromkeys(check.next_step for check in self.failed if check.next_step)
            raise GateError(f"the gate of {self.about} is shut: {found}", next_step=", ".join(steps))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return the report that `as_dict` wrote.

        Examples
        --------
        >>> report = Report("data", (Check("volume", "WARN", "little on Sunday", evidence={"share": 0.4}),))
        >>> Report.from_dict(report.as_dict()) == report
        True
        """
        return cls(
            document["about"],
            tuple(Check(**check | {"examples": tuple(check["examples"])}) for check in document["checks"]),
        )
