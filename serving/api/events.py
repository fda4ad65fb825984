"""``POST /v1/events``: what shops and platforms send, with a verdict on each event."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, get_args

import anyio
import orjson
from starlette.requests import Request
from starlette.responses import Response

from features.errors import EventLogError, InboxError, ZhongcaoError
from features.inbox.batch import LiveBatch, Outcome, Verdict
from features.inbox.inbox import Inbox
from features.inbox.live_catalogue import LiveCatalogue
from features.inbox.live_events import LiveReader
from features.inbox.moving import Mover, Moving
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms, load_key
from features.rights.tombstones import Tombstones
from features.settings import Settings
from serving.guard.limits import LINES_TYPE, Limits, nesting
from serving.messages.problems import Problem

_log = logging.getLogger("zhongcao.serving")
MOST_EVENTS: Final = 1000
_AT_ONCE: Final = 16
_DEPTH: Final = Limits().depth
_OWN_SOURCE: Final = "local"
_BLANK: Final = b" \t\r"


@dataclass(frozen=True, slots=True)
class ReasonAnswer:
    """What is wrong with one field of an event; the value that was sent is not repeated."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class VerdictAnswer:
    """What became of one event, and why, where it did not go in."""

    verdict: Outcome
    reasons: list[ReasonAnswer]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """Body of the answer to ``POST /v1/events``; verdicts in the order of the events."""

    accepted: int
    duplicate: int
    quarantined: int
    refused: int
    verdicts: list[VerdictAnswer]


_PLAIN: Final = {outcome: VerdictAnswer(outcome, []) for outcome in get_args(Outcome)}


class Ingest:
    """Takes the events of a request.

    Parameters
    ----------
    inbox
        Where they go.
    reader
        How they are read.
    moving
        Tells how the moves into the log go.
    """

    def __init__(self, inbox: Inbox, reader: LiveReader, moving: Callable[[], Moving]) -> None:
        self.inbox = inbox
        self._reader = reader
        self.moving = moving

    def read(self, body: bytes, source: str, *, lines: bool = False, brand: str | None = None) -> LiveBatch:
        """Read the events of a body.

        Parameters
        ----------
        body
            ``{"events": [...]}``, or an event a line.
        source
            Who sent it.
        lines
            Whether it is an event a line.
        brand
            The only brand whose events the sender may send; None for all.

        Raises
        ------
        Problem
            The body holds no list of events, or too many.
        """
        texts = None
        if lines:
            items, texts = _of_lines(body)
        else:
            items = _of_document(body)
        return self._reader.read(items, source, brand=brand, texts=texts)

    def keep(self, batch: LiveBatch) -> EventsAnswer:
        """Put events on disk and say what became of each.

        Raises
        ------
        InboxError
            The inbox takes nothing now.
        """
        return _answer(self.inbox.accept(batch))

    def take(self, body: bytes, source: str) -> EventsAnswer:
        """Read the events of a body and keep them."""
        return self.keep(self.read(body, source))


def open_ingest(settings: Settings, opened: ExitStack) -> Ingest | ZhongcaoError:
    """Open the inbox and start moving events into the log.

    Parameters
    ----------
    settings
        Where everything lies.
    opened
        Moves what is left and closes the inbox.

    Returns
    -------
    Ingest | ZhongcaoError
        What takes events; or, where there is no log that they could go into, or no inbox can be written, the error
        that says so.
    """
    try:
        log = EventLog.open(settings)
    except EventLogError as error:
        return _not_taken(error)
    try:
        inbox = opened.enter_context(Inbox(log))
    except (sqlite3.Error, OSError) as error:
        said = f"the inbox cannot be opened until the server is started again: {error}"
        return _not_taken(InboxError(said, retry_after=60))
    mover = opened.enter_context(Mover(inbox, settings.move_seconds))
    return Ingest(inbox, _reader(log, settings, opened), mover.state)


def _not_taken(error: ZhongcaoError) -> ZhongcaoError:
    _log.warning("events are not taken: %s", error)
    return error


def _reader(log: EventLog, settings: Settings, opened: ExitStack) -> LiveReader:
    tombstones = Tombstones(settings)
    opened.callback(tombstones.close)
    pseudonyms = Pseudonyms(load_key(settings))
    return LiveReader(log.currency, pseudonyms, LiveCatalogue(log), tombstones=tombstones)


class EventsRoute:
    """Handler of the route: few requests at once, so that slow disks leave predictions alone.

    Parameters
    ----------
    ingest
        What takes events; or why nothing does.
    """

    def __init__(self, ingest: Ingest | ZhongcaoError) -> None:
        self._ingest = ingest
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._in_work = 0

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        ingest = self._ingest
        if isinstance(ingest, ZhongcaoError):
            # Why says the server's own log: it names files, which are nobody else's business.
            said = "events are not taken: this server has no inbox for them; its log says why"
            raise Problem(503, said, headers={"Retry-After": "60"})
        body = await request.body()
        key = request.state.key
        lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() == LINES_TYPE
        source, brand = (_OWN_SOURCE, None) if key is None else (key.name, key.brand)
        if self._in_work >= _AT_ONCE:
            raise Problem(429, "too many requests with events at once; try again", headers={"Retry-After": "1"})
        self._in_work += 1
        try:
            read = partial(ingest.read, body, source, lines=lines, brand=brand)
            answer = await request.state.work_beside(read, ingest.keep, self._limiter)
        except InboxError as error:
            status = 429 if error.busy else 503
            raise Problem(status, str(error), headers={"Retry-After": str(error.retry_after)}) from error
        finally:
            self._in_work -= 1
        return Response(orjson.dumps(answer), media_type="application/json")


def _of_document(body: bytes) -> list[Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body is not JSON (line {error.lineno}, column {error.colno})") from error
    items = document.get("events") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(items, list):
        raise Problem(422, f'the body must be {{"events": [...]}} and nothing else, or {LINES_TYPE}')
    return _bounded(items)


def _of_lines(body: bytes) -> tuple[list[Any], list[str]]:
    lines = _bounded([line for line in body.split(b"\n") if line.strip(_BLANK)])
    return [_parsed(line) for line in lines], [line.decode("utf-8", "replace") for line in lines]


def _bounded(items: list[Any]) -> list[Any]:
    if not items:
        raise Problem(422, "the body holds no events")
    if len(items) > MOST_EVENTS:
        raise Problem(413, f"the body may hold {MOST_EVENTS} events at most; send the others in another request")
    return items


def _parsed(line: bytes) -> Any:
    # Few lines have as many brackets as could be nested too deep.
    if line.count(b"{") + line.count(b"[") > _DEPTH and nesting(line) > _DEPTH:
        return None
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _answer(verdicts: Sequence[Verdict]) -> EventsAnswer:
    counts = Counter([verdict.outcome for verdict in verdicts])
    return EventsAnswer(
        counts["accepted"],
        counts["duplicate"],
        counts["quarantined"],
        counts["refused"],
        [_PLAIN[v.outcome] if not v.reasons else _explained(v) for v in verdicts],
    )


def _explained(verdict: Verdict) -> VerdictAnswer:
    return VerdictAnswer(
        verdict.outcome, [ReasonAnswer(reason.column, reason.problem) for reason in verdict.reasons]
    )
