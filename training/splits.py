"""Which instants are trained on, validated on and tested on: explicit time, mature labels only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile

from features.days import DAY_SECONDS, day_text, shift_days
from features.errors import LogTooShortError


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
    def course(self) -> tuple[int, ...]:
        """All instants, oldest first."""
        return tuple(sorted({*self.choose, *self.train}))


def mature(instant: int, horizon_days: int, delay: int, as_of: int) -> bool:
    """Tell whether the outcome window of `instant` is over, and its events in, by `as_of`.

    Examples
    --------
    >>> mature(0, 30, 0, 30 * DAY_SECONDS), mature(0, 30, 1, 30 * DAY_SECONDS)
    (True, False)
    """
    return instant + horizon_days * DAY_SECONDS + delay <= as_of


def last_mature(as_of: int, horizon_days: int, delay: int = 0, timezone: str = "UTC") -> int:
    """Return the latest instant that is mature by `as_of`, at the wall-clock time that `as_of` has in a time zone.

    Parameters
    ----------
    as_of
        Epoch seconds.
    horizon_days
        Days of the outcome window, 86,400 seconds each.
    delay
        Seconds after the window's end until its events have arrived; what they exceed whole days by moves the
        wall-clock time.
    timezone
        IANA name.

    Examples
    --------
    >>> last_mature(40 * DAY_SECONDS, 30, 3 * DAY_SECONDS) // DAY_SECONDS
    7
    """
    whole, rest = divmod(delay, DAY_SECONDS)
    return _back(as_of - rest, horizon_days + whole, as_of - delay - horizon_days * DAY_SECONDS, timezone)


def plan(
    first: int,
    as_of: int,
    *,
    horizon_days: int,
    step_days: int | None = None,
    most: int = 8,
    delay: int = 0,
    validation: int | None = None,
    timezone: str = "UTC",
) -> Plan:
    """Lay out the training instants backwards from `as_of`, all at one wall-clock time.

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
        at more than one phase. An instant that would be mature but for a change of the clock lies a day earlier.
    most
        Each fit sees at most so many instants, the latest ones.
    delay
        Seconds after a window's end until its events have arrived.
    validation
        The latest instant, where it must be another than the last mature one.
    timezone
        The log's time zone.

    Raises
    ------
    LogTooShortError
        The log has no room for an instant to choose with and a later one to validate on, each after a horizon of
        history.

    Examples
    --------
    >>> p = plan(0, 180 * DAY_SECONDS, horizon_days=30, step_days=30)
    >>> [t // DAY_SECONDS for t in p.train], [t // DAY_SECONDS for t in p.choose], p.validation // DAY_SECONDS
    ([30, 60, 90, 120, 150], [30, 60, 90, 120], 150)
    """
    step = step_days or max(1, horizon_days // 2)
    latest = last_mature(as_of, horizon_days, delay, timezone)
    latest = latest if validation is None else min(validation, latest)
    earliest = first + horizon_days * DAY_SECONDS
    over = latest - delay - horizon_days * DAY_SECONDS

    def stepped(steps: int) -> int:
        days = steps * step
        return _back(latest, days, over if latest - days * DAY_SECONDS <= over else latest, timezone)

    # With steps of a day the clock can lead two of them to one instant.
    instants = list(dict.fromkeys(takewhile(lambda t: t >= earliest, map(stepped, count()))))
    train = tuple(instants[:most])[::-1]
    choose = tuple(t for t in instants if mature(t, horizon_days, delay, latest))[:most][::-1]
    if not choose:
        # Instants lie whole steps before the validation: back to the first whose own window is over by then.
        chosen = stepped(-(-(horizon_days * DAY_SECONDS + delay) // (step * DAY_SECONDS)))
        needed = -(-(horizon_days * DAY_SECONDS + as_of - chosen) // DAY_SECONDS)
        day = day_text(as_of, timezone)
        held = max(0, as_of - first) // DAY_SECONDS
        raise LogTooShortError(
            f"the log holds {held} days before {day}, as of which is trained, and outcome "
            f"windows of {horizon_days} days need {needed}: a history, a window to train on and a later one to "
            "validate on",
            next_step="import more history or shorten the taxonomy's horizon_days",
        )
    return Plan(as_of, train, choose, latest)


def _back(instant: int, days: int, until: int, timezone: str) -> int:
    """Go back some wall-clock days, and further ones until the instant is not after `until`."""
    return next(t for t in (shift_days(instant, -n, timezone) for n in count(days)) if t <= until)
