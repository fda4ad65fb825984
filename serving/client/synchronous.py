"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from serving.client import calls
from serving.client.answers import (
    Catalogue,
    ConversionsAnswer,
    DeletedTag,
    Enriched,
    EventsAnswer,
    OptOut,
    OwnTags,
    Receipt,
    TagLabel,
    TagsAnswer,
)
from serving.client.attempts import Attempts
from serving.client.calls import Account, Call, Candidate, Person
from serving.client.memberships import MembershipsPage, membership_page
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
        self._http = httpx.Client(base_url=url, headers=headers, transport=transport)
        self._timeout = timeout
        self._retries = retries or Retries()
        self._deadline: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def within(self, seconds: float) -> Self:
        """Return the same client, with the same connections, for calls whose answer is wanted in time.

        Each request tells the server what is left of the time, in the header `X-Request-Timeout-Ms`: what it cannot
        answer by then is refused at once, `OverloadedError` or `TooLateError`. No try is begun after it, and none
        waits longer for a connection or a part of the answer.

        Parameters
        ----------
        seconds
            Of one call, all its tries and waits included; each request of `events` and `catalogue` is one.
        """
        hurried = copy(self)
        hurried._deadline = seconds
        return hurried

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
        explain: str | bool = False,
        explain_top: int = 5,
        explain_factors: int = 5,
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
        explain
            Whether to say why, in words; or the target to explain, that of a purchase by default.
        explain_top, explain_factors
            Of how many of the most probable candidates, and how many reasons each, up to 20.
        """
        return self._send(
            calls.conversions(
                person,
                candidates,
                context,
                window_days,
                explain=explain,
                explain_top=explain_top,
                explain_factors=explain_factors,
            )
        )

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

    def opt_out(self, account: Account) -> OptOut:
        """Have somebody personalised no more, from the next request on."""
        return self._send(calls.opt_out(account))

    def opt_in(self, account: Account) -> OptOut:
        """Take an opt-out back."""
        return self._send(calls.opt_in(account))

    def delete_tag(self, account: Account, tag_id: str) -> DeletedTag:
        """Have a tag never inferred of somebody again."""
        return self._send(calls.delete_tag(account, tag_id))

    def erase(self, person: Person) -> Receipt:
        """Erase a person, with all accounts, from every place; ask for the receipt again until it is finished."""
        return self._send(calls.erase(person))

    def receipt(self, erasure: str) -> Receipt:
        """Return what an erasure has done so far."""
        return self._send(calls.receipt(erasure))

    def live(self) -> dict[str, Any]:
        """Return what `GET /livez` answers."""
        return self._send(calls.document("/livez"))

    def ready(self) -> dict[str, Any]:
        """Return what `GET /readyz` answers; raise `NotReadyError` where the server is not."""
        return self._send(calls.document("/readyz"))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        return self._send(calls.document("/v1/openapi.json"))

    def membership_page(
        self, since: str | None = None, cursor: str | None = None, limit: int = 1000
    ) -> MembershipsPage:
        """Return a page of who has which tags, or of what changed since a version; see `memberships`."""
        return self._send(membership_page(since, cursor, limit))

    def memberships(self, since: str | None = None) -> Iterator[MembershipsPage]:
        """Yield who has which tags, or who got or lost which since a version, page by page.

        Raises
        ------
        GoneError
            A version is not kept any more: begin again without `since`.
        """
        page = self.membership_page(since)
        yield page
        while page.next is not None:
            page = self.membership_page(since, page.next)
            yield page

    def _send(self, call: Call[Answer]) -> Answer:
        attempts = Attempts(call, self._retries, self._timeout, self._deadline)
        while True:
            outcome = self._try(attempts.request())
            wait = attempts.pause(outcome)
            if wait is None:
                return call.finish(outcome)
            time.sleep(wait)

    def _try(self, request: dict[str, Any]) -> httpx.Response | httpx.RequestError:
        try:
            return self._http.request(**request)
        except httpx.RequestError as error:
            return error
