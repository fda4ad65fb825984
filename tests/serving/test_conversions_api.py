from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from features.errors import BundleError
from features.people.identity import load_key
from features.settings import Settings
from serving.guard.access import KeyRing
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import MOST_CANDIDATES, ConversionsAnswer
from serving.scoring.conversions import ConversionScorer
from tests.serving.calls import BODY, application, get, post
from tests.serving.conversion_homes import AS_OF, PEOPLE, FakeConversions
from tests.serving.fakes import fake_scorer
from tests.serving.test_api import ANYTHING

PATH = "/v1/conversions"
PERSON = {"platform": "red", "account": "u7"}
ASKED: dict[str, Any] = {"person": PERSON, "candidates": ["n1"], "context": {"platform": "red", "position": 3}}
SECRET = "13800138000"


@pytest.fixture
def conversions(conversion_home: Settings) -> Iterator[ConversionScorer]:
    store = SqliteHistories(conversion_home.histories_file)
    yield ConversionScorer(FakeConversions(), store, load_key(conversion_home))
    store.close()


@pytest.fixture
def app(conversions: ConversionScorer, tmp_path: Path) -> Iterator[Any]:
    scorer = fake_scorer(tmp_path)
    yield application(scorer, tmp_path, conversions=conversions)
    scorer.store.close()


def ask(app: Any, body: object, **more: Any) -> Any:
    return post(app, path=PATH, json=body, **more)


def test_the_chances_of_some_notes(app: Any) -> None:
    candidates = ["n1", {"note": "n2", "price": 700}, {"brand": "b1"}]
    response = ask(app, {**ASKED, "candidates": candidates, "window_days": 15})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    made = TypeAdapter(ConversionsAnswer).validate_json(response.content)
    assert (made.model, made.person, made.known) == ("conversion-fake", PERSON, True)
    assert (made.as_of, made.currency) == (AS_OF, "CNY")
    assert made.time > AS_OF
    assert [(c.note, c.known, c.value) for c in made.candidates[:2]] == [("n1", True, 100), ("n2", True, 700)]
    assert (made.candidates[2].note, made.candidates[2].value_from) == (None, "brand")
    for candidate in made.candidates:
        assert set(candidate.probabilities) == {"click", "purchase", "ctcvr"} == set(made.window_days)
        assert candidate.expected_value == pytest.approx(candidate.probabilities["ctcvr"] * candidate.value)


def test_somebody_unknown_is_said_to_be(app: Any) -> None:
    response = ask(app, {**ASKED, "person": {"person": "ab" * 16}}).json()
    assert (response["known"], response["person"]) == (False, {"person": "ab" * 16})
    assert response["candidates"][0]["probabilities"]["click"] == 0.5


def test_a_note_that_the_log_does_not_know_is_answered_and_said_to_be_unknown(app: Any) -> None:
    by_id, described = ask(app, {**ASKED, "candidates": ["nowhere", {"note": "nowhere", "price": 5}]}).json()[
        "candidates"
    ]
    assert (by_id["note"], by_id["known"], by_id["value_from"]) == ("nowhere", False, "all")
    assert (described["known"], described["value"], described["no_expected_value"]) == (False, 5, None)


@pytest.mark.parametrize(
    ("change", "where", "problem"),
    [
        ({"person": None}, "person", "an object is needed"),
        ({"person": [PERSON]}, "person", "an object is needed"),
        ({"person": {"platform": "red"}}, "person.account", "required"),
        ({"person": {**PERSON, "age": 3}}, "person.age", "valid: platform, account"),
        ({"person": {"person": "ab" * 16, "x": 1}}, "person.x", "unknown field; valid: person"),
        ({"candidates": []}, "candidates", "at least 1"),
        ({"candidates": ["n"] * (MOST_CANDIDATES + 1)}, "candidates", "at most 1000"),
        ({"candidates": "n1"}, "candidates", "valid list"),
        ({"candidates": ["n1", 7]}, "candidates.1", "valid string"),
        ({"candidates": [""]}, "candidates.0", "at least 1"),
        ({"candidates": ["a\nb"]}, "candidates.0", "pattern"),
        ({"candidates": ["n" * 257]}, "candidates.0", "at most 256"),
        ({"candidates": [{"price": 1.5}]}, "candidates.0.price", "valid integer"),
        ({"candidates": [{"price": -1}]}, "candidates.0.price", "greater than or equal to 0"),
        ({"candidates": [{"price": 10**16}]}, "candidates.0.price", "less than or equal to"),
        ({"candidates": [{"published_at": 5}]}, "candidates.0.published_at", "greater than or equal to"),
        ({"candidates": [{"paid": "yes"}]}, "candidates.0.paid", "valid boolean"),
        ({"candidates": [{"paid": False, "campaign": "c"}]}, "candidates.0", "leave the campaign out, or paid"),
        ({"context": {"platform": "red", "paid": 1}}, "context.paid", "valid boolean"),
        ({"candidates": [{"colour": "red"}]}, "candidates.0.colour", "valid: note, creator, topic"),
        ({"context": {}}, "context.platform", "required"),
        ({"context": "red"}, "context", "an object is needed"),
        ({"context": {"platform": "red", "place": 1}}, "context.place", "valid: platform, position, time, paid"),
        ({"context": {"platform": "red", "position": -1}}, "context.position", "greater than or equal to 0"),
        ({"context": {"platform": "red", "position": True}}, "context.position", "valid integer"),
        ({"context": {"platform": "red", "time": 10**12}}, "context.time", "less than"),
        ({"window_days": 0}, "window_days", "greater than 0"),
        ({"window_days": "15"}, "window_days", "valid number"),
        ({"top": 3}, "top", "valid: person, candidates, context, window_days"),
    ],
)
def test_faults_of_the_body_are_named(app: Any, change: dict[str, Any], where: str, problem: str) -> None:
    response = ask(app, {**ASKED, **change})
    assert response.status_code == 422
    document = response.json()
    [fault] = document["errors"]
    assert fault["where"] == where
    assert problem in fault["problem"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(app: Any, number: str) -> None:
    body = json.dumps(ASKED)[:-1] + f', "window_days": {number}}}'
    response = post(app, path=PATH, content=body.encode(), headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}


def test_what_the_model_cannot_answer_is_refused_without_repeating_it(app: Any) -> None:
    window = ask(app, {**ASKED, "window_days": 7.25})
    early = ask(app, {**ASKED, "context": {"platform": "red", "time": 987_654_321}})
    assert [window.status_code, early.status_code] == [422, 422]
    assert "valid: 15" in window.json()["detail"]
    assert f"valid: {AS_OF} or later" in early.json()["detail"]
    assert "7.25" not in window.text
    assert "987654321" not in early.text


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "person": ANYTHING | st.just(PERSON),
            "candidates": ANYTHING
            | st.lists(
                st.just("n1")
                | ANYTHING
                | st.fixed_dictionaries({}, optional={"note": ANYTHING, "price": ANYTHING, "brand": st.text()}),
                max_size=3,
            ),
            "context": ANYTHING | st.fixed_dictionaries({"platform": st.text()}, optional={"time": ANYTHING}),
            "window_days": ANYTHING,
        },
    )
)
def test_no_body_makes_it_fail(app: Any, body: object) -> None:
    response = post(app, path=PATH, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code in {200, 400, 422}


def test_a_key_needs_the_scope_predict(conversions: ConversionScorer, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "access.json")
    scorer = fake_scorer(tmp_path)
    app = application(scorer, tmp_path, loopback=False, conversions=conversions)
    keys = {name: ring.add(name, [name])[0] for name in ("predict", "ingest")}
    brand, _ = ring.add("brand", ["predict"], brand="b1")
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in {**keys, "brand": brand}.items()}
    assert ask(app, ASKED).status_code == 401
    assert {name: ask(app, ASKED, headers=header).status_code for name, header in headers.items()} == {
        "predict": 200,
        "ingest": 403,
        "brand": 403,
    }
    scorer.store.close()


def test_without_a_model_it_says_what_to_do(tmp_path: Path) -> None:
    scorer = fake_scorer(tmp_path)
    response = ask(application(scorer, tmp_path), ASKED)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert "run `zhongcao train conversion` first" in response.json()["detail"]
    scorer.store.close()


def test_a_model_that_cannot_serve_says_why_and_holds_up_no_tags(tmp_path: Path) -> None:
    refused = BundleError("bundle c-1 reads other features", value="/a/path", next_step="run `zhongcao train`")
    scorer = fake_scorer(tmp_path)
    app = application(scorer, tmp_path, conversions=refused)
    response = ask(app, ASKED)
    said = "not ready: bundle c-1 reads other features; run `zhongcao train`"
    assert (response.status_code, response.json()["detail"]) == (503, said)
    assert response.headers["content-type"] == "application/problem+json"
    assert post(app, json=BODY).status_code == 200
    assert get(app, "/readyz").json()["conversions"] == {"problem": said}
    scorer.store.close()


def test_without_a_fill_it_says_what_to_do(tmp_path: Path) -> None:
    scorer = fake_scorer(tmp_path)
    empty = ConversionScorer(FakeConversions(), SqliteHistories(tmp_path / "histories.sqlite"), b"k" * 32)
    app = application(scorer, tmp_path, conversions=empty)
    response = ask(app, ASKED)
    assert response.status_code == 503
    assert "no store of histories yet" in response.json()["detail"]
    # Tags are answered all the same.
    assert post(app, json=BODY).status_code == 200
    ready = get(app, "/readyz")
    assert ready.status_code == 200
    assert "zhongcao fill" in ready.json()["conversions"]["problem"]
    scorer.store.close()


def test_a_server_of_conversions_alone(conversions: ConversionScorer, tmp_path: Path) -> None:
    no_tags = BundleError("there is no champion yet", next_step="run `zhongcao retrain` first")
    app = application(no_tags, tmp_path, conversions=conversions)
    assert ask(app, ASKED).status_code == 200
    refused = post(app, json=BODY)
    assert refused.status_code == 503
    assert "zhongcao retrain" in refused.json()["detail"]
    assert get(app, "/readyz").json() == {
        "status": "ready",
        "problem": "tags are not ready: there is no champion yet; run `zhongcao retrain` first",
        "conversions": {
            "model": "conversion-fake",
            "model_as_of": AS_OF - 86_400,
            "as_of": AS_OF,
            "people": PEOPLE,
        },
    }
    empty = ConversionScorer(FakeConversions(), SqliteHistories(tmp_path / "none.sqlite"), b"k" * 32)
    assert get(application(no_tags, tmp_path, conversions=empty), "/readyz").status_code == 503


def test_no_request_leaves_a_person_in_the_log(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    person = {"platform": "red", "account": SECRET}
    with caplog.at_level(logging.DEBUG):
        for body in (
            {**ASKED, "person": person},
            {**ASKED, "person": {**person, SECRET: 1}},
            {**ASKED, "person": person, "window_days": 3},
            {**ASKED, "candidates": [{"note": SECRET}]},
        ):
            ask(app, body)
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    assert SECRET not in logged
