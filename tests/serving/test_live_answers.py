"""From `POST /v1/events` to a changed answer, through the whole application: tags, conversions, readiness."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from features.people.identity import load_key
from features.settings import Settings
from serving.api.events import open_ingest
from serving.api.route_table import BRAND_PATHS, LINE_PATHS, NEEDS, OPEN_PATHS
from serving.api.routes import build_api
from serving.champions.open_scorers import Champions, open_scorers
from serving.consent.watch import ConsentWatch
from serving.guard.access import KeyRing
from serving.guard.limits import Guard
from serving.histories.sqlite_store import SqliteHistories
from serving.scoring.conversions import ConversionScorer
from serving.server.feeding import open_feeder
from serving.server.service import build_service
from tests.serving.calls import get, post
from tests.serving.conversion_homes import FakeConversions
from tests.serving.conversion_homes import filled as histories_filled
from tests.serving.live_homes import event, filled, live_home

WAIT_SECONDS = 10


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = live_home(tmp_path)
    filled(settings)
    histories_filled(settings, "now", int(time.time()))
    return settings


@pytest.fixture
def app(home: Settings) -> Iterator[Any]:
    with ExitStack() as opened:
        consent = ConsentWatch(home)
        champions: Champions = open_scorers(home, consent, opened)
        opened.enter_context(consent)
        histories = SqliteHistories(home.histories_file)
        opened.callback(histories.close)
        champions.conversions.now = ConversionScorer(FakeConversions(), histories, load_key(home))
        ingest = open_ingest(home, opened)
        feedings = open_feeder(home, ingest, champions, consent, opened)
        guard = Guard(
            build_api(champions.tags, champions.conversions, ingest, feedings=feedings),
            KeyRing(home.access_file),
            needs=NEEDS,
            open_paths=OPEN_PATHS,
            loopback=True,
            brand_paths=BRAND_PATHS,
            line_paths=LINE_PATHS,
        )
        yield build_service(guard).to_asgi()


def until(answer: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Ask until it holds; no longer than some seconds."""
    end = time.monotonic() + WAIT_SECONDS
    while not holds(got := answer()) and time.monotonic() < end:
        time.sleep(0.02)
    return got


def test_an_event_changes_the_next_answers(app: Any) -> None:
    def tags(account: str) -> Any:
        body = {"people": [{"platform": "shop", "account": account}], "explain": True}
        return post(app, path="/v1/tags", json=body).json()["people"][0]

    def conversions() -> Any:
        body = {
            "person": {"platform": "shop", "account": "a5"},
            "candidates": ["n1"],
            "context": {"platform": "shop", "time": int(time.time()) + 5},
        }
        return post(app, path="/v1/conversions", json=body).json()["candidates"][0]["probabilities"]["click"]

    before, other, chance = tags("a5"), tags("a6"), conversions()
    assert tags("somebody new")["status"] == "unknown"
    now = int(time.time())
    events = [event(9000 + n, "a5", now, kind) for n, kind in enumerate(["purchase", "impression", "purchase"])]
    sent = post(app, path="/v1/events", json={"events": [*events, event(9100, "somebody new", now)]})
    assert sent.json()["accepted"] == 4, sent.text
    after = until(lambda: tags("a5"), lambda said: said["as_of"] > before["as_of"])
    assert after["as_of"] > now
    assert after["tags"] != before["tags"]
    assert until(conversions, lambda said: said < chance) < chance
    assert until(lambda: tags("somebody new"), lambda said: said["status"] == "known")["as_of"] > now
    assert tags("a6") == other
    ready = until(
        lambda: get(app, "/readyz").json()["live_events"],
        lambda said: all(said[name].get("behind") == 0 for name in ("tags", "histories")),
    )
    assert ready.pop("log")["behind"] == 4
    assert ready == {name: {"behind": 0, "lag_seconds": 0.0} for name in ("tags", "histories")}
