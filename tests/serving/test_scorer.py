from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import StoreError
from serving.messages.schemas import AccountRef, PersonRef, TagAnswer, TagsAnswer
from serving.online.sqlite_store import SqliteStore
from serving.scoring.scorer import Scorer
from serving.scoring.tag_texts import TagTexts
from tests.serving.fakes import AS_OF, DAIRY, KEY, LINKED, TAXONOMY, FakeBundle, FakeLayout, fake_scorer


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Scorer]:
    scorer = fake_scorer(tmp_path)
    yield scorer
    scorer.store.close()


def account(platform: str, name: str) -> AccountRef:
    return AccountRef(platform=platform, account=name)


def test_tags_come_most_probable_first(scorer: Scorer) -> None:
    [answer] = scorer.tags([account("shop", "dairy lover")])
    assert answer.person == {"platform": "shop", "account": "dairy lover"}
    assert (answer.status, answer.as_of) == ("known", AS_OF)
    assert [(t.id, t.probability, t.assigned, t.factors) for t in answer.tags] == [
        ("dairy.will-buy", 0.9, True, None),
        ("bread.will-buy", 0.25, False, None),
    ]
    assert answer.tags[0].name_zh == "乳品:将购买"


def test_a_person_key_and_every_linked_account_give_the_same_tags(scorer: Scorer) -> None:
    answers = scorer.tags([PersonRef(person=LINKED), account("shop", "one"), account("notes", "uno")])
    assert [a.person for a in answers] == [
        {"person": LINKED},
        {"platform": "shop", "account": "one"},
        {"platform": "notes", "account": "uno"},
    ]
    assert all(a.tags == answers[0].tags for a in answers)
    assert [(t.id, t.assigned) for t in answers[0].tags] == [("bread.will-buy", True), ("dairy.will-buy", False)]


def test_nothing_is_made_up_about_unknown_people(scorer: Scorer) -> None:
    unknown, known = scorer.tags([account("shop", "nobody"), PersonRef(person=DAIRY)])
    assert (unknown.status, unknown.as_of, unknown.tags) == ("unknown", None, [])
    assert known.status == "known"


def test_the_same_account_on_another_platform_is_another_person(scorer: Scorer) -> None:
    assert scorer.tags([account("notes", "dairy lover")])[0].status == "unknown"


def test_what_is_written_are_the_bytes_of_the_answer(scorer: Scorer) -> None:
    people = [account("shop", "nobody"), PersonRef(person=DAIRY), account("notes", "uno")]
    for asked in ({}, {"top": 1}, {"min_probability": 0.5}, {"min_probability": 0.95}):
        expected = TagsAnswer("fake-1", scorer.tags(people, **asked))
        assert orjson.dumps(scorer.written(people, **asked)) == orjson.dumps(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.text(max_size=5), st.randoms())
def test_tags_are_written_as_orjson_writes_them(probabilities: list[float], name: str, random: Random) -> None:
    tags = [replace(TAXONOMY.tags[n % 3], name=f'{n}{name}"', name_zh="乳品") for n in range(len(probabilities))]
    chosen, told = random.sample(range(len(tags)), len(tags)), np.round(probabilities, 6).tolist()
    assigned = [random.random() < 0.5 for _ in tags]
    expected = [
        TagAnswer(tags[n].id, tags[n].name, tags[n].name_zh, p, high, None)
        for n, p, high in zip(chosen, told, assigned, strict=True)
    ]
    assert orjson.dumps(TagTexts(tags).written(chosen, told, assigned)) == orjson.dumps(expected)


def test_top_and_min_probability(scorer: Scorer) -> None:
    people = [PersonRef(person=DAIRY), PersonRef(person=LINKED)]
    assert [[t.probability for t in a.tags] for a in scorer.tags(people, top=1)] == [[0.9], [0.5]]
    assert [[t.probability for t in a.tags] for a in scorer.tags(people, min_probability=0.5)] == [[0.9], [0.5]]
    assert [a.tags for a in scorer.tags(people, min_probability=0.95)] == [[], []]


def test_factors_are_in_words(scorer: Scorer) -> None:
    [answer] = scorer.tags([PersonRef(person=DAIRY)], top=1, explain=True)
    first, second = answer.tags[0].factors or []
    assert (first.words, first.words_zh) == ("bought dairy 3 times in the last 30 days", "近30天购买乳品3次")
    assert (first.feature, first.value, first.effect) == ("purchase_count_30d@dairy", 3.0, 1.25)
    assert (second.words, second.value, second.effect) == ("did not buy dairy so far", None, -0.5)


def test_many_people_are_scored_in_the_order_asked(tmp_path: Path) -> None:
    people = [f"{i:032x}" for i in range(1000)]
    rows = np.linspace(0, 1, 3000, dtype=np.float32).reshape(1000, 3)
    store = SqliteStore(tmp_path / "online.sqlite")
    store.replace("layout-1", AS_OF, people, rows)
    answers = Scorer(FakeBundle(), store, KEY).tags([PersonRef(person=p) for p in people[::-1]], top=1)
    store.close()
    assert [a.tags[0].probability for a in answers] == [round(float(row[1]), 6) for row in rows[::-1]]


def test_threads_get_the_answers_that_one_gets(scorer: Scorer) -> None:
    requests = [
        [PersonRef(person=DAIRY), account("shop", "one")],
        [account("shop", "nobody")],
        [account("notes", "uno"), PersonRef(person=DAIRY), PersonRef(person=LINKED)],
    ]
    expected = [scorer.tags(people) for people in requests]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: scorer.tags(requests[i % 3]), range(240)))
    assert all(answer == expected[i % 3] for i, answer in enumerate(answers))


def test_a_store_of_another_layout_is_refused(tmp_path: Path, scorer: Scorer) -> None:
    with pytest.raises(
        StoreError, match=r"layout of the bundle: 'layout-1'; valid: layout-2; run `zhongcao retrain`"
    ):
        Scorer(FakeBundle(layout=FakeLayout("layout-2")), scorer.store, KEY)
    # Also when the store is filled anew under a running scorer.
    scorer.store.replace("layout-2", AS_OF, [DAIRY], np.zeros((1, 3), np.float32))
    with pytest.raises(StoreError, match="layout of the bundle"):
        scorer.tags([PersonRef(person=DAIRY)])
