"""The client has a method for every route, and tells the server until when it waits."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import httpx
import pytest

from serving import client
from serving.api.openapi import openapi
from serving.api.route_table import ROUTES, RouteSpec
from serving.client import Account, AsyncClient, Client, PersonKey, Retries

WHO = Account("小红书", "reader 1")
HEADERS = {"zhongcao-platform": "%E5%B0%8F%E7%BA%A2%E4%B9%A6", "zhongcao-account": "reader%201"}
METHODS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "tags": ("tags", ([WHO],)),
    "catalogue": ("catalogue", ()),
    "tag": ("tag", ("dairy.will-buy",)),
    "own_tags": ("own_tags", (WHO,)),
    "opt_out": ("opt_out", (WHO,)),
    "opt_in": ("opt_in", (WHO,)),
    "delete_tag": ("delete_tag", (WHO, "dairy.will-buy")),
    "erase_me": ("erase", (WHO,)),
    "erase": ("erase", (PersonKey("ab" * 16),)),
    "receipt": ("receipt", ("1c0a52ffb6e07d93",)),
    "conversions": ("conversions", (WHO, ["n1"], {"platform": "red"})),
    "openrtb_enrich": ("openrtb_enrich", ({"id": "r1"},)),
    "events": ("events", ([{"event_id": "1"}],)),
    "livez": ("live", ()),
    "readyz": ("ready", ()),
    "openapi": ("openapi", ()),
    "memberships": ("membership_page", ()),
}
Run = Callable[..., Any]


def sync(handler: Callable[[httpx.Request], httpx.Response], method: str, *given: Any, within: float = 0) -> Any:
    with Client("http://x", transport=httpx.MockTransport(handler), retries=Retries(tries=9)) as one:
        return getattr(one.within(within) if within else one, method)(*given)


def with_asyncio(
    handler: Callable[[httpx.Request], httpx.Response], method: str, *given: Any, within: float = 0
) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(handler)
        async with AsyncClient("http://x", transport=transport, retries=Retries(tries=9)) as one:
            return await getattr(one.within(within) if within else one, method)(*given)

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [sync, with_asyncio])


def answering(asked: list[httpx.Request], route: RouteSpec) -> Callable[[httpx.Request], httpx.Response]:
    answer = openapi() if route.name == "openapi" else route.examples[1]
    if route.name == "catalogue":
        answer = answer | {"next": None}
    if route.name == "memberships":
        answer = {"version": "2-1f", "since": None, "model": "m", "as_of": 7, "next": None}

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=answer, headers={"X-Request-Id": "r1", "X-Zhongcao-Enrich": "enriched"})

    return handler


@both
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_has_a_method(route: RouteSpec, run: Run) -> None:
    asked: list[httpx.Request] = []
    method, given = METHODS[route.name]
    found = run(answering(asked, route), method, *given)
    (request,) = asked
    path = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route.path))
    assert (request.method, bool(re.fullmatch(path, request.url.path))) == (route.method, True)
    named = {name: value for name, value in request.headers.items() if name.startswith("zhongcao-")}
    assert named == (HEADERS if route.about_me else {})
    if isinstance(found, dict):
        assert found["status" if route.scope is None else "openapi"]
    elif isinstance(found, client.MembershipsPage):
        assert (found.version, found.next, found.changes, found.request_id) == ("2-1f", None, [], "r1")
    elif isinstance(found, client.Enriched):
        assert found.bid_request == route.examples[1]
    else:
        # What the document shows is read without a loss.
        known = {"next": None} if route.name == "catalogue" else {}
        assert asdict(found) == route.examples[1] | known | {"request_id": "r1"}


@both
def test_the_server_is_told_what_is_left_of_the_time(run: Run) -> None:
    told: list[int] = []

    def lost(request: httpx.Request) -> httpx.Response:
        told.append(int(request.headers["X-Request-Timeout-Ms"]))
        time.sleep(0.002)
        raise httpx.ConnectError("no")

    with pytest.raises(client.NoAnswerError):
        run(lost, "tags", [WHO], within=0.3)
    assert 290 < told[0] <= 300
    assert told == sorted(set(told), reverse=True)


@both
def test_nobody_waits_longer_than_the_time_lasts(run: Run) -> None:
    asked: list[httpx.Request] = []

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(503, headers={"Retry-After": "1"})

    with pytest.raises(client.NotReadyError) as refused:
        run(busy, "tags", [WHO], within=0.9)
    assert (len(asked), refused.value.retry_after) == (1, 1.0)
    assert asked[0].extensions["timeout"]["read"] <= 0.9


@both
def test_without_a_deadline_nothing_is_told(run: Run) -> None:
    asked: list[httpx.Request] = []
    run(answering(asked, ROUTES[0]), "tags", [WHO])
    assert "x-request-timeout-ms" not in asked[0].headers
    assert asked[0].extensions["timeout"]["read"] == 10


def test_a_hurried_client_leaves_the_other_its_time() -> None:
    asked: list[httpx.Request] = []
    with Client("http://x", transport=httpx.MockTransport(answering(asked, ROUTES[0]))) as one:
        one.within(700).tags([WHO])
        one.tags([WHO])
    assert asked[0].headers["x-request-timeout-ms"] == "600000"
    assert "x-request-timeout-ms" not in asked[1].headers
