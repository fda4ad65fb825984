from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from features.erasure.erasures import Receipt, unfinished
from features.locks import exclusive
from features.people.identity import account_key, load_key
from features.rights.file import rights_path
from features.rights.ledger import Rights, opt_out
from features.settings import Settings
from serving.consent.watch import ConsentWatch
from serving.guard.access import KeyRing
from serving.rights.erasure import Eraser
from serving.rights.people_rights import PeopleRights
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, call
from tests.serving.fakes import FakeBundle, filled_store

WHO = {"Zhongcao-Platform": "shop", "Zhongcao-Account": "13800138000"}
ACCOUNT = {"platform": "shop", "account": "13800138000"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", threads=1)


@pytest.fixture
def app(settings: Settings, tmp_path: Path) -> Iterator[Any]:
    key = load_key(settings)
    store = filled_store(settings.home)
    with store.fill("layout-1", 3, 1_509_494_400, replace=False) as fill:
        fill.add([account_key(key, "shop", "13800138000")], store.get(["ab" * 16])[0].vector[None])
    watch = ConsentWatch(settings, seconds=60)
    gone = watch.watch(lambda: store.describe().as_of)
    with watch, Eraser(settings) as eraser:
        scorer = Scorer(FakeBundle(), store, key, gone, gone.deleted_tags)
        yield application(scorer, tmp_path, rights=PeopleRights(settings, eraser))
    store.close()


def ask(app: Any, method: str, path: str, **request: Any) -> httpx.Response:
    return call(app, lambda http: http.request(method, path, **request))


def tags(app: Any) -> list[str] | None:
    (person,) = ask(app, "POST", "/v1/tags", json={"people": [ACCOUNT]}).json()["people"]
    return None if person["status"] == "unknown" else sorted(tag["id"] for tag in person["tags"])


BOTH = ["bread.will-buy", "dairy.will-buy"]


def test_opting_out_and_in(app: Any) -> None:
    assert tags(app) == BOTH
    for _ in range(2):
        answer = ask(app, "PUT", "/v1/people/me/opt-out", headers=WHO)
        assert (answer.status_code, answer.json()) == (200, {"opted_out": True})
        assert tags(app) is None
    assert ask(app, "DELETE", "/v1/people/me/opt-out", headers=WHO).json() == {"opted_out": False}
    assert tags(app) == BOTH


def test_deleting_a_tag(app: Any) -> None:
    answer = ask(app, "DELETE", "/v1/people/me/tags/dairy.will-buy", headers=WHO)
    assert answer.json() == {"tag": "dairy.will-buy", "removed": 0}
    assert tags(app) == ["bread.will-buy"]
    own = ask(app, "GET", "/v1/people/me/tags", headers=WHO).json()["tags"]
    assert [tag["id"] for tag in own] == ["bread.will-buy"]


def test_models_that_were_trained_before_are_marked(app: Any, settings: Settings) -> None:
    (settings.bundles_dir / FakeBundle().version).mkdir(parents=True)
    assert "erased_since" not in ask(app, "GET", "/readyz").json()
    ask(app, "DELETE", f"/v1/people/{'c' * 32}")
    assert ask(app, "GET", "/readyz").json()["erased_since"] == 1
    assert ask(app, "GET", "/v1/tags/dairy.will-buy").json()["erased_since"] == 1


@pytest.mark.parametrize("by_key", [True, False])
def test_erasing(app: Any, settings: Settings, by_key: bool) -> None:
    person = account_key(load_key(settings), "shop", "13800138000")
    who = (f"/v1/people/{person}", {}) if by_key else ("/v1/people/me", WHO)
    answer = ask(app, "DELETE", who[0], headers=who[1])
    done = TypeAdapter(Receipt).validate_json(answer.content)
    assert (answer.status_code, done.finished_at is not None) == (200, True)
    assert {place.place: place.removed for place in done.places}["online store"] == 1
    assert tags(app) is None
    assert ask(app, "GET", f"/v1/erasures/{done.id}").content == answer.content
    assert person not in answer.text
    assert "13800138000" not in answer.text


def test_an_erasure_that_waits_counts_already(
    app: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serving.rights.people_rights._WAIT_SECONDS", 0.0)
    monkeypatch.setattr("serving.rights.erasure._AGAIN_SECONDS", 0.05)
    with exclusive(settings.work_dir / "retrain.lock"):
        answer = ask(app, "DELETE", "/v1/people/me", headers=WHO)
        assert (answer.status_code, answer.json()["finished_at"]) == (200, None)
        assert tags(app) is None
        until = time.monotonic() + 20
        while "an erasure waits: a retraining" not in caplog.text and time.monotonic() < until:
            time.sleep(0.02)
        assert unfinished(settings) == [answer.json()["id"]]
    until = time.monotonic() + 20
    while unfinished(settings) and time.monotonic() < until:
        time.sleep(0.05)
    assert unfinished(settings) == []


def test_who_may_erase(app: Any, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "access.json")
    predict, _ = ring.add("ad server", ["predict"])
    headers = {**WHO, "Authorization": f"Bearer {predict}"}
    for path in ("/v1/people/me", f"/v1/people/{'a' * 32}", "/v1/erasures/x"):
        method = "GET" if "erasures" in path else "DELETE"
        assert ask(app, method, path, headers=headers).status_code == 403
    assert ask(app, "PUT", "/v1/people/me/opt-out", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", "/v1/people/me/opt-out", {}, 422),
        ("PUT", "/v1/people/me/opt-out?account=13800138000", WHO, 422),
        ("DELETE", "/v1/people/13800138000", {}, 422),
        ("DELETE", f"/v1/people/me/tags/{'x' * 300}", WHO, 422),
        ("DELETE", "/v1/people/me/tags/a%00b", WHO, 422),
        ("GET", "/v1/erasures/13800138000", {}, 404),
        ("POST", "/v1/people/me/opt-out", WHO, 405),
    ],
)
def test_what_is_refused(
    app: Any, settings: Settings, method: str, path: str, *, headers: dict[str, str], status: int
) -> None:
    answer = ask(app, method, path, headers=headers)
    assert answer.status_code == status
    assert "13800138000" not in answer.text
    rights = Rights(settings)
    assert rights.refused() == frozenset()
    rights.close()


def test_nobody_is_personalised_where_opt_outs_cannot_be_read(app: Any, settings: Settings) -> None:
    opt_out(settings, ["b" * 32])
    assert tags(app) == BOTH
    path = rights_path(settings)
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    path.write_bytes(b"no database" * 1000)
    assert ask(app, "PUT", "/v1/people/me/opt-out", headers=WHO).status_code == 503
