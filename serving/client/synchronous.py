"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx

from serving.client import calls
from serving.client.answers import (
    Catalogue,
    ConversionsAnswer,
    Enriched,
    EventsAnswer,
    OwnTags,
    TagLabel,
    TagsAnswer,
)
from serving.client.calls import Account, Call, Candidate, Person
from serving.client.retries import Retries

Answer = TypeVar("Answer")


class Client:
    """Calls the prediction API; keeps connections open, and may be used by several threads.

    Every method may raise `NoAnswerError`, `StrangeAnswerError` and the `ProblemError` that fits the refusal.

    Parameters
    ----------
    url
        Where the server listens, such as ``http://127.0.0.1:3000``.
    key
        API key; callers on the server's own machine need none.
    timeout
        Seconds that one try may wait for a connection, and for each part of the answer.
    retries
        Which calls are tried again, and when.
    transport
        Of httpx, in place of the network.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def tags(
        self,
        people: Sequence[Person],
        *,
        top: int | None = None,
        min_probability: float | None = None,
        explain: bool = False,
    ) -> TagsAnswer:
        """Return the tags of up to 1,000 people, most probable first.

        Parameters
        ----------
        people
            Whom.
        top
            Most tags per person; the server's default where None.
        min_probability
            Tags below it are left out.
        explain
            Whether to say why, in words.
        """
        return self._send(calls.tags(people, top, min_probability, explain))

    def conversions(
        self,
        person: Person,
        candidates: Sequence[Candidate],
        context: Mapping[str, object],
        *,
        window_days: float | None = None,
    ) -> ConversionsAnswer:
        """Return what would follow if a person saw some notes.

        Parameters
        ----------
        person
            Who.
        candidates
            Up to 1,000 notes: ids, or what is known of them.
        context
            ``{"platform": ...}``, and what else is known of the impressions.
        window_days
            Must be the model's; None where any will do.
        """
        return self._send(calls.conversions(person, candidates, context, window_days))

    def events(self, events: Iterable[Mapping[str, object]]) -> EventsAnswer:
        """Send events, in requests of up to 1,000, and return a verdict on each, in the order sent.

        Where an error ends it midway, send all of them again: what was accepted is a duplicate then.
        """
        total = EventsAnswer(0, 0, 0, 0, [])
        for call in calls.events(events):
            total += self._send(call)
        return total

    def openrtb_enrich(self, bid_request: Mapping[str, object] | bytes | str) -> Enriched:
        """Return an OpenRTB bid request with a person's segments; one try alone."""
        return self._send(calls.openrtb_enrich(bid_request))

    def catalogue(self) -> Catalogue:
        """Return all tags of the serving taxonomy."""
        found = self._send(calls.catalogue())
        while found.next is not None:
            found = calls.joined(found, self._send(calls.catalogue(found.next)))
        return found

    def tag(self, tag_id: str) -> TagLabel:
        """Return one tag with its nutrition label."""
        return self._send(calls.tag(tag_id))

    def own_tags(self, account: Account) -> OwnTags:
        """Return what a person may see of themselves."""
        return self._send(calls.own_tags(account))

    def _send(self, call: Call[Answer]) -> Answer:
        begun, tried = time.monotonic(), 1
        while True:
            outcome = self._try(call)
            passed = time.monotonic() - begun
            wait = self._retries.wait(outcome, again=call.again, tried=tried, passed=passed)
            if wait is None:
                return call.finish(outcome)
            time.sleep(wait)
            tried += 1

    def _try(self, call: Call[Answer]) -> httpx.Response | httpx.RequestError:
        try:
            return self._http.request(call.method, call.path, content=call.content, headers=dict(call.headers))
        except httpx.RequestError as error:
            return error
