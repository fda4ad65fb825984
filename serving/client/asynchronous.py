"""The asynchronous client: the methods of the synchronous one, to be awaited."""

from __future__ import annotations

import asyncio
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
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

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
    ) -> ConversionsAnswer:
        """Do what `Client.conversions` does."""
        return await self._send(calls.conversions(person, candidates, context, window_days))

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

    async def _send(self, call: Call[Answer]) -> Answer:
        begun, tried = time.monotonic(), 1
        while True:
            outcome = await self._try(call)
            passed = time.monotonic() - begun
            wait = self._retries.wait(outcome, again=call.again, tried=tried, passed=passed)
            if wait is None:
                return call.finish(outcome)
            await asyncio.sleep(wait)
            tried += 1

    async def _try(self, call: Call[Answer]) -> httpx.Response | httpx.RequestError:
        try:
            return await self._http.request(
                call.method, call.path, content=call.content, headers=dict(call.headers)
            )
        except httpx.RequestError as error:
            return error
