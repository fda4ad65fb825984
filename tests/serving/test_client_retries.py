"""What the client does where no answer comes, or none yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import client
from serving.client import Account, AsyncClient, Client, Retries

EMPTY = {"model": "m", "people": []}
BUSY = httpx.Response(503, headers={"Retry-After": "2"}, json={"detail": "busy"})
Outcome = httpx.Response | Exception


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []

    async def later(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("serving.client.synchronous.time.sleep", waited.append)
    monkeypatch.setattr("serving.client.asynchronous.asyncio.sleep", later)
    return waited


def serving(*outcomes: Outcome) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        outcome = outcomes[min(len(asked), len(outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return httpx.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)

    return httpx.MockTransport(answer), asked


def sync(transport: httpx.MockTransport, ask: str, *given: Any) -> Any:
    with Client("http://x", transport=transport) as one:
        return getattr(one, ask)(*given)


def with_asyncio(transport: httpx.MockTransport, ask: str, *given: Any) -> Any:
    async def run() -> Any:
        async with AsyncClient("http://x", transport=transport) as one:
            return await getattr(one, ask)(*given)

    return asyncio.run(run())


both = pytest.mark.parametrize("run", [sync, with_asyncio])
Run = Callable[..., Any]


@both
def test_a_busy_server_is_asked_again_when_it_says(run: Run, waits: list[float]) -> None:
    transport, asked = serving(BUSY, BUSY, httpx.Response(200, json=EMPTY))
    assert run(transport, "tags", [Account("p", "a")]).model == "m"
    assert len(asked) == 3
    assert len({request.content for request in asked}) == 1
    assert 2 <= waits[0] <= 2.1
    assert 2 <= waits[1] <= 2.2


@both
def test_a_lost_connection_is_tried_again(run: Run, waits: list[float]) -> None:
    transport, asked = serving(httpx.ConnectError("no"), httpx.ReadTimeout("no"), httpx.Response(200, json=EMPTY))
    run(transport, "tags", [])
    assert len(asked) == 3
    assert max(waits) <= 0.2


@both
@pytest.mark.parametrize(
    ("outcome", "error", "tries"),
    [
        (BUSY, client.NotReadyError, 3),
        (httpx.Response(429, headers={"Retry-After": "0"}), client.TooManyError, 3),
        (httpx.ConnectTimeout("no"), client.NoAnswerError, 3),
        (httpx.Response(503), client.NotReadyError, 1),
        (httpx.Response(503, headers={"Retry-After": "60"}), client.NotReadyError, 1),
        (httpx.Response(503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), client.NotReadyError, 1),
        (httpx.Response(500, headers={"Retry-After": "1"}), client.ServerFailedError, 1),
        (httpx.Response(422), client.NotValidError, 1),
        (httpx.Response(418, text="<html>"), client.ProblemError, 1),
        (httpx.Response(200, text="<html>"), client.StrangeAnswerError, 1),
        (httpx.Response(200, json=[]), client.StrangeAnswerError, 1),
        (httpx.Response(200, json={"model": "m"}), client.StrangeAnswerError, 1),
    ],
)
def test_what_is_given_up(
    run: Run, waits: list[float], outcome: Outcome, error: type[Exception], tries: int
) -> None:
    transport, asked = serving(outcome)
    with pytest.raises(error) as given_up:
        run(transport, "tags", [])
    assert type(given_up.value) is error
    assert (len(asked), len(waits)) == (tries, tries - 1)


@both
@pytest.mark.parametrize("outcome", [BUSY, httpx.ReadTimeout("no")])
def test_an_auction_is_not_asked_twice(run: Run, waits: list[float], outcome: Outcome) -> None:
    transport, asked = serving(outcome)
    with pytest.raises(client.ClientError):
        run(transport, "openrtb_enrich", {"id": "1"})
    assert (len(asked), waits) == (1, [])


@both
def test_events_go_in_batches_within_the_limits(run: Run, waits: list[float]) -> None:
    transport, asked = serving(
        httpx.Response(200, json={"accepted": 1, "duplicate": 0, "quarantined": 0, "refused": 0, "verdicts": []})
    )
    long = {"text": "x" * 900_000}
    assert run(transport, "events", [{}] * 2500 + [long] * 3).accepted == 4
    assert [len(request.content.split(b"\n")) for request in asked] == [1000, 1000, 502, 1]
    assert max(len(request.content) for request in asked) < 2_000_000
    assert {request.headers["content-type"] for request in asked} == {"application/x-ndjson"}


@both
def test_pages_of_another_taxonomy_are_not_mixed(run: Run) -> None:
    page = {"model": "m", "taxonomy": "t", "taxonomy_version": 1, "total": 2, "tags": []}
    transport, asked = serving(
        httpx.Response(200, json={**page, "taxonomy_hash": "a", "next": "x y"}),
        httpx.Response(200, json={**page, "taxonomy_hash": "b", "next": None}),
    )
    with pytest.raises(client.ClientError, match="another taxonomy"):
        run(transport, "catalogue")
    assert asked[1].url.query == b"limit=1000&after=x%20y"


@both
def test_no_id_stands_in_an_address(run: Run) -> None:
    transport, asked = serving(
        httpx.Response(200, json={"model": "m", "status": "unknown", "as_of": None, "tags": []})
    )
    run(transport, "own_tags", Account("red", "13800138000"))
    assert "13800138000" not in str(asked[0].url)
    assert asked[0].headers["zhongcao-account"] == "13800138000"


@given(st.integers(1, 9), st.floats(0, 60), st.integers(0, 9))
def test_waits_are_bounded(tried: int, passed: float, asked: int) -> None:
    retries = Retries(tries=5, first=0.5, most=4.0, within=20.0)
    busy = httpx.Response(429, headers={"Retry-After": str(asked)})
    wait = retries.wait(busy, again=True, tried=tried, passed=passed)
    if wait is None:
        assert tried >= 5 or asked > 4 or passed + asked + 4 > 20
    else:
        assert tried < 5
        assert asked <= wait <= asked + min(0.5 * 2 ** (tried - 1), 4.0)
        assert passed + wait <= 20
