"""Which instants a run is trained on where the user does not say: chosen by the log's span, and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from features.days import DAY_SECONDS, days_text
from features.errors import LogTooShortError
from training.splits import Plan, plan

MOST_INSTANTS: Final = 8
FEWEST_INSTANTS: Final = 3
FEW_ROWS: Final = 20_000
"""Rows (people × instants) below which more instants made a better model: up to twice as many are taken."""
MANY_ROWS: Final = 2_000_000
"""Rows beyond which the windows of a large log would take more disk and memory than they bring: fewer instants."""


@dataclass(frozen=True)
class Spacing:
    """What the layout of the training instants depends on.

    Parameters
    ----------
    horizon_days
        Longest outcome window of the taxonomy.
    people
        How many are trained on at each instant, about.
    rhythm_days
        Usual days from one day with events to the next: 1, or more where a log counts in weeks or baskets.
    delay
        Seconds after a window's end until its events have arrived.
    timezone
        The log's time zone.
    """

    horizon_days: int
    people: int = 5_000
    rhythm_days: int = 1
    delay: int = 0
    timezone: str = "UTC"

    @property
    def widest_step(self) -> int:
        """Half the horizon, in whole rhythms of the log.

        Examples
        --------
        >>> Spacing(30).widest_step, Spacing(1).widest_step, Spacing(28, rhythm_days=7).widest_step
        (15, 1, 14)
        """
        return max(self.horizon_days // 2 // self.rhythm_days, 1) * self.rhythm_days


def auto_plan(
    first: int,
    as_of: int,
    spacing: Spacing,
    *,
    step_days: int | None = None,
    most: int | None = None,
    validation: int | None = None,
) -> tuple[Plan, tuple[str, ...]]:
    """Lay out the training instants; what is not given is chosen.

    The step is half the horizon, so that seasons are seen at more than one phase; on a log so short that this
    leaves no window to make choices with, it is the widest step that leaves one.

    Parameters
    ----------
    first, as_of
        First event of the log and the run's present, epoch seconds.
    spacing
        What is known of the log.
    step_days, most, validation
        As for `training.splits.plan`, where the user gives them.

    Returns
    -------
    tuple
        The plan, and each choice in words, with its reason and how to make another.

    Raises
    ------
    LogTooShortError
        No step fits; the message names a horizon that would.

    Examples
    --------
    >>> chosen, said = auto_plan(0, 42 * DAY_SECONDS, Spacing(7))
    >>> [instant // DAY_SECONDS for instant in chosen.train]
    [14, 17, 20, 23, 26, 29, 32, 35]
    >>> said[0]
    'training instants lie 3 days apart: half the horizon of 7 days; --step-days N for another step'
    """
    at_most = most or _most_instants(spacing.people)
    step = step_days or _fitting_step(first, as_of if validation is None else validation, spacing)
    try:
        found = plan(
            first, as_of, horizon_days=spacing.horizon_days, step_days=step, most=at_most, delay=spacing.delay,
            validation=validation, timezone=spacing.timezone,
        )  # fmt: skip
    except LogTooShortError as error:
        raise LogTooShortError(error.problem, next_step=_remedy(first, as_of, spacing)) from error
    said = () if step_days else (_said_step(step, spacing),)
    return found, (*said, _said_instants(found, at_most, spacing.people, given=most is not None))


def _most_instants(people: int) -> int:
    wished = MOST_INSTANTS if people * MOST_INSTANTS >= FEW_ROWS else min(FEW_ROWS // people, 2 * MOST_INSTANTS)
    return max(min(wished, MANY_ROWS // people), FEWEST_INSTANTS)


def _fitting_step(first: int, end: int, spacing: Spacing) -> int:
    """Return the widest step for which some window is over when the last mature one starts."""
    length = spacing.horizon_days * DAY_SECONDS + spacing.delay
    room = end - length - first - spacing.horizon_days * DAY_SECONDS
    for step in range(spacing.widest_step, 1, -1):
        if -(-length // (step * DAY_SECONDS)) * step * DAY_SECONDS <= room:
            return step
    return 1


def _said_step(step: int, spacing: Spacing) -> str:
    horizon = days_text(spacing.horizon_days)
    if step < spacing.widest_step:
        reason = f"half the horizon of {horizon} would leave no window to make choices with"
    elif spacing.rhythm_days > 1:
        reason = f"half the horizon of {horizon}, in whole rhythms of the log of {days_text(spacing.rhythm_days)}"
    else:
        reason = f"half the horizon of {horizon}"
    return f"training instants lie {days_text(step)} apart: {reason}; --step-days N for another step"


def _said_instants(chosen: Plan, most: int, people: int, *, given: bool) -> str:
    number = len(chosen.train)
    instants = "1 instant" if number == 1 else f"{number} instants"
    if given:
        return f"trained on {instants}, at most {most} as was asked"
    reason = f"the latest ones, enough for {people:,} people" if number == most else "all that the log has room for"
    return f"trained on {instants}: {reason}; --most-instants N for another number"


def _remedy(first: int, as_of: int, spacing: Spacing) -> str:
    arriving = 2 * -(-spacing.delay // DAY_SECONDS)
    fitting = ((as_of - first) // DAY_SECONDS - arriving) // 3
    if not 0 < fitting < spacing.horizon_days:
        return "import more history, or leave the step out" if fitting > 0 else "import more history"
    return (
        f"import more history, or shorten the taxonomy's horizon_days to {fitting} or less; "
        "zhongcao taxonomy propose drafts one that fits"
    )
