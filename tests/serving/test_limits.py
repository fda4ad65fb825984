from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guard.access import KeyRing
from serving.guard.limits import Limits, nesting
from serving.scoring.scorer import Scorer
from tests.serving.calls import BODY, application, call, get, post
from tests.serving.fakes import fake_scorer

SMALL = Limits(body_bytes=200, depth=4, at_once=2)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def small(scorer: Scorer, tmp_path: Path) -> Any:
    return application(scorer, tmp_path, limits=SMALL)


@pytest.fixture
def wide(scorer: Scorer, tmp_path: Path) -> Any:
    return application(scorer, tmp_path, loopback=False)


def padded(size: int) -> bytes:
    body = json.dumps(BODY).encode()
    return body + b" " * (size - len(body))


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50):
        yield body[start : start + 50]


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_up_to_the_limit(small: Any, chunked: bool) -> None:
    def sent(size: int) -> httpx.Response:
        body = padded(size)
        return post(small, content=in_chunks(body) if chunked else body, headers=JSON)

    assert sent(200).status_code == 200
    refused = sent(201)
    assert refused.status_code == 413
    assert refused.json()["title"] == "Content Too Large"
    assert "200 bytes" in refused.json()["detail"]


def test_a_large_length_is_refused_before_the_body_is_read(small: Any) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    for length in ("201", "9" * 5000, "-1", "many"):
        response = post(small, content=never(), headers={**JSON, "Content-Length": length})
        assert response.status_code == 413


def test_the_default_limit_takes_the_largest_useful_request(scorer: Scorer, tmp_path: Path) -> None:
    people = [{"platform": "p" * 64, "account": f"{i:0256d}"} for i in range(1000)]
    assert post(application(scorer, tmp_path), json={"people": people}).status_code == 200


def test_deep_nesting_is_refused_before_parsing(small: Any) -> None:
    assert post(small, content=b"[" * 5, headers=JSON).json()["detail"] == "the body may be nested 4 deep at most"
    assert "not JSON" in post(small, content=b"[" * 4, headers=JSON).json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/vnd.bentoml+pickle"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_only_plain_json_is_taken(small: Any, headers: dict[str, str]) -> None:
    assert post(small, content=json.dumps(BODY), headers=headers).status_code == 415


class Gate:
    """Stands in for the scorer's work: lets nobody through until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self.opened = Event()

    def written(self, *_: object, **__: object) -> dict[str, object]:
        self.waiting += 1
        assert self.opened.wait(30)
        return {"model": "m", "answers": []}


@pytest.fixture
def gate(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(scorer, "written", gate.written)
    return gate


def test_a_slow_answer_is_given_up(scorer: Scorer, tmp_path: Path, gate: Gate) -> None:
    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        late = await http.post("/v1/tags", json=BODY)
        gate.opened.set()
        return late

    response = call(application(scorer, tmp_path, limits=Limits(seconds=0.05)), ask)
    assert response.status_code == 503
    assert "0.05 s" in response.json()["detail"]


def test_requests_beyond_the_bound_are_turned_away(small: Any, gate: Gate) -> None:
    async def ask(http: httpx.AsyncClient) -> httpx.Response:
        first = [asyncio.create_task(http.post("/v1/tags", json=BODY)) for _ in range(2)]
        async with asyncio.timeout(30):
            while gate.waiting < 2:
                await asyncio.sleep(0.001)
        third = await http.post("/v1/tags", json=BODY)
        # Health is answered however busy the service is.
        assert (await http.get("/livez")).status_code == 200
        gate.opened.set()
        assert [(await one).status_code for one in first] == [200, 200]
        assert (await http.post("/v1/tags", json=BODY)).status_code == 200
        return third

    refused = call(small, ask)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


def test_a_caller_who_leaves_gets_no_answer_and_makes_no_noise(small: Any) -> None:
    async def run() -> list[str]:
        sent: list[str] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/tags",
            "raw_path": b"/v1/tags", "root_path": "", "scheme": "http", "query_string": b"", "state": {},
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 3000),
        }  # fmt: skip
        await small(scope, receive, send)
        return sent

    assert asyncio.run(run()) == ["http.response.start", "http.response.body"]


def test_websockets_are_not_answered(small: Any) -> None:
    async def run() -> None:
        async def channel(*_: object) -> dict[str, str]:
            raise AssertionError("nothing is sent or read")

        scope = {"type": "websocket", "path": "/v1/tags", "root_path": "", "headers": [], "query_string": b""}
        await small({**scope, "scheme": "ws", "server": ("127.0.0.1", 3000)}, channel, channel)

    asyncio.run(run())


class TestKeys:
    def test_this_machine_needs_none(self, scorer: Scorer, tmp_path: Path) -> None:
        assert post(application(scorer, tmp_path), json=BODY).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "127.0.0.1.evil.example"},
            {"X-Forwarded-For": "8.8.8.8"},
            {"Forwarded": "for=8.8.8.8"},
            {"Via": "1.1 proxy"},
        ],
    )
    def test_other_names_and_proxies_are_not_this_machine(
        self, scorer: Scorer, tmp_path: Path, headers: dict[str, str]
    ) -> None:
        assert post(application(scorer, tmp_path), json=BODY, headers=headers).status_code == 401

    def test_nor_is_a_proxy_that_is_known_by_its_old_version_only(self, small: Any) -> None:
        async def run(version: str) -> int:
            statuses: list[int] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": json.dumps(BODY).encode()}

            async def send(message: Any) -> None:
                statuses.extend([message["status"]] if "status" in message else [])

            headers = [(b"host", b"127.0.0.1:3000"), (b"content-type", b"application/json")]
            scope = {
                "type": "http", "http_version": version, "method": "POST", "path": "/v1/tags", "root_path": "",
                "headers": headers, "query_string": b"", "client": ("127.0.0.1", 1),
            }  # fmt: skip
            await small(scope, receive, send)
            return statuses[0]

        assert [asyncio.run(run(version)) for version in ("1.0", "1.1")] == [401, 200]

    def test_nor_is_another_client(self, scorer: Scorer, tmp_path: Path) -> None:
        assert post(application(scorer, tmp_path), "10.0.0.9", json=BODY).status_code == 401

    @pytest.mark.parametrize("host", ["localhost", "localhost:3000", "[::1]:3000", "127.0.0.1"])
    def test_names_of_loopback(self, scorer: Scorer, tmp_path: Path, host: str) -> None:
        assert post(application(scorer, tmp_path), json=BODY, headers={"Host": host}).status_code == 200

    def test_bound_wider_everybody_needs_one(self, wide: Any, tmp_path: Path) -> None:
        missing = post(wide, json=BODY)
        assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
        assert "Authorization: Bearer" in missing.json()["detail"]
        secret, _ = KeyRing(tmp_path / "access.json").add("a", ["predict"])
        given = post(
            wide, "10.0.0.9", json=BODY, headers={"Authorization": f"Bearer {secret}", "Host": "a.example"}
        )
        assert given.status_code == 200

    @pytest.mark.parametrize("header", ["Bearer zc_wrong", "Basic {}", "Bearer {}x", "bearer  "])
    def test_a_wrong_key_is_refused(self, wide: Any, tmp_path: Path, header: str) -> None:
        secret, _ = KeyRing(tmp_path / "access.json").add("a", ["predict"])
        response = post(wide, json=BODY, headers={"Authorization": header.format(secret)})
        assert response.status_code == 401
        assert secret not in response.text

    def test_also_on_loopback(self, scorer: Scorer, tmp_path: Path) -> None:
        response = post(application(scorer, tmp_path), json=BODY, headers={"Authorization": "Bearer zc_wrong"})
        assert response.status_code == 401

    def test_expired_and_revoked_keys(self, wide: Any, tmp_path: Path) -> None:
        ring = KeyRing(tmp_path / "access.json")
        expired, _ = ring.add("a", ["predict"], days=1, now=0)
        revoked, key = ring.add("b", ["predict"])
        assert post(wide, json=BODY, headers={"Authorization": f"Bearer {revoked}"}).status_code == 200
        ring.revoke(key.id)
        for secret in (expired, revoked):
            response = post(wide, json=BODY, headers={"Authorization": f"Bearer {secret}"})
            assert (response.status_code, "expired" in response.json()["detail"]) == (401, True)

    def test_a_key_of_another_scope(self, wide: Any, tmp_path: Path) -> None:
        secret, _ = KeyRing(tmp_path / "access.json").add("a", ["ingest"])
        response = post(wide, json=BODY, headers={"Authorization": f"Bearer {secret}"})
        assert (response.status_code, response.json()["detail"]) == (403, "this API key lacks the scope predict")

    def test_a_key_of_one_brand_does_not_open_what_is_of_everybody(self, wide: Any, tmp_path: Path) -> None:
        secret, _ = KeyRing(tmp_path / "access.json").add("a", ["admin"], brand="acme")
        response = post(wide, json=BODY, headers={"Authorization": f"Bearer {secret}"})
        assert response.status_code == 403
        assert "for one brand" in response.json()["detail"]

    def test_routes_that_nobody_declared_need_admin(self, wide: Any, tmp_path: Path) -> None:
        ring = KeyRing(tmp_path / "access.json")
        predict, _ = ring.add("a", ["predict"])
        admin, _ = ring.add("b", ["admin"])
        assert get(wide, "/metrics").status_code == 401
        assert get(wide, "/metrics", headers={"Authorization": f"Bearer {predict}"}).status_code == 403
        assert get(wide, "/metrics", headers={"Authorization": f"Bearer {admin}"}).status_code == 404

    def test_health_says_more_to_those_with_a_key(self, wide: Any, tmp_path: Path) -> None:
        secret, _ = KeyRing(tmp_path / "access.json").add("a", ["predict"])
        assert get(wide, "/livez", "10.0.0.9").json() == {"status": "live"}
        assert get(wide, "/readyz", "10.0.0.9").json() == {"status": "ready"}
        told = get(wide, "/readyz", "10.0.0.9", headers={"Authorization": f"Bearer {secret}"})
        assert told.json()["model"] == "fake-1"


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    )
)
def test_nesting_is_that_of_the_parsed_value(value: object) -> None:
    assert nesting(json.dumps(value).encode()) == depth(value)
    assert nesting(json.dumps(value, ensure_ascii=False).encode()) == depth(value)


@given(st.binary(max_size=200) | st.text('"\\[{]} ', max_size=60).map(str.encode))
def test_nesting_takes_any_bytes(body: bytes) -> None:
    assert 0 <= nesting(body) <= len(body)


def test_nesting_of_an_endless_string_is_read_once() -> None:
    # Quadratic reading of this body would take hours.
    assert nesting(b'"' + b'\\"' * 1_000_000) == 0
