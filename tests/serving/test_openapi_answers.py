"""Answers of routes that need more than a tag model are as the OpenAPI document says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.log.event_log import EventLog
from features.people.identity import load_key
from features.settings import Settings
from serving.api.events import Ingest, open_ingest
from serving.api.openapi import openapi
from serving.histories.sqlite_store import SqliteHistories
from serving.openrtb.people import OpenRtbSettings, read_openrtb_ids
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, post
from tests.serving.conversion_homes import AS_OF, FakeConversions
from tests.serving.fakes import fake_scorer
from tests.serving.json_schema import faults

DOCUMENT = openapi()
EVENT = {"event_id": "1", "kind": "click", "event_time": 1_700_000_000, "platform": "red", "account": "a"}


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


def undocumented(path: str, response: httpx.Response, status: int = 200) -> list[str]:
    assert response.status_code == status
    said = DOCUMENT["paths"][path]["post"]["responses"][str(status)]
    missing = [name for name, of in said["headers"].items() if of.get("required") and name not in response.headers]
    schema = said["content"][response.headers["content-type"]]["schema"]
    return [*missing, *faults(response.json(), schema, DOCUMENT)]


@pytest.mark.parametrize("account", ["dairy lover", "nobody"])
def test_bid_requests(scorer: Scorer, tmp_path: Path, account: str) -> None:
    app = application(scorer, tmp_path, openrtb=OpenRtbSettings(read_openrtb_ids("user.id=shop")))
    bid: dict[str, Any] = {"id": "1", "tmax": 60_000, "user": {"id": account, "ext": {"x": 1}}, "imp": []}
    assert undocumented("/v1/openrtb/enrich", post(app, path="/v1/openrtb/enrich", json=bid)) == []
    refused = post(app, path="/v1/openrtb/enrich", json={"id": "1", "tmax": 2**60})
    assert undocumented("/v1/openrtb/enrich", refused, 422) == []


def test_events(scorer: Scorer, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", mlruns=tmp_path, threads=1, move_seconds=86_400)
    EventLog.open(settings, create=True)
    with ExitStack() as opened:
        ingest = open_ingest(settings, opened)
        assert isinstance(ingest, Ingest)
        app = application(scorer, tmp_path, ingest=ingest)
        sent = {"events": [EVENT, EVENT, {**EVENT, "kind": "buy"}, 7]}
        assert undocumented("/v1/events", post(app, path="/v1/events", json=sent)) == []
        many = {"events": [EVENT] * 1001}
        assert undocumented("/v1/events", post(app, path="/v1/events", json=many), 413) == []


@pytest.mark.parametrize("account", ["u1", "nobody"])
def test_conversions(scorer: Scorer, tmp_path: Path, conversion_home: Settings, account: str) -> None:
    store = SqliteHistories(conversion_home.histories_file)
    converts = ConversionScorer(FakeConversions(), store, load_key(conversion_home))
    app = application(scorer, tmp_path, conversions=converts)
    context = {"platform": "red", "time": AS_OF}
    asked = {"person": {"platform": "red", "account": account}, "candidates": ["n1", "?"], "context": context}
    assert undocumented("/v1/conversions", post(app, path="/v1/conversions", json=asked)) == []
    store.close()


def test_a_valid_event_is_one() -> None:
    schema = {"$ref": "#/components/schemas/LiveEvent"}
    assert list(faults(EVENT, schema, DOCUMENT)) == []
    assert list(faults({**EVENT, "arrived_at": 1}, schema, DOCUMENT)) == [": undocumented arrived_at"]
