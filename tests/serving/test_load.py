"""Rates, deadlines, draining and metrics of the guard, around the real routes."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from features.errors import SettingsError
from serving.guard.access import ApiKey, KeyRing
from serving.guard.deadlines import ARRIVED, TIMEOUT_HEADER, asked_seconds
from serving.guard.draining import Draining, DrainingServer
from serving.guard.limits import Guard
from serving.guard.rates import Rates
from serving.guard.workers import Workers
from serving.messages.metrics import Metrics
from serving.messages.problems import Problem
from serving.server.metrics_port import metrics_served
from tests.serving.calls import application, get
from tests.serving.fakes import fake_scorer
from tests.serving.homes import tiny_home
from tests.serving.servers import free_port, running

ACCOUNT = "13800138000"


class Routes:
    """Stands for the routes: answers at once, or after a job in the workers."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.seconds:
            await scope["state"]["work"](lambda: time.sleep(self.seconds))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "access.json")


def guarded(ring: KeyRing, routes: Routes, **more: Any) -> Guard:
    return Guard(
        routes, ring, needs={"/v1/tags": "predict"}, open_paths=frozenset({"/livez"}), loopback=True, **more
    )  # fmt: skip


def asked(app: Any, times: int = 1, path: str = "/v1/tags", **headers: str) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return [await http.get(path, headers=headers) for _ in range(times)]

    return asyncio.run(run())


class TestRates:
    def test_a_key_with_a_rate_is_held_to_it_and_others_are_not(self, ring: KeyRing) -> None:
        slow, _ = ring.add("slow", ["predict"], rate=0.01)
        free, _ = ring.add("free", ["predict"])
        app = guarded(ring, Routes())
        first, second = asked(app, 2, Authorization=f"Bearer {slow}")
        assert (first.status_code, second.status_code) == (200, 429)
        assert second.json()["detail"] == "this API key may send 0.01 requests a second"
        assert 98 <= int(second.headers["retry-after"]) <= 100
        assert {answer.status_code for answer in asked(app, 20, Authorization=f"Bearer {free}")} == {200}
        assert [answer.status_code for answer in asked(app, 2)] == [200, 200]

    def test_a_burst_of_one_second_passes_and_then_as_many_as_time_gives(self) -> None:
        now = [100.0]
        rates = Rates(lambda: now[0])
        key = ApiKey("k", "", "shop", ("ingest",), None, 0, None, rate=4)

        def passed() -> int:
            for sent in range(100):
                try:
                    rates.take(key)
                except Problem:
                    return sent
            return 100

        assert passed() == 4
        now[0] += 0.75
        assert passed() == 3
        now[0] += 1_000
        assert passed() == 4

    def test_keys_of_before_have_none(self, ring: KeyRing, tmp_path: Path) -> None:
        secret, key = ring.add("old", ["predict"])
        file = tmp_path / "access.json"
        file.write_text(re.sub(r',\s*"rate": null', "", file.read_text()))
        assert "rate" not in file.read_text()
        assert KeyRing(file).find(secret) == key


class TestDeadlines:
    def test_the_callers_deadline_ends_a_request(self, ring: KeyRing) -> None:
        workers = Workers(1)
        (late,) = asked(guarded(ring, Routes(5), workers=workers), **{TIMEOUT_HEADER: "20"})
        workers.close()
        assert late.status_code == 503
        assert late.json()["type"].endswith(":too-late")
        assert late.json()["detail"] == "not answered within 0.02 s; ask for less at once"

    def test_time_on_the_event_loop_counts(self, ring: KeyRing) -> None:
        guard = guarded(ring, Routes())

        async def arrived(scope: Any, receive: Any, send: Any) -> None:
            await guard({**scope, ARRIVED: time.monotonic() - 0.5}, receive, send)

        waited, patient = asked(arrived, **{TIMEOUT_HEADER: "100"}), asked(arrived, **{TIMEOUT_HEADER: "9000"})
        assert (waited[0].status_code, patient[0].status_code) == (503, 200)

    @pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "²", "600001", "9" * 5_000])
    def test_a_strange_deadline_is_refused(self, ring: KeyRing, value: str) -> None:
        with pytest.raises(Problem, match="from 1 to 600000"):
            asked_seconds(value)
        (refused,) = asked(guarded(ring, Routes()), **{TIMEOUT_HEADER: "1e3"})
        assert refused.status_code == 422


class TestDraining:
    def test_answers_end_their_connections(self, ring: KeyRing) -> None:
        draining = Draining()
        app = guarded(ring, Routes(), draining=draining)
        assert "connection" not in asked(app)[0].headers
        draining.begun = True
        assert asked(app)[0].headers["connection"] == "close"

    def test_readiness_says_so_and_liveness_does_not(self, tmp_path: Path) -> None:
        scorer = fake_scorer(tmp_path)
        draining = Draining()
        app = application(scorer, tmp_path, draining=draining)
        assert get(app, "/readyz").status_code == 200
        draining.begun = True
        app = application(scorer, tmp_path, draining=draining)
        assert get(app, "/readyz").json()["detail"] == "draining: this server is about to stop"
        assert get(app, "/livez").status_code == 200
        scorer.store.close()

    def server(self, seconds: float) -> DrainingServer:
        return DrainingServer(uvicorn.Config(Routes()), Draining(), seconds)

    def test_requests_are_answered_for_a_while_after_the_signal(self) -> None:
        server = self.server(0.05)
        server.handle_exit(signal.SIGTERM, None)
        assert server.draining.begun
        assert not server.should_exit
        assert not asyncio.run(server.on_tick(1))
        time.sleep(0.06)
        assert asyncio.run(server.on_tick(2))

    @pytest.mark.parametrize(
        ("seconds", "signals"),
        [(0.0, [signal.SIGTERM]), (60.0, [signal.SIGINT]), (60.0, [signal.SIGTERM, signal.SIGTERM])],
    )
    def test_it_stops_at_once(self, seconds: float, signals: list[signal.Signals]) -> None:
        server = self.server(seconds)
        for one in signals:
            server.handle_exit(one, None)
        assert server.should_exit
        assert server.draining.begun


class TestMetrics:
    @pytest.fixture
    def metrics(self) -> Metrics:
        return Metrics(["/v1/tags", "/v1/tags/{tag}", "/livez"])

    @pytest.fixture
    def port(self, metrics: Metrics) -> Iterator[int]:
        with metrics_served(metrics, 0) as port:
            yield port

    def test_requests_are_counted_by_route_and_class_without_ids(self, ring: KeyRing, metrics: Metrics) -> None:
        app = guarded(ring, Routes(), metrics=metrics)
        asked(app, 3)
        asked(app, 2, path=f"/v1/{ACCOUNT}?account={ACCOUNT}", Authorization=f"Bearer {ACCOUNT}")
        asked(app, path="/livez")
        text = metrics.text()
        assert 'zhongcao_requests_total{route="/v1/tags",status="2xx"} 3' in text
        assert 'zhongcao_requests_total{route="other",status="4xx"} 2' in text
        assert 'zhongcao_refused_total{kind="key-needed"} 2' in text
        assert 'zhongcao_request_seconds_bucket{route="/v1/tags",le="+Inf"} 3' in text
        assert 'zhongcao_request_seconds_count{route="/livez"} 1' in text
        assert ACCOUNT not in text

    def test_bins_hold_what_is_no_larger_than_their_ends(self, metrics: Metrics) -> None:
        for seconds in (0.001, 0.0011, 99.0):
            metrics.answered("/v1/tags", 200, seconds)
        counts = dict(re.findall(r'bucket\{route="/v1/tags",le="([^"]+)"\} (\d+)', metrics.text()))
        assert (counts["0.001"], counts["0.0025"], counts["10.0"], counts["+Inf"]) == ("1", "2", "2", "3")
        assert list(map(int, counts.values())) == sorted(map(int, counts.values()))

    def test_labels_of_gauges_are_escaped(self, metrics: Metrics) -> None:
        metrics.gauge("model_info", "What answers.", lambda: {(("version", 'a"b\\c\nd'),): 1})
        metrics.gauge("waiting", "Requests.", lambda: {(): 2.5})
        assert r'zhongcao_model_info{version="a\"b\\c\nd"} 1' in metrics.text()
        assert "\nzhongcao_waiting 2.5\n" in metrics.text()

    def test_every_line_is_a_comment_or_a_sample(self, metrics: Metrics) -> None:
        metrics.answered("/v1/tags/dairy.will-buy", 503, 0.2)
        metrics.refused("overloaded")
        sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
        lines = metrics.text().splitlines()
        assert all(line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line) for line in lines)
        assert 'zhongcao_requests_total{route="/v1/tags/{tag}",status="5xx"} 1' in lines

    def test_they_are_read_on_loopback_alone(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        answer = httpx.get(f"{url}/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "process_cpu_seconds_total" in answer.text
        assert httpx.get(f"{url}/").status_code == 404
        assert httpx.get(f"{url}/metrics", headers={"Host": "evil.example"}).status_code == 404

    def test_a_taken_port_is_named(self, metrics: Metrics, port: int) -> None:
        with (
            pytest.raises(SettingsError, match=f"127.0.0.1:{port}'; .*metrics_port"),
            metrics_served(metrics, port),
        ):
            pass


@pytest.mark.e2e
def test_a_server_drains_and_shows_its_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, port, metrics_port = tiny_home(tmp_path), free_port(), free_port()
    monkeypatch.setenv("ZHONGCAO_METRICS_PORT", str(metrics_port))
    monkeypatch.setenv("ZHONGCAO_DRAIN_SECONDS", "2")
    body = {"people": [{"platform": "shop", "account": "a1"}]}
    with running(home, port) as (process, url), httpx.Client(base_url=url) as http:
        assert http.post("/v1/tags", json=body).status_code == 200
        text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        assert 'zhongcao_requests_total{route="/v1/tags",status="2xx"} 1' in text
        assert re.search(r'zhongcao_model_info\{kind="tags",version="tags-[0-9a-f]+"\} 1', text)
        assert 'zhongcao_rows_as_of_seconds{kind="tags"}' in text
        assert not re.search(r'"a1"|[0-9a-f]{32}', text)
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 1.5
        while (ready := http.get("/readyz")).status_code == 200 and time.monotonic() < until:
            time.sleep(0.01)
        assert ready.status_code == 503
        assert ready.json()["detail"] == "draining: this server is about to stop"
        assert ready.headers["connection"] == "close"
        # New connections, too, are answered until the time is over.
        assert httpx.post(f"{url}/v1/tags", json=body).status_code == 200
        process.communicate(timeout=30)
        assert process.returncode == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez")
