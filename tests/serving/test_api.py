from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from serving.messages.schemas import MOST_PEOPLE, TagsAnswer
from serving.scoring.scorer import Scorer
from tests.serving.calls import BODY, application, call, get, post
from tests.serving.fakes import AS_OF, DAIRY, KEY, LINKED, fake_scorer, filled_store

SECRET_ACCOUNT = "13800138000"


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def app(scorer: Scorer, tmp_path: Path) -> Any:
    return application(scorer, tmp_path)


def test_the_tags_of_several_people(app: Any) -> None:
    people = [{"platform": "shop", "account": "dairy lover"}, {"person": LINKED}, {"platform": "x", "account": "y"}]
    response = post(app, json={"people": people, "top": 1, "min_probability": 0.1, "explain": True})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = TypeAdapter(TagsAnswer).validate_json(response.content)
    assert answer.model == "fake-1"
    assert [p.person for p in answer.people] == people
    assert [p.status for p in answer.people] == ["known", "known", "unknown"]
    assert [[t.id for t in p.tags] for p in answer.people] == [["dairy.will-buy"], ["bread.will-buy"], []]
    factors = answer.people[0].tags[0].factors
    assert factors
    assert [f.words for f in factors] == ["bought dairy 3 times in the last 30 days", "did not buy dairy so far"]


def test_only_the_people_are_needed(app: Any) -> None:
    response = post(app, json=BODY)
    assert [t["probability"] for t in response.json()["people"][0]["tags"]] == [0.9, 0.25]
    assert response.json()["people"][0]["tags"][0]["factors"] is None


@pytest.mark.parametrize(
    ("body", "where", "problem"),
    [
        ({}, "people", "required"),
        ({"people": []}, "people", "at least 1"),
        ({"people": [{"person": DAIRY}] * (MOST_PEOPLE + 1)}, "people", "at most 1000"),
        ({"people": {"person": DAIRY}}, "people", "valid list"),
        ({"people": ["x"]}, "people.0", "an object is needed"),
        ({"people": [{"platform": "shop"}]}, "people.0.account", "required"),
        ({"people": [{"platform": "shop", "account": 7}]}, "people.0.account", "valid string"),
        ({"people": [{"platform": "", "account": "a"}]}, "people.0.platform", "at least 1"),
        ({"people": [{"platform": "a\x1fb", "account": "a"}]}, "people.0.platform", "pattern"),
        ({"people": [{"platform": "shop", "account": "a" * 257}]}, "people.0.account", "at most 256"),
        ({"people": [{"platform": "s", "account": "a", "age": 3}]}, "people.0.age", "valid: platform, account"),
        ({"people": [{"person": "short"}]}, "people.0.person", "pattern"),
        ({"people": [{"person": DAIRY, "platform": "shop"}]}, "people.0.platform", "valid: person"),
        ({**BODY, "top": 0}, "top", "greater than or equal to 1"),
        ({**BODY, "top": 1001}, "top", "less than or equal to 1000"),
        ({**BODY, "top": 2.5}, "top", "valid integer"),
        ({**BODY, "top": True}, "top", "valid integer"),
        ({**BODY, "min_probability": 1.01}, "min_probability", "less than or equal to 1"),
        ({**BODY, "min_probability": "0.5"}, "min_probability", "valid number"),
        ({**BODY, "explain": "yes"}, "explain", "valid boolean"),
        ({**BODY, "model": "other"}, "model", "valid: people, top, min_probability, explain"),
        ({"people": [{"person": DAIRY}] * 100, "top": 11, "explain": True}, "body", "people × top"),
        ([BODY], "body", "an object is needed"),
        ("tags", "body", "an object is needed"),
        (3, "body", "an object is needed"),
    ],
)
def test_faults_of_the_body_are_named(app: Any, body: object, where: str, problem: str) -> None:
    response = post(app, json=body)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["title"]) == (422, "Unprocessable Content")
    assert document["request_id"] == response.headers["x-request-id"]
    [fault] = document["errors"]
    assert fault["where"] == where
    assert problem in fault["problem"]


def test_many_faults_are_not_all_listed(app: Any) -> None:
    document = post(app, json={"people": [{"platform": SECRET_ACCOUNT}] * 50}).json()
    assert "50 faults" in document["detail"]
    assert len(document["errors"]) == 10
    assert SECRET_ACCOUNT not in str(document)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'people': []}",
        b'{"people": [], }',
        b'{"min_probability": NaN}',
        b'{"min_probability": Infinity}',
        b"\xff\xfe",
        b'{"people": [{"platform": "shop", "account": "\\ud800"}]}',
    ],
)
def test_what_is_not_json_is_refused(app: Any, body: bytes) -> None:
    response = post(app, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("the body is not JSON (line 1")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "people": ANYTHING
            | st.lists(
                st.fixed_dictionaries({}, optional={"platform": ANYTHING, "account": ANYTHING, "person": ANYTHING}),
                max_size=3,
            ),
            "top": ANYTHING,
            "min_probability": ANYTHING,
            "explain": ANYTHING,
        },
    )
    | ANYTHING
)
def test_no_body_makes_it_fail(app: Any, body: object) -> None:
    response = post(app, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code in {200, 400, 422}


def test_numbers_beyond_floats_are_refused(app: Any) -> None:
    body = b'{"people": [{"platform": "shop", "account": "a"}], "min_probability": 1e999}'
    assert post(app, content=body, headers={"Content-Type": "application/json"}).status_code in {400, 422}


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/tags/", "/metrics", "/docs.json", "/schema.json", "/healthz", "/static_content/x", "/../x"],
)
def test_nothing_else_answers(app: Any, path: str) -> None:
    response = get(app, path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Not Found"


def test_a_path_with_a_line_end_is_guarded_too(app: Any) -> None:
    response = get(app, "/v1/tags/%0Ax")
    assert (response.status_code, response.json()["type"][-12:]) == (404, ":no-such-tag")
    assert get(app, "/v1/%0Ax", client="10.0.0.1").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", "/v1/conversions", "POST"), ("PUT", "/v1/tags", "GET, HEAD, POST")]
)
def test_wrong_methods_are_named(app: Any, method: str, path: str, allowed: str) -> None:
    response = call(app, lambda http: http.request(method, path))
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.json()["status"] == 405


def test_health(app: Any) -> None:
    assert get(app, "/livez").json() == {"status": "live"}
    assert get(app, "/readyz").json() == {
        "status": "ready",
        "model": "fake-1",
        "model_as_of": AS_OF - 86_400,
        "as_of": AS_OF,
        "people": 2,
        "tags": 3,
        "conversions": {"problem": "not ready: there is no champion yet; run `zhongcao train conversion` first"},
    }


def test_not_ready_with_a_store_of_another_layout(app: Any, tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    store.replace("layout-2", AS_OF, [DAIRY], np.zeros((1, 1), np.float32))
    store.close()
    for response in (get(app, "/readyz"), post(app, json={"people": [{"person": DAIRY}]})):
        assert response.status_code == 503
        assert "do not follow the layout" in response.json()["detail"]
    assert get(app, "/livez").status_code == 200


def test_failures_say_nothing_about_people(
    app: Any, scorer: Scorer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"could not score {SECRET_ACCOUNT}")

    monkeypatch.setattr(scorer, "written", fail)
    with caplog.at_level(logging.DEBUG):
        response = post(app, json={"people": [{"platform": "shop", "account": SECRET_ACCOUNT}]})
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert SECRET_ACCOUNT not in response.text
    assert SECRET_ACCOUNT not in caplog.text
    [record] = [r for r in caplog.records if r.name == "zhongcao.serving"]
    assert response.headers["x-request-id"] in record.getMessage()
    assert "RuntimeError" in record.getMessage()


def test_no_request_leaves_a_person_in_the_log(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    asked = {"platform": "shop", "account": SECRET_ACCOUNT}
    with caplog.at_level(logging.DEBUG):
        for body in ({"people": [asked]}, {"people": [asked], SECRET_ACCOUNT: 1}, {"people": [{**asked, "x": 1}]}):
            post(app, json=body, headers={"X-Request-Id": SECRET_ACCOUNT})
        post(app, content=SECRET_ACCOUNT.encode() + b"{", headers={"Content-Type": "application/json"})
        get(app, f"/v1/{SECRET_ACCOUNT}", params={"account": SECRET_ACCOUNT})
    # httpx is this test's own client.
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    assert "zhongcao initialized" in logged
    assert SECRET_ACCOUNT not in logged
    assert KEY.decode() not in logged
