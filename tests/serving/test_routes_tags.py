from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from features.errors import BundleError
from serving.api.routes_tags import own_tags
from serving.guard.rates import OWN_AT_ONCE, OwnRates
from serving.messages.problems import Problem
from serving.messages.schemas import AccountRef
from serving.messages.tag_schemas import CatalogueAnswer, LabelAnswer, OwnTagsAnswer
from serving.scoring.scorer import Scorer
from serving.tags.catalogue import label
from serving.tags.nutrition import label_rows
from tests.serving.calls import application, call, get
from tests.serving.fakes import AS_OF, DAIRY, KEY, TAXONOMY, FakeBundle, fake_scorer, filled_store

WHO = {"Zhongcao-Platform": "shop", "Zhongcao-Account": "dairy%20lover"}


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def app(scorer: Scorer, tmp_path: Path) -> Any:
    return application(scorer, tmp_path)


def listed(app: Any, query: str) -> CatalogueAnswer:
    response = get(app, f"/v1/tags{query}")
    assert response.status_code == 200
    return TypeAdapter(CatalogueAnswer).validate_json(response.content)


def test_pages_follow_each_other(app: Any) -> None:
    first = listed(app, "?limit=2")
    assert (first.total, first.next, first.taxonomy_hash) == (3, "bread.will-buy", TAXONOMY.hash)
    second = listed(app, f"?limit=2&after={first.next}")
    assert second.next is None
    assert [tag.id for tag in first.tags + second.tags] == [tag.id for tag in TAXONOMY.tags]
    assert listed(app, "?after=fish.will-buy").tags == []


def test_the_catalogue_tells_what_to_go_by_for_unknown_people(app: Any) -> None:
    assert [(tag.learned, tag.base_rate) for tag in listed(app, "").tags] == [
        (True, 0.25), (True, 0.125), (False, None),
    ]  # fmt: skip


def test_a_label_is_the_one_that_is_printed(app: Any) -> None:
    response = get(app, "/v1/tags/bread.will-buy")
    answer = TypeAdapter(LabelAnswer).validate_json(response.content)
    assert list(answer.label.items()) == label_rows(TAXONOMY, TAXONOMY.tag("bread.will-buy"))
    assert asdict(answer) == asdict(label(FakeBundle(), "bread.will-buy"))


@pytest.mark.parametrize("address", ["/v1/tags/13800138000", "/v1/tags?after=13800138000"])
def test_an_unknown_tag_is_not_repeated(app: Any, address: str) -> None:
    response = get(app, address)
    assert (response.status_code, response.json()["type"][-12:]) == (404, ":no-such-tag")
    assert "13800138000" not in response.text


@pytest.mark.parametrize("query", ["?limit=1001", "?limit=x", "?page=1", "?limit=1&limit=2", "?after="])
def test_pages_that_there_are_not(app: Any, query: str) -> None:
    assert get(app, f"/v1/tags{query}").status_code == 422


def test_people_see_all_that_is_said_about_them(app: Any) -> None:
    response = get(app, "/v1/people/me/tags", headers=WHO)
    answer = TypeAdapter(OwnTagsAnswer).validate_json(response.content)
    assert (answer.status, answer.as_of) == ("known", AS_OF)
    assert [(t.id, t.probability, t.assigned, t.meaning) for t in answer.tags] == [
        ("dairy.will-buy", 0.9, True, "Buys Dairy within 30 days."),
        ("bread.will-buy", 0.25, False, "Buys Bread within 30 days."),
    ]
    assert answer.tags[0].factors[0].words_zh == "近30天购买乳品3次"


def test_assigned_tags_come_first(scorer: Scorer) -> None:
    object.__setattr__(scorer.bundle.model, "assign_at", [0.95, 0.2, 0.5])
    answer = own_tags(scorer, AccountRef(platform="shop", account="dairy lover"))
    assert [(tag.id, tag.assigned) for tag in answer.tags] == [("bread.will-buy", True), ("dairy.will-buy", False)]


def test_an_account_in_any_letters_can_ask(app: Any) -> None:
    answer = get(app, "/v1/people/me/tags", headers={**WHO, "Zhongcao-Account": "%E7%A7%8D%E8%8D%89"})
    assert (answer.status_code, answer.json()["status"], answer.json()["tags"]) == (200, "unknown", [])


def test_an_account_can_ask_so_often(app: Any) -> None:
    async def ask(http: Any) -> Any:
        answers = [await http.get("/v1/people/me/tags", headers=WHO) for _ in range(OWN_AT_ONCE + 1)]
        other = await http.get("/v1/people/me/tags", headers={**WHO, "Zhongcao-Account": "other"})
        assert [answer.status_code for answer in (*answers[:-1], other)] == [200] * (OWN_AT_ONCE + 1)
        return answers[-1]

    refused = call(app, ask)
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:problem-type:zhongcao:v1:too-many")
    assert 1 <= int(refused.headers["retry-after"]) <= 6
    assert "dairy" not in refused.text


def test_what_is_kept_of_who_asked_is_bounded() -> None:
    rates = OwnRates(lambda: 0.0, most_accounts=2)
    for _ in range(OWN_AT_ONCE):
        rates.take("shop", "ann")
    for account in ("bob", "cid"):
        rates.take("shop", account)
    # Ann was forgotten; Cid was not.
    rates.take("shop", "ann")
    for _ in range(OWN_AT_ONCE - 1):
        rates.take("shop", "cid")
    with pytest.raises(Problem, match="asked about 10 times"):
        rates.take("shop", "cid")


def test_who_withdrew_sees_nothing_held_against_them(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    scorer = Scorer(FakeBundle(), store, KEY, withdrawn=lambda: frozenset({DAIRY}))
    answer = get(application(scorer, tmp_path), "/v1/people/me/tags", headers=WHO)
    assert (answer.json()["status"], answer.json()["tags"]) == ("unknown", [])
    store.close()


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"headers": {"Zhongcao-Platform": "shop"}},
        {"headers": {**WHO, "Zhongcao-Account": "%ff"}},
        {"headers": {**WHO, "Zhongcao-Account": "100%"}},
        {"headers": {**WHO, "Zhongcao-Account": "a%00"}},
        {"headers": {**WHO, "Zhongcao-Account": ""}},
        {"headers": WHO, "params": {"account": "13800138000"}},
    ],
)
def test_who_asks_is_said_in_the_headers_alone(
    app: Any, request_: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="zhongcao"):
        response = get(app, "/v1/people/me/tags", **request_)
    assert response.status_code == 422
    assert "13800138000" not in response.text
    assert [record for record in caplog.records if record.name.startswith("zhongcao")] == []


@pytest.mark.parametrize("path", ["/v1/tags", "/v1/tags/x", "/v1/people/me/tags"])
def test_without_a_champion_nothing_answers(tmp_path: Path, path: str) -> None:
    app = application(BundleError("no champion"), tmp_path)
    assert get(app, path, headers=WHO).status_code == 503
