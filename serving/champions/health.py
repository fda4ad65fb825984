"""What the health checks answer with."""

from __future__ import annotations

from typing import Literal, Required

from typing_extensions import TypedDict


class Liveness(TypedDict):
    """Body of the answer to ``GET /livez``."""

    status: Literal["live"]


class NextReadiness(TypedDict, total=False):
    """The bundle that the champion pointer names while another answers; `problem` says why it does not."""

    bundle: Required[str]
    state: Required[Literal["loads", "waits", "refused"]]
    problem: str


class ConversionsReadiness(TypedDict, total=False):
    """What serves conversions; or `problem`, why they are not answered."""

    model: str
    model_as_of: int
    as_of: int
    people: int
    erased_since: int
    problem: str
    next: NextReadiness


class FeedReadiness(TypedDict, total=False):
    """How far live events are in one place: how many it lacks (1,000 for more), and for how long; or why.

    `failures` are tries that failed in a row, `aside` events that it could not take and is without; `lacks` says
    what was imported by file and is not in it, and what to run.
    """

    behind: int
    lag_seconds: float
    problem: str
    failures: int
    aside: int
    lacks: str


class LiveReadiness(TypedDict, total=False):
    """How far live events are in what answers of tags and of conversions are computed from, and in the log."""

    tags: FeedReadiness
    histories: FeedReadiness
    log: FeedReadiness


class _Ready(TypedDict):
    status: Literal["ready"]


class Readiness(_Ready, total=False):
    """Body of the answer to ``GET /readyz``; the status alone for callers who need a key and have none.

    `problem` says why tags are not answered, in place of what serves them; `erased_since`, how many people were
    erased since the model was trained, where there are any.
    """

    model: str
    model_as_of: int
    as_of: int
    people: int
    tags: int
    erased_since: int
    problem: str
    next: NextReadiness
    conversions: ConversionsReadiness
    live_events: LiveReadiness
