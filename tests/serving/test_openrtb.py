from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.errors import BundleError, SettingsError
from features.taxonomy.taxonomy import Taxonomy
from serving.openrtb.enrich import Enricher
from serving.openrtb.people import OpenRtbId, OpenRtbSettings, accounts_of, read_openrtb_ids
from serving.openrtb.schemas import BidRequest
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, post
from tests.serving.fakes import DAIRY, KEY, TAXONOMY, FakeBundle, fake_scorer, filled_store

MAPPED = OpenRtbSettings(read_openrtb_ids("eid:id.example=notes, user.buyeruid=shop"))
USER = {"buyeruid": "dairy lover", "keywords": "x"}
BID: dict[str, Any] = {
    "id": "r1",
    "imp": [{"id": "1", "bidfloor": 0.10}],
    "tmax": 60_000,
    "user": USER,
    "ext": {"a": [1]},
}
OWN = {
    "id": "zhongcao",
    "name": "shop",
    "segment": [{"id": "dairy.will-buy", "name": "Dairy: will buy", "value": "0.900000"}],
}


def with_iab(taxonomy: Taxonomy, **iab: str) -> Taxonomy:
    return replace(taxonomy, tags=tuple(replace(tag, iab=iab.get(tag.scope)) for tag in taxonomy.tags))


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def app(scorer: Scorer, tmp_path: Path) -> Any:
    return application(scorer, tmp_path, openrtb=MAPPED)


def enrich(app: Any, bid: dict[str, Any]) -> tuple[str, Any]:
    response = post(app, path="/v1/openrtb/enrich", json=bid)
    assert response.status_code == 200
    return response.headers["x-zhongcao-enrich"], response.json()


def test_assigned_tags_become_segments(app: Any) -> None:
    assert enrich(app, BID) == ("enriched", {**BID, "user": {**USER, "data": [OWN]}})


def test_other_data_stay_in_front(app: Any) -> None:
    theirs = {"id": "x", "segment": [{"id": "s", "value": "1"}]}
    _, answer = enrich(app, {**BID, "user": {**USER, "data": [theirs]}})
    assert answer["user"]["data"] == [theirs, OWN]


def test_the_body_is_the_same_text_but_for_the_data(app: Any) -> None:
    sent = b'{"id":"r", "user" : {"buyeruid":"dairy lover"},"big":123456789012345678901234567890,"f":1.50}'
    response = post(app, path="/v1/openrtb/enrich", content=sent, headers={"Content-Type": "application/json"})
    added = b',"data":[' + json.dumps(OWN, separators=(",", ":")).encode() + b"]"
    assert response.content.replace(added, b"") == sent
    assert len(response.content) == len(sent) + len(added)


def test_standard_segments_are_named_once(tmp_path: Path) -> None:
    class Likes(FakeBundle.__dataclass_fields__["model"].default_factory):  # type: ignore[misc]
        assign_at = [0.1, 0.1, 0.1]  # noqa: RUF012

    bundle = FakeBundle(taxonomy=with_iab(TAXONOMY, dairy="1133", bread="1133"), model=Likes())
    store = filled_store(tmp_path)
    _, answer = enrich(application(Scorer(bundle, store, KEY), tmp_path, openrtb=MAPPED), BID)
    own, standard = answer["user"]["data"]
    assert [segment["value"] for segment in own["segment"]] == ["0.900000", "0.250000"]
    assert (standard["ext"], [segment["id"] for segment in standard["segment"]]) == ({"segtax": 4}, ["1133"])
    store.close()


def test_sensitive_tags_stay_here(tmp_path: Path) -> None:
    secret = replace(TAXONOMY, tags=(replace(TAXONOMY.tags[0], name_zh="减肥人群"), *TAXONOMY.tags[1:]))
    store = filled_store(tmp_path)
    app = application(Scorer(FakeBundle(taxonomy=secret), store, KEY), tmp_path, openrtb=MAPPED)
    assert enrich(app, BID) == ("no-tags", BID)
    store.close()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"user": {"buyeruid": "never seen"}}, "unknown"),
        ({"user": {"id": "dairy lover"}}, "no-id"),
        ({"user": {}}, "no-id"),
        ({"user": None}, "no-id"),
        ({"regs": {"coppa": 1}}, "child"),
        ({"regs": {"gdpr": 1}}, "consent"),
        ({"device": {"lmt": 1}}, "device"),
    ],
)
def test_otherwise_it_comes_back_as_it_was(app: Any, change: dict[str, Any], status: str) -> None:
    bid = {**BID, **change}
    assert enrich(app, bid) == (status, bid)


def test_nobody_is_looked_up_who_does_not_allow_it(scorer: Scorer, tmp_path: Path) -> None:
    scorer.store.close()
    body = json.dumps(bid := {**BID, "regs": {"coppa": 1}}).encode()
    assert Enricher(MAPPED).enrich(scorer, BidRequest.model_validate(bid), body).status == "child"


def test_who_withdrew_is_unknown(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    scorer = Scorer(FakeBundle(), store, KEY, withdrawn=lambda: frozenset({DAIRY}))
    assert enrich(application(scorer, tmp_path, openrtb=MAPPED), BID) == ("unknown", BID)
    store.close()


def test_a_deadline_that_passes_gives_it_back_as_it_was(
    scorer: Scorer, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(scorer, "tags", lambda *_, **__: released.wait(30) and [])
    try:
        assert enrich(app, {**BID, "tmax": 2}) == ("late", {**BID, "tmax": 2})
    finally:
        released.set()


def test_a_request_without_tmax_is_answered(app: Any, scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.openrtb.routes.USUAL_TMAX", 60_000)
    assert enrich(app, {"id": "1", "user": USER})[0] == "enriched"


@pytest.mark.parametrize(
    "bid",
    [
        {},
        {"id": 1},
        {"id": "1", "user": []},
        {"id": "1", "user": {"data": {}}},
        {"id": "1", "regs": {"gdpr": "1"}},
        {"id": "1", "regs": {"coppa": True}},
        {"id": "1", "tmax": "120"},
    ],
)
def test_what_is_no_bid_request_is_refused(app: Any, bid: dict[str, Any]) -> None:
    assert post(app, path="/v1/openrtb/enrich", json=bid).status_code == 422


def test_without_a_champion_or_a_setting_it_says_so(scorer: Scorer, tmp_path: Path) -> None:
    unset = post(application(scorer, tmp_path), path="/v1/openrtb/enrich", json=BID)
    assert (unset.status_code, "openrtb_ids" in unset.json()["detail"]) == (503, True)
    none = application(BundleError("no champion"), tmp_path, openrtb=MAPPED)
    assert post(none, path="/v1/openrtb/enrich", json=BID).status_code == 503


def test_the_first_known_account_counts(app: Any) -> None:
    eids = [{"source": "id.example", "uids": [{"id": "uno"}]}]
    _, by_eid = enrich(app, {**BID, "user": {**USER, "eids": eids}})
    assert [segment["id"] for segment in by_eid["user"]["data"][0]["segment"]] == ["bread.will-buy"]
    _, by_old = enrich(app, {**BID, "user": {**USER, "ext": {"eids": eids}}})
    assert by_old["user"]["data"] == by_eid["user"]["data"]
    eids[0]["uids"] = [{"id": "nobody"}]
    assert enrich(app, {**BID, "user": {**USER, "eids": eids}})[1]["user"]["data"] == [OWN]


def test_ids_that_no_account_has_are_left_out() -> None:
    bid = BidRequest.model_validate({"id": "1", "user": {"id": "x" * 300, "buyeruid": "a\nb"}})
    ids = (OpenRtbId("user.id", "p"), OpenRtbId("user.buyeruid", "p"))
    assert accounts_of(bid, ids) == []
    many = {"id": "1", "user": {"eids": [{"source": "s", "uids": [{"id": str(i)} for i in range(50)]}]}}
    assert len(accounts_of(BidRequest.model_validate(many), (OpenRtbId("eid:s", "p"),))) == 10


@pytest.mark.parametrize(
    "text", ["", "user.id", "user.id=", "user.ifa=x", "user.id=a;user.buyeruid=b", "off, user.id=a"]
)
def test_a_setting_that_cannot_be_read(text: str) -> None:
    with pytest.raises(SettingsError, match=r"openrtb_ids.*valid: off, user\.id=PLATFORM"):
        read_openrtb_ids(text)
