"""Predictions of the API are named, and what is kept of them tells how to compute them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.errors import BundleError
from features.people.identity import load_key
from features.settings import Settings
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import ConversionsRequest
from serving.online.store import StoredState, Update
from serving.openrtb.people import OpenRtbSettings, read_openrtb_ids
from serving.predictions.files import PredictionFiles
from serving.predictions.log import PredictionLog
from serving.predictions.record import digest
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from tests.serving.calls import application, get, post
from tests.serving.conversion_homes import AS_OF, WITHDREW, FakeConversions, person_of
from tests.serving.fakes import AS_OF as FILLED
from tests.serving.fakes import DAIRY, KEY, LINKED, FakeBundle, fake_scorer, filled_store
from tests.serving.test_conversions_api import ASKED

NO_TAGS = BundleError("there is no champion yet")
ACCOUNT = {"platform": "shop", "account": "dairy lover"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


@pytest.fixture
def log(folder: Path) -> PredictionLog:
    """Everything is kept, and nothing is written before it is asked for."""
    return PredictionLog(folder, share=1.0, days=30, features=True, reserve_bytes=0)


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


@pytest.fixture
def conversions(conversion_home: Settings) -> Iterator[ConversionScorer]:
    store = SqliteHistories(conversion_home.histories_file)
    yield ConversionScorer(FakeConversions(), store, load_key(conversion_home))
    store.close()


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_each_person_has_a_prediction(scorer: Scorer, log: PredictionLog, tmp_path: Path, folder: Path) -> None:
    people = [ACCOUNT, {"person": LINKED}, {"platform": "x", "account": "y"}]
    body = {"people": people, "top": 1, "explain": True}
    answers = post(application(scorer, tmp_path, predictions=log), json=body).json()["people"]
    names = [answer["prediction_id"] for answer in answers]
    assert names[0] != names[1]
    assert names[2] is None
    log.flush()
    first, second = (PredictionFiles(folder).get(name) for name in names[:2])
    assert first is not None
    assert second is not None
    assert (first.person, second.person) == (DAIRY, LINKED)
    assert (first.as_of, first.watermark, first.asked) == (FILLED, FILLED, {"top": 1, "min_probability": 0.0})
    assert (first.filled_at, first.seq) == (FILLED, None)
    tag = answers[0]["tags"][0]
    assert first.answer == [{name: tag[name] for name in ("id", "probability", "assigned")}]
    [row] = scorer.store.get([DAIRY])
    assert row is not None
    assert first.features_hash == digest(row.vector)
    assert first.scores_hash == digest(scorer.bundle.model.predict(row.vector[None])[0])
    assert (first.origin.kind, first.origin.model) == ("tags", "fake-1")
    assert (first.origin.schema, first.origin.source) == ("layout-1", scorer.store.describe().fill)
    assert b"dairy lover" not in content(folder)


def test_a_prediction_names_the_last_event_in_it_and_what_was_deleted(
    log: PredictionLog, tmp_path: Path, folder: Path
) -> None:
    store = filled_store(tmp_path)
    with store.fill("layout-1", 3, FILLED, replace=False) as fill:
        fill.live(7, "states-1", "{}")
    live = store.live()
    assert live is not None
    state, row = StoredState(b"s", 8, FILLED + 4), np.array([0.9, 0.25, 1], np.float32)
    store.update(live, 9, [Update(DAIRY, state, FILLED + 6, row)])
    scorer = Scorer(FakeBundle(), store, KEY, deleted_tags=lambda: {DAIRY: {"dairy.will-buy"}})
    [answer] = post(application(scorer, tmp_path, predictions=log), json={"people": [ACCOUNT]}).json()["people"]
    log.flush()
    kept = PredictionFiles(folder).get(answer["prediction_id"])
    assert kept is not None
    assert (kept.as_of, kept.watermark, kept.filled_at, kept.seq) == (FILLED + 6, FILLED + 4, FILLED, 8)
    assert kept.asked["left_out"] == ["dairy.will-buy"]
    assert [tag["id"] for tag in kept.answer] == ["bread.will-buy"]
    store.close()


def test_an_enriched_bid_request_is_a_prediction(
    scorer: Scorer, log: PredictionLog, tmp_path: Path, folder: Path
) -> None:
    openrtb = OpenRtbSettings(read_openrtb_ids("user.id=notes, user.buyeruid=shop"))
    app = application(scorer, tmp_path, predictions=log, openrtb=openrtb)
    users = ({"id": "never seen", "buyeruid": "dairy lover"}, {"buyeruid": "never seen"})
    bids = [{"id": "r", "imp": [{"id": "1"}], "tmax": 60_000, "user": user} for user in users]
    known, unknown = (post(app, path="/v1/openrtb/enrich", json=bid) for bid in bids)
    assert "x-zhongcao-prediction" not in unknown.headers
    assert known.headers["x-zhongcao-prediction"] not in known.text
    log.flush()
    kept = PredictionFiles(folder).get(known.headers["x-zhongcao-prediction"])
    assert kept is not None
    assert (kept.person, kept.answer[0]["id"]) == (DAIRY, "dairy.will-buy")
    assert sum(day.tags for day in PredictionFiles(folder).days()) == 1


def test_without_a_log_nothing_is_named(scorer: Scorer, tmp_path: Path) -> None:
    [answer] = post(application(scorer, tmp_path), json={"people": [ACCOUNT]}).json()["people"]
    assert answer["prediction_id"] is None


def test_what_people_see_of_themselves_is_no_prediction(
    scorer: Scorer, log: PredictionLog, tmp_path: Path, folder: Path
) -> None:
    headers = {"Zhongcao-Platform": "shop", "Zhongcao-Account": "dairy%20lover"}
    answer = get(application(scorer, tmp_path, predictions=log), "/v1/people/me/tags", headers=headers)
    assert answer.json()["status"] == "known"
    assert "prediction_id" not in answer.json()
    log.flush()
    assert not folder.exists()


def test_who_withdrew_is_not_kept(log: PredictionLog, tmp_path: Path, folder: Path) -> None:
    scorer = Scorer(FakeBundle(), filled_store(tmp_path), KEY, withdrawn=lambda: {DAIRY})
    [answer] = post(application(scorer, tmp_path, predictions=log), json={"people": [ACCOUNT]}).json()["people"]
    assert answer["prediction_id"] is None
    log.flush()
    assert not folder.exists()
    scorer.store.close()


def test_a_fill_names_its_data(log: PredictionLog, tmp_path: Path, folder: Path) -> None:
    store = filled_store(tmp_path)
    [row] = store.get([DAIRY])
    assert row is not None
    with store.fill("layout-1", 3, FILLED, source="v7-120-ab") as fill:
        fill.add([DAIRY], row.vector[None])
    app = application(Scorer(FakeBundle(), store, KEY), tmp_path, predictions=log)
    [answer] = post(app, json={"people": [{"person": DAIRY}]}).json()["people"]
    log.flush()
    kept = PredictionFiles(folder).get(answer["prediction_id"])
    assert kept is not None
    assert kept.origin.source.startswith("v7-120-ab ")
    store.close()


def test_conversions_are_kept_with_what_was_asked(
    conversions: ConversionScorer, conversion_home: Settings, log: PredictionLog, tmp_path: Path, folder: Path
) -> None:
    candidates: list[Any] = ["n1", {"note": "n2", "price": 700}, {"brand": "b1", "campaign": None}]
    context = {"platform": "red", "position": 3, "time": AS_OF + 60}
    body = {**ASKED, "candidates": candidates, "context": context}
    app = application(NO_TAGS, tmp_path, conversions=conversions, predictions=log)
    answer = post(app, path="/v1/conversions", json=body).json()
    log.flush()
    kept = PredictionFiles(folder).get(answer["prediction_id"])
    assert kept is not None
    assert kept.person == person_of(conversion_home, 7)
    assert kept.answer == answer["candidates"]
    assert (kept.as_of, kept.watermark, kept.asked["time"]) == (AS_OF, AS_OF, AS_OF + 60)
    assert (kept.filled_at, kept.seq) == (AS_OF, None)
    assert (kept.asked["candidates"], kept.asked["context"]) == (candidates, context)
    fill = conversions.store.shared().fill
    assert (kept.origin.source, kept.asked["notes"]) == (fill, {"fill": fill, "as_of": AS_OF, "seq": None})
    assert "events=" in fill
    assert "identities=" in fill
    # Asked again as it was kept, the same rows come of it.
    again = {"person": {"person": kept.person}, **{name: kept.asked[name] for name in ("candidates", "context")}}
    rows = conversions.rows(ConversionsRequest.model_validate(again), kept.asked["time"])
    assert (kept.shape, kept.features_hash) == (rows.matrix.shape, digest(rows.matrix))
    assert kept.features is not None
    assert kept.features.tobytes() == rows.matrix.tobytes()
    assert b'"u7"' not in content(folder)


def test_who_is_unknown_or_refuses_is_kept_as_nobody(
    conversions: ConversionScorer, conversion_home: Settings, log: PredictionLog, tmp_path: Path, folder: Path
) -> None:
    withdrew = person_of(conversion_home, WITHDREW)
    refusing = ConversionScorer(
        conversions.bundle, conversions.store, load_key(conversion_home), withdrawn=lambda: {withdrew}
    )
    app = application(NO_TAGS, tmp_path, conversions=refusing, predictions=log)
    for person in (withdrew, "ab" * 16):
        answer = post(app, path="/v1/conversions", json={**ASKED, "person": {"person": person}}).json()
        log.flush()
        kept = PredictionFiles(folder).get(answer["prediction_id"])
        assert kept is not None
        assert kept.person is None
        assert person.encode() not in content(folder)
