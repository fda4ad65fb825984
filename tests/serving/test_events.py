"""POST /v1/events: a verdict per event, good ones in a bad batch go in, predictions stay up whatever happens."""

from __future__ import annotations

import json
import re
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest

from features.errors import EventLogError, InboxError
from features.inbox.batch import ROW_COLUMNS
from features.inbox.state import state_in
from features.log.event_log import EventLog
from features.settings import Settings
from serving.api.events import Ingest, open_ingest
from serving.guard.access import KeyRing
from serving.scoring.scorer import Scorer
from tests.features.live_shop import sent
from tests.serving.calls import BODY, application, call, post
from tests.serving.fakes import fake_scorer
from tests.source_tree import ROOT

PATH = "/v1/events"
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    home = Settings(home=tmp_path / "home", mlruns=tmp_path / "mlruns", threads=1)
    EventLog.open(home, create=True)
    return home


@pytest.fixture
def ingest(home: Settings) -> Iterator[Ingest]:
    with ExitStack() as opened:
        ingest = open_ingest(home, opened)
        assert isinstance(ingest, Ingest)
        yield ingest


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def app(scorer: Scorer, tmp_path: Path, ingest: Ingest) -> Any:
    return application(scorer, tmp_path, ingest=ingest)


def verdicts(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [verdict["verdict"] for verdict in response.json()["verdicts"]]


def rows(ingest: Ingest) -> list[dict[str, Any]]:
    return [dict(zip(("seq", *ROW_COLUMNS), row, strict=True)) for row in ingest.inbox.after(0, 9999)]


def test_a_verdict_per_event_in_order(app: Any, ingest: Ingest) -> None:
    body = {"events": [sent(1), 7, sent(1), sent(2, amount=-1), sent(1, amount=2), sent(3)]}
    response = post(app, path=PATH, json=body)
    expected = ["accepted", "quarantined", "duplicate", "quarantined", "quarantined", "accepted"]
    assert verdicts(response) == expected
    answer = response.json()
    assert [answer[n] for n in ("accepted", "duplicate", "quarantined", "refused")] == [2, 1, 3, 0]
    assert answer["verdicts"][0]["reasons"] == []
    assert answer["verdicts"][4]["reasons"] == [{"field": "event_id", "problem": "same id, other content"}]
    assert [row["event_id"] for row in rows(ingest)] == ["shop:purchase:o-1", "shop:purchase:o-3"]
    assert {row["source"] for row in rows(ingest)} == {"local"}


def test_lines_are_judged_one_by_one(app: Any, ingest: Ingest) -> None:
    deep = b'{"event_id": ' + b"[" * 500 + b"]" * 500 + b"}"
    lines = [json.dumps(sent(1)).encode(), b"{", b"", deep, b"\xff\xfe", json.dumps(sent(2)).encode() + b"\r"]
    response = post(app, path=PATH, content=b"\n".join(lines), headers=LINES)
    assert verdicts(response) == ["accepted", *["quarantined"] * 3, "accepted"]
    assert sorted(raw for _, raw, _ in ingest.inbox.refused(9))[:2] == ["{", deep.decode()]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"[]", 422, "the body must be"),
        (b'{"events": {}}', 422, "the body must be"),
        (b'{"events": [1], "brand": "x"}', 422, "the body must be"),
        (b'{"events": []}', 422, "holds no events"),
        (json.dumps({"events": [1] * 1001}).encode(), 413, "1000 events at most"),
        (b'{"events": [' + b"[" * 20 + b"]" * 20 + b"]}", 400, "nested 16 deep"),
        (b'{"events": ["' + b"x" * 2_000_000 + b'"]}', 413, "2000000 bytes at most"),
    ],
)
def test_bodies_that_hold_no_events(app: Any, ingest: Ingest, body: bytes, status: int, detail: str) -> None:
    response = post(app, path=PATH, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert detail in response.json()["detail"]
    assert rows(ingest) == ingest.inbox.refused(9) == []


def test_too_many_lines_and_lines_elsewhere(app: Any) -> None:
    many = post(app, path=PATH, content=b"1\n" * 1001, headers=LINES)
    assert (many.status_code, "1000 events at most" in many.json()["detail"]) == (413, True)
    assert post(app, content=json.dumps(BODY), headers=LINES).status_code == 415


def test_scopes_and_brands(scorer: Scorer, tmp_path: Path, ingest: Ingest) -> None:
    ring = KeyRing(tmp_path / "access.json")
    app = application(scorer, tmp_path, loopback=False, ingest=ingest)

    def ask(events: list[Any], scope: str, brand: str | None = None, path: str = PATH) -> httpx.Response:
        secret, _ = ring.add(f"{brand} till", [scope], brand=brand)
        return post(app, path=path, json={"events": events}, headers={"Authorization": f"Bearer {secret}"})

    assert post(app, path=PATH, json={"events": [sent(1)]}).status_code == 401
    assert ask([sent(1)], "predict").status_code == 403
    assert ask([sent(1)], "ingest", "oat", "/v1/tags").status_code == 403
    assert verdicts(ask([sent(1), sent(2, brand="rye")], "ingest")) == ["accepted"] * 2
    others = [sent(3, brand="rye"), sent(4), sent(5, brand=["oat"]), "oat", sent(6, brand="oat", amount=-1)]
    response = ask([*others, sent(7, brand="oat")], "ingest", "oat")
    assert verdicts(response) == [*["refused"] * 4, "quarantined", "accepted"]
    assert response.json()["verdicts"][0]["reasons"] == [{"field": "brand", "problem": "not your brand"}]
    assert [row["brand"] for row in rows(ingest)] == [None, "rye", "oat"]
    assert [raw for _, raw, _ in ingest.inbox.refused(9)] == [json.dumps(others[4], separators=(",", ":"))]
    assert rows(ingest)[-1]["source"] == "oat till"


def test_a_full_disk_leaves_predictions_up(app: Any, ingest: Ingest) -> None:
    def fill(connection: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    ingest.inbox._writer.run(fill)
    events = [sent(n, shop="s" * 400) for n in range(400)]
    full = post(app, path=PATH, json={"events": events})
    assert (full.status_code, full.headers["retry-after"]) == (503, "30")
    assert post(app, json=BODY).status_code == 200


def test_callers_that_are_too_many_are_told_to_come_again(app: Any, ingest: Ingest) -> None:
    hold, held = threading.Event(), threading.Event()

    def busy(_: Any) -> None:
        held.set()
        hold.wait(20)

    holder = threading.Thread(target=ingest.inbox._writer.run, args=(busy,))
    holder.start()
    held.wait(20)
    answers: list[httpx.Response] = []

    async def many(http: httpx.AsyncClient) -> httpx.Response:
        async def one(number: int) -> None:
            answers.append(await http.post(PATH, json={"events": [sent(number)]}))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)
            while len(answers) < 4:
                await anyio.sleep(0.01)
            tags = await http.post("/v1/tags", json=BODY)
            hold.set()
        return tags

    assert call(app, many).status_code == 200
    holder.join()
    assert [answer.status_code for answer in answers[:4]] == [429] * 4
    assert answers[0].headers["retry-after"] == "1"
    assert [answer.status_code for answer in answers[4:]] == [200] * 16


def test_without_a_log_events_are_refused_and_predictions_answered(
    scorer: Scorer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as opened:
        nothing = open_ingest(Settings(home=tmp_path / "none", mlruns=tmp_path / "mlruns"), opened)
    assert isinstance(nothing, EventLogError)
    app = application(scorer, tmp_path, ingest=nothing)
    refused = post(app, path=PATH, json={"events": [sent(1)]})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
    assert "no inbox for them; its log says why" in refused.json()["detail"]
    assert "/" not in refused.json()["detail"]
    assert f"events are not taken: there is no event log in {tmp_path}" in caplog.text
    assert post(app, json=BODY).status_code == 200


def test_an_inbox_that_cannot_be_opened_leaves_predictions_up(
    scorer: Scorer, tmp_path: Path, home: Settings
) -> None:
    home.inbox_file.write_bytes(b"no database" * 1000)
    with ExitStack() as opened:
        nothing = open_ingest(home, opened)
    assert isinstance(nothing, InboxError)
    app = application(scorer, tmp_path, ingest=nothing)
    assert post(app, path=PATH, json={"events": [sent(1)]}).status_code == 503
    assert post(app, json=BODY).status_code == 200


def test_what_waits_is_moved_when_the_server_stops(home: Settings) -> None:
    with ExitStack() as opened:
        ingest = open_ingest(home, opened)
        assert isinstance(ingest, Ingest)
        assert ingest.take(json.dumps({"events": [sent(1)]}).encode(), "till").accepted == 1
    log = EventLog.open(home)
    assert log.events(log.connect()).project("event_id").fetchall() == [("shop:purchase:o-1",)]
    state = state_in(home.inbox_file)
    assert state is not None
    assert state.waiting == 0


def shown(name: str) -> str:
    page = (ROOT / "docs" / "connect-a-shop.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", page, re.DOTALL)
    assert found
    return found[1]


def test_the_documented_request_gets_the_documented_answer(app: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = post(app, path=PATH, content=shown("live request").encode(), headers=headers)
    assert answer.json() == json.loads(shown("live answer"))


class FakeKafka(types.ModuleType):
    """Three messages and a tombstone in two batches, then the end; the server is busy once."""

    KafkaException = RuntimeError

    def __init__(self, app: Any) -> None:
        super().__init__("confluent_kafka")
        self.happened: list[str] = []
        values = [json.dumps(sent(1), indent=1).encode(), None, b"{", json.dumps(sent(2)).encode()]
        messages = [SimpleNamespace(error=lambda: None, value=lambda value=value: value) for value in values]
        self.batches = [messages[:3], [], messages[3:]]
        self.app = app
        self.Consumer = lambda _: self

    def subscribe(self, _: list[str]) -> None: ...

    def consume(self, _: int, timeout: float) -> list[Any]:
        if not self.batches:
            raise KeyboardInterrupt
        return self.batches.pop(0)

    def commit(self, asynchronous: bool) -> None:
        self.happened.append(f"commit, asynchronous {asynchronous}")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.happened:
            self.happened.append("busy")
            return httpx.Response(429, headers={"Retry-After": "0"})
        response = post(self.app, path=PATH, content=request.content, headers=LINES)
        self.happened += verdicts(response)
        return httpx.Response(response.status_code, content=response.content)


def test_the_kafka_recipe_commits_offsets_after_the_verdicts(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = FakeKafka(app)
    monkeypatch.setitem(sys.modules, "confluent_kafka", kafka)
    client = httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **given: client(transport=httpx.MockTransport(kafka.answer), **given)
    )
    with pytest.raises(KeyboardInterrupt):
        exec(compile(shown("kafka"), "kafka", "exec"), {})  # noqa: S102
    committed = "commit, asynchronous False"
    assert kafka.happened == ["busy", "accepted", "quarantined", committed, "accepted", committed]
