"""Which instants are trained on, validated on and tested on: explicit time, mature labels only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from features.errors import LogTooShortError

DAY = 86_400


@dataclass(frozen=True)
class Plan:
    """The instants of one training run, all in epoch seconds.

    Parameters
    ----------
    as_of
        The run knows nothing that arrived later.
    train
        Instants whose outcome windows are over by `as_of`, oldest first: the model is fitted on them.
    choose
        Instants whose windows are over by `validation`, oldest first: choices are made with a model fitted on them.
    validation
        The latest of `train`; choices are made on its outcome window.
    """

    as_of: int
    train: tuple[int, ...]
    choose: tuple[int, ...]
    validation: int

    @property
    def instants(self) -> tuple[int, ...]:
        """All of them, oldest first, each once."""
        return tuple(sorted({*self.train, *self.choose}))


def mature(instant: int, horizon_days: int, delay: int, as_of: int) -> bool:
    """Tell whether the outcome window of `instant` is over, and its events in, by `as_of`.

    Examples
    --------
    >>> mature(0, 30, 0, 30 * DAY), mature(0, 30, 1, 30 * DAY)
    (True, False)
    """
    return instant + horizon_days * DAY + delay <= as_of


def plan(
    first: int,
    as_of: int,
    *,
    horizon_days: int,
    step_days: int | None = None,
    most: int = 8,
    delay: int = 0,
    validation: int | None = None,
) -> Plan:
    """Lay out the training instants backwards from `as_of`.

    Parameters
    ----------
    first
        First event of the log, epoch seconds.
    as_of
        The run's present, epoch seconds.
    horizon_days
        Longest outcome window of the taxonomy.
    step_days
        Days between two instants; half the horizon by default, so that windows overlap and seasons are seen
        at more than one phase.
    most
        Each fit sees at most so many instants, the latest ones.
    delay
        Seconds after a window's end until its events have arrived.
    validation
        The latest instant, where it must be another than the last mature one.

    Raises
    ------
    LogTooShortError
        The log has no room for an instant to choose with and a later one to validate on, each after a horizon of
        history.

    Examples
    --------
    >>> p = plan(0, 180 * DAY, horizon_days=30, step_days=30)
    >>> [t // DAY for t in p.train], [t // DAY for t in p.choose], p.validation // DAY
    ([30, 60, 90, 120, 150], [30, 60, 90, 120], 150)
    """
    step = step_days or max(1, horizon_days // 2)
    latest = as_of - delay - horizon_days * DAY
    latest = latest if validation is None else min(validation, latest)
    earliest = first + horizon_days * DAY
    instants = range(latest, earliest - 1, -step * DAY)
    train = tuple(instants[:most])[::-1]
    choose = tuple(t for t in instants if mature(t, horizon_days, delay, latest))[:most][::-1]
    if not choose:
        # Instants lie whole steps before the validation: back to the first whose own window is over by then.
        apart = -(-(horizon_days * DAY + delay) // (step * DAY)) * step * DAY
        needed = -(-(horizon_days * DAY + apart + as_of - latest) // DAY)
        day = datetime.fromtimestamp(as_of, UTC).date().isoformat()
        raise LogTooShortError(
            f"the log holds {max(0, as_of - first) // DAY} days before {day}, as of which is trained, and outcome "
            f"windows of {horizon_days} days need {needed}: a history, a window to train on and a later one to "
            "validate on",
            next_step="import more history or shorten the taxonomy's horizon_days",
        )
    return Plan(as_of, train, choose, latest)
