from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import BundleError, RequestError, StoreError
from features.impressions.features import ImpressionFeatures
from features.people.identity import load_key
from features.settings import Settings
from serving.histories.order_values import OrderValues
from serving.histories.packed import ACTS_SCHEMA
from serving.histories.sqlite_store import SqliteHistories
from serving.messages.conversion_schemas import CandidateAnswer, ConversionsAnswer, ConversionsRequest
from serving.scoring.conversions import ConversionScorer
from tests.serving.conversion_homes import (
    ALONE,
    AS_OF,
    DAY,
    FEATURES,
    PEOPLE,
    REFUSED,
    WITHDREW,
    FakeConversions,
    FirstColumns,
    batch_rows,
    bring_in,
    copied,
    event_rows,
    filled,
    note_rows,
    person_of,
)

NOTES = [f"n{i}" for i in range(12)]


@pytest.fixture
def home(conversion_home: Settings) -> Settings:
    return conversion_home


@pytest.fixture
def scorer(home: Settings) -> Iterator[ConversionScorer]:
    store = SqliteHistories(home.histories_file)
    yield ConversionScorer(FakeConversions(), store, load_key(home))
    store.close()


def asked(person: object, candidates: list[Any] | None = None, **context: Any) -> ConversionsRequest:
    if isinstance(person, int):
        person = {"platform": "red", "account": f"u{person}"}
    return ConversionsRequest.model_validate(
        {"person": person, "candidates": candidates or NOTES, "context": {"platform": "red", **context}}
    )


def answer(scorer: ConversionScorer, request: ConversionsRequest) -> ConversionsAnswer:
    return scorer.answer(request, AS_OF + 60)


@pytest.mark.parametrize("later", [0, 3 * DAY + 5 * 3_600], ids=["at once", "days later"])
def test_rows_are_those_of_the_batch_to_the_last_bit(home: Settings, scorer: ConversionScorer, later: int) -> None:
    batch = batch_rows(home, AS_OF + later)
    people = [number for number in range(PEOPLE) if number != REFUSED]
    assert len(batch) == len(people) * len(NOTES)
    for number in people:
        person = person_of(home, number)
        made = scorer.rows(asked({"person": person}, position=2, time=AS_OF + later), 0)
        assert made.known
        wanted = np.stack([batch[person, note] for note in NOTES])
        assert made.matrix.tobytes() == wanted.tobytes()
    # They are about something.
    varied = np.nan_to_num(np.stack(list(batch.values())), nan=-1)
    assert (varied.max(axis=0) > varied.min(axis=0)).mean() > 0.6


def test_an_answer_says_what_follows_from_each_note(home: Settings, scorer: ConversionScorer) -> None:
    made = answer(scorer, asked(7))
    assert (made.model, made.known, made.as_of, made.time) == ("conversion-fake", True, AS_OF, AS_OF + 60)
    assert (made.currency, made.window_days) == ("CNY", FirstColumns.window_days)
    assert made.person == {"platform": "red", "account": "u7"}
    seen = [
        row
        for row in event_rows()
        if row["account"] == "u7" and row["kind"] == "impression" and row["arrived_at"] <= AS_OF > row["event_time"]
    ]
    click = 1 / (2 + len(seen))
    assert [c.note for c in made.candidates] == NOTES
    assert {c.known for c in made.candidates} == {True}
    one = made.candidates[1]
    chances = {"click": click, "purchase": click / 4, "ctcvr": min(click / 4, 1 / 108)}
    assert one.probabilities == pytest.approx(chances, abs=1e-9)
    assert (one.value, one.value_from) == (100, "price")
    assert one.expected_value == pytest.approx(100 * chances["ctcvr"], abs=1e-9)
    # Its item has no price in the log.
    assert made.candidates[5].value_from == "brand and category"


def test_platforms_of_one_person_answer_alike(home: Settings, scorer: ConversionScorer) -> None:
    by_account = [answer(scorer, asked({"platform": p, "account": "u7"})) for p in ("red", "shop")]
    by_key = answer(scorer, asked({"person": person_of(home, 7)}))
    assert by_account[0].candidates == by_account[1].candidates == by_key.candidates
    apart = [answer(scorer, asked({"platform": p, "account": f"u{ALONE}"})) for p in ("red", "shop")]
    assert apart[0].candidates != apart[1].candidates


def test_threads_that_ask_at_once_get_what_each_would_get_alone(scorer: ConversionScorer) -> None:
    requests = [asked(number, time=AS_OF + number * 3_000) for number in range(20)] * 3
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda request: scorer.rows(request, 0).matrix.tobytes(), requests))
    assert at_once == [scorer.rows(request, 0).matrix.tobytes() for request in requests]


def test_nobody_gets_the_answer_of_somebody_without_a_history(scorer: ConversionScorer) -> None:
    made = answer(scorer, asked({"platform": "red", "account": "never seen"}))
    assert not made.known
    assert {c.probabilities["click"] for c in made.candidates} == {0.5}
    assert {c.known for c in made.candidates} == {True}
    assert made.as_of == AS_OF


def test_who_withdrew_consent_is_nobody(home: Settings) -> None:
    store = SqliteHistories(home.histories_file)
    gone = set[str]()
    scorer = ConversionScorer(FakeConversions(), store, load_key(home), lambda: gone)
    nobody = answer(scorer, asked({"platform": "red", "account": "never seen"}))
    before = answer(scorer, asked(WITHDREW))
    gone.add(person_of(home, WITHDREW))
    after = answer(scorer, asked(WITHDREW))
    store.close()
    assert before.known
    assert before.candidates != nobody.candidates
    assert not after.known
    assert after.candidates == nobody.candidates


def test_notes_may_be_described_instead(scorer: ConversionScorer) -> None:
    known = answer(scorer, asked(7, ["n1"])).candidates[0]
    said = note_rows()[1]
    by_hand = {k: v for k, v in said.items() if k not in {"arrived_at"}} | {"price": 100}
    assert answer(scorer, asked(7, [by_hand])).candidates == [known]
    [new] = answer(scorer, asked(7, [{"brand": "b1", "category": "milk", "price": 900}])).candidates
    assert (new.note, new.known, new.value) == (None, False, 900)


def test_what_is_said_of_a_note_wins_over_the_log(scorer: ConversionScorer) -> None:
    rows = scorer.rows(asked(7, ["n3", {"note": "n3", "campaign": None, "paid": False, "item": "other"}]), AS_OF)
    paid, price, brand = (FEATURES.columns.index(name) for name in ("paid", "price", "brand_purchase_count_7d"))
    assert rows.matrix[:, paid].tolist() == [1.0, 0.0]
    assert rows.matrix[0, price] == 300.0
    assert np.isnan(rows.matrix[1, price])
    assert rows.matrix[0, brand] == rows.matrix[1, brand]


def paid_and_campaign(scorer: ConversionScorer, *candidates: Any, **context: Any) -> list[tuple[float, bool]]:
    rows = scorer.rows(asked(7, list(candidates), **context), AS_OF).asked.numbers
    return list(zip(rows.numbers["paid"].tolist(), (rows.codes["campaign"] != 0).tolist(), strict=True))


def test_a_request_may_say_who_pays(scorer: ConversionScorer) -> None:
    # n3 belongs to a campaign, n1 to none.
    assert paid_and_campaign(scorer, "n3", "n1") == [(1, True), (0, False)]
    assert paid_and_campaign(scorer, "n3", "n1", paid=False) == [(0, False), (0, False)]
    assert paid_and_campaign(scorer, "n3", "n1", paid=True) == [(1, True), (1, False)]
    said = [{"note": "n3", "paid": False}, {"note": "n1", "paid": True}, {"note": "n1", "campaign": "c"}]
    for context in ({}, {"paid": True}, {"paid": False}):
        assert paid_and_campaign(scorer, *said, **context) == [(0, False), (1, False), (1, True)]
    # Without its campaign, a note is paid for where the context or else the log says so.
    alone = {"note": "n3", "campaign": None}
    assert paid_and_campaign(scorer, alone) == paid_and_campaign(scorer, alone, paid=True) == [(1, False)]
    assert paid_and_campaign(scorer, alone, paid=False) == [(0, False)]


def test_an_organic_candidate_of_a_campaign_is_asked_as_organic(scorer: ConversionScorer) -> None:
    rows = scorer.rows(asked(7, ["n3", {"note": "n3", "paid": False}]), AS_OF).matrix
    paid, seen = (FEATURES.columns.index(name) for name in ("paid", "person_campaign_impression_count_30d"))
    assert rows[:, paid].tolist() == [1.0, 0.0]
    assert rows[0, seen] > 0
    assert np.isnan(rows[1, seen])


def test_an_item_without_a_note_counts_for_the_persons_items(scorer: ConversionScorer) -> None:
    bought = FEATURES.columns.index("person_items_purchase_count_all")
    carted = FEATURES.columns.index("person_items_cart_count_30d")
    found = [scorer.rows(asked(number, [{"item": "i2"}, {"brand": "b1"}]), AS_OF).matrix for number in range(9)]
    assert sum(rows[0, bought] for rows in found) > 0
    assert sum(rows[0, carted] for rows in found) > 0
    assert all(np.isnan(rows[1, bought]) for rows in found)


def test_why_there_is_no_expected_value_is_said(home: Settings, scorer: ConversionScorer) -> None:
    made = answer(scorer, asked(7)).candidates
    assert {c.no_expected_value for c in made} == {None}

    class NoSale(FirstColumns):
        targets = ("click", "purchase")

        def predict(self, rows: np.ndarray, /) -> np.ndarray:
            return super().predict(rows)[:, :2]

    bundle = FakeConversions()
    bundle.model = NoSale()
    for candidate in answer(ConversionScorer(bundle, scorer.store, load_key(home)), asked(7)).candidates:
        assert (candidate.expected_value, candidate.value is None) == (None, False)
        assert candidate.no_expected_value == "the model has no target ctcvr"
    scorer.warm()
    kept = scorer._facts._kept
    assert kept is not None
    scorer._facts._kept = replace(kept[0], order_values=OrderValues({})), kept[1]
    [candidate] = answer(scorer, asked(7, [{"brand": "b1"}])).candidates
    assert (candidate.expected_value, candidate.value) == (None, None)
    assert candidate.no_expected_value == "nothing tells the value of a purchase"


def test_values_fall_back_step_by_step(scorer: ConversionScorer) -> None:
    asks = [
        {"price": 0}, {"brand": "b1", "category": "milk"}, {"brand": "new", "category": "milk"}, {"brand": "b1"},
        {"category": "lamps"}, {},
    ]  # fmt: skip
    found: list[CandidateAnswer] = answer(scorer, asked(7, asks)).candidates
    assert [c.value_from for c in found] == ["price", "brand and category", "category", "brand", "all", "all"]
    assert (found[0].value, found[0].expected_value) == (0, 0.0)


def test_a_context_before_the_fill_is_refused(scorer: ConversionScorer) -> None:
    with pytest.raises(RequestError, match=rf"its future; valid: {AS_OF} or later"):
        answer(scorer, asked(7, time=AS_OF - 1))
    # Without a time, a clock that is behind is the caller's fault least of all.
    assert scorer.answer(asked(7), AS_OF - 500).time == AS_OF


def test_another_window_than_the_models_is_refused(scorer: ConversionScorer) -> None:
    request = asked(7)
    assert answer(scorer, request.model_copy(update={"window_days": 15.0})) == answer(scorer, request)
    with pytest.raises(RequestError, match=r"another window_days.*valid: 15"):
        answer(scorer, request.model_copy(update={"window_days": 7.0}))


@pytest.mark.parametrize(
    "features", [replace(FEATURES, only=("price", "hour")), replace(FEATURES, patterns=("will-buy",))]
)
def test_a_model_of_other_features_is_refused(home: Settings, features: ImpressionFeatures) -> None:
    bundle = FakeConversions()
    bundle.about = {"features": features.to_json()}
    with pytest.raises(BundleError, match=r"reads other features.*train conversion"):
        ConversionScorer(bundle, SqliteHistories(home.histories_file), b"k" * 32)


@pytest.mark.parametrize("about", [{}, {"features": "{}"}, {"features": '{"verticals": [], "new": 1}'}])
def test_a_model_of_another_version_is_refused(home: Settings, about: dict[str, str]) -> None:
    bundle = FakeConversions()
    bundle.about = about
    with pytest.raises(BundleError, match=r"as another version of zhongcao does; run `zhongcao train conversion`"):
        ConversionScorer(bundle, SqliteHistories(home.histories_file), b"k" * 32)


def test_a_store_that_was_never_filled_says_what_to_do(tmp_path: Any) -> None:
    scorer = ConversionScorer(FakeConversions(), SqliteHistories(tmp_path / "h.sqlite"), b"k" * 32)
    with pytest.raises(StoreError, match="zhongcao fill"):
        answer(scorer, asked(7))
    for schema in (pa.schema([("time", pa.int64())]), ACTS_SCHEMA.with_metadata({"statistics": "of before"})):
        with scorer.store.fill(schema, AS_OF, "older") as fill:
            fill.share("about", b"{}")
        with pytest.raises(StoreError, match=r"another version.*zhongcao fill"):
            answer(scorer, asked(7))
    scorer.store.close()


def test_a_fill_is_seen_once_its_notes_are_read(home: Settings, tmp_path: Path) -> None:
    settings = copied(home, tmp_path)
    filled(settings, "2024-01-10")
    store = SqliteHistories(settings.histories_file)
    scorer = ConversionScorer(FakeConversions(), store, load_key(settings))
    first, people = scorer.answer(asked(7), AS_OF), store.describe().people
    new = [{"note": "brand new", "brand": "b1", "arrived_at": AS_OF - DAY}]
    bring_in(settings, "notes", new, tmp_path)
    filled(settings)
    # Meanwhile nobody waits: notes are as of the earlier fill, and the answer says so.
    assert scorer.answer(asked(7), AS_OF).as_of == first.as_of
    scorer.warm()
    second = scorer.answer(asked(7, [*NOTES, "brand new"]), AS_OF)
    # Some shop accounts were people of their own until they were linked.
    assert people > store.describe().people
    store.close()
    assert (first.as_of, second.as_of) == (1_704_844_800, AS_OF)
    assert second.candidates[-1].known
    assert first.candidates != second.candidates[:-1]
