"""What goes into the inbox and what comes out: batches of live events, and a verdict on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from features.events import EVENTS
from features.sources.reader import Reason

ROW_COLUMNS: Final = tuple(column.name for column in EVENTS.columns if column.name != "day")
"""Columns of a row in the inbox: those of the log's events, apart from the day, which the log adds."""

Outcome = Literal["accepted", "duplicate", "quarantined", "refused"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event.

    Parameters
    ----------
    outcome
        ``accepted``: it is on disk and will be in the log. ``duplicate``: the same event came before.
        ``quarantined``: it is not valid, kept as it was sent until it is replayed. ``refused``: the sender has no
        right to it; it is kept nowhere.
    reasons
        Why, where it was quarantined or refused.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


ACCEPTED: Final = Verdict("accepted")
DUPLICATE: Final = Verdict("duplicate")


@dataclass(frozen=True)
class LiveBatch:
    """The events of one request, looked at.

    Parameters
    ----------
    source
        Who sent them.
    arrived_at
        Time of acceptance, epoch seconds.
    columns
        Column of ROW_COLUMNS → values of the valid events; absent columns are empty.
    contents
        Digest of what each valid event says.
    places
        Position of each valid event in the request.
    verdicts
        One per event of the request; None for those that the inbox decides on.
    raw
        Position in the request → the event as it was sent.
    """

    source: str
    arrived_at: int
    columns: dict[str, Sequence[Any]]
    contents: Sequence[bytes]
    places: Sequence[int]
    verdicts: list[Verdict | None]
    raw: Callable[[int], str]
