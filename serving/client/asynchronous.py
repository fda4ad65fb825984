"""The asynchronous client: the methods of the synchronous one, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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


class AsyncClient:
    """Calls the prediction API on asyncio; parameters and methods are those of `Client`.

    Parameters
    ----------
    url, key, timeout, retries, transport
        See `Client`.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, transport=transport)
        self._timeout = timeout
        self._retries = retries or Retries()
        self._deadline: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def within(self, seconds: float) -> Self:
        """Do what `Client.within` does."""
        hurried = copy(self)
        hurried._deadline = seconds
        return hurried

    async def tags(
        self,
        people: Sequence[Person],
        *,
        top: int | None = None,
        min_probability: float | None = None,
        explain: bool = False,
    ) -> TagsAnswer:
        """Do what `Client.tags` does."""
        return await self._send(calls.tags(people, top, min_probability, explain))

    async def conversions(
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
        """Do what `Client.conversions` does."""
        return await self._send(
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

    async def events(self, events: Iterable[Mapping[str, object]]) -> EventsAnswer:
        """Do what `Client.events` does."""
        total = EventsAnswer(0, 0, 0, 0, [])
        for call in calls.events(events):
            total += await self._send(call)
        return total

    async def openrtb_enrich(self, bid_request: Mapping[str, object] | bytes | str) -> Enriched:
        """Do what `Client.openrtb_enrich` does."""
        return await self._send(calls.openrtb_enrich(bid_request))

    async def catalogue(self) -> Catalogue:
        """Do what `Client.catalogue` does."""
        found = await self._send(calls.catalogue())
        while found.next is not None:
            found = calls.joined(found, await self._send(calls.catalogue(found.next)))
        return found

    async def tag(self, tag_id: str) -> TagLabel:
        """Do what `Client.tag` does."""
        return await self._send(calls.tag(tag_id))

    async def own_tags(self, account: Account) -> OwnTags:
        """Do what `Client.own_tags` does."""
        return await self._send(calls.own_tags(account))

    async def opt_out(self, account: Account) -> OptOut:
        """Do what `Client.opt_out` does."""
        return await self._send(calls.opt_out(account))

    async def opt_in(self, account: Account) -> OptOut:
        """Do what `Client.opt_in` does."""
        return await self._send(calls.opt_in(account))

    async def delete_tag(self, account: Account, tag_id: str) -> DeletedTag:
        """Do what `Client.delete_tag` does."""
        return await self._send(calls.delete_tag(account, tag_id))

    async def erase(self, person: Person) -> Receipt:
        """Do what `Client.erase` does."""
        return await self._send(calls.erase(person))

    async def receipt(self, erasure: str) -> Receipt:
        """Do what `Client.receipt` does."""
        return await self._send(calls.receipt(erasure))

    async def live(self) -> dict[str, Any]:
        """Do what `Client.live` does."""
        return await self._send(calls.document("/livez"))

    async def ready(self) -> dict[str, Any]:
        """Do what `Client.ready` does."""
        return await self._send(calls.document("/readyz"))

    async def openapi(self) -> dict[str, Any]:
        """Do what `Client.openapi` does."""
        return await self._send(calls.document("/v1/openapi.json"))

    async def membership_page(
        self, since: str | None = None, cursor: str | None = None, limit: int = 1000
    ) -> MembershipsPage:
        """Do what `Client.membership_page` does."""
        return await self._send(membership_page(since, cursor, limit))

    async def memberships(self, since: str | None = None) -> AsyncIterator[MembershipsPage]:
        """Do what `Client.memberships` does."""
        page = await self.membership_page(since)
        yield page
        while page.next is not None:
            page = await self.membership_page(since, page.next)
            yield page

    async def _send(self, call: Call[Answer]) -> Answer:
        attempts = Attempts(call, self._retries, self._timeout, self._deadline)
        while True:
            outcome = await self._try(attempts.request())
            wait = attempts.pause(outcome)
            if wait is None:
                return call.finish(outcome)
            await asyncio.sleep(wait)

    async def _try(self, request: dict[str, Any]) -> httpx.Response | httpx.RequestError:
        try:
            return await self._http.request(**request)
        except httpx.RequestError as error:
            return error
