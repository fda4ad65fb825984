"""Live events show in rows: bit for bit those of the batch, each event once whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from features.inbox.mover import move
from features.people.identity import load_key
from features.rows.layout import RowLayout
from features.settings import Settings
from features.taxonomy.addition import added_tags
from features.taxonomy.taxonomy import Taxonomy
from serving.live.parity import check_rows
from serving.messages.schemas import PersonRef
from serving.online.store import Update
from serving.predictions.files import PredictionFiles
from serving.predictions.log import PredictionLog
from serving.predictions.record import digest
from serving.scoring.scorer import Scorer
from tests.serving.live_homes import DAY, KINDS, NOW, LiveShop, event, filled, key_of, live_home, live_shop
from tests.serving.rebuilt_rows import rebuilt
from training.new_tags.model import extended_layout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = live_home(tmp_path_factory.mktemp("live"))
    filled(settings)
    return settings


@pytest.fixture
def home(made: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(made.home, tmp_path / "home")
    return made.model_copy(update={"home": tmp_path / "home", "mlruns": tmp_path / "mlruns"})


@pytest.fixture
def shop(home: Settings) -> Iterator[LiveShop]:
    with live_shop(home) as shop:
        yield shop


def test_an_event_moves_the_row_of_its_person_alone(shop: LiveShop) -> None:
    ann, other = shop.person("a0"), shop.person("a5")
    before = shop.store.get([ann, other])
    shop.now += 100
    shop.send(event(9000, "a1", NOW + 60, category="tea"))
    shop.feed()
    after, same = shop.store.get([ann, other])
    assert after is not None
    assert before[0] is not None
    assert after.as_of == NOW + 101
    assert before[0].as_of == NOW
    column = shop.bundle.layout.columns.index("purchase_count_all")
    assert after.vector[column] == before[0].vector[column] + 1
    assert same is not None
    assert same.as_of == NOW
    assert shop.feeder.state("tags").behind == 0


def test_who_is_new_gets_a_first_row_and_who_never_did_anything_keeps_the_key(shop: LiveShop) -> None:
    shop.send(event(9000, "stranger", NOW), event(9001, "silent", NOW))
    shop.feed()
    stranger, sue = key_of(shop.settings, "stranger"), shop.person("silent")
    assert shop.person("stranger") == stranger
    assert sue != key_of(shop.settings, "silent")
    rows = shop.store.get([stranger, sue])
    column = shop.bundle.layout.columns.index("purchase_count_all")
    assert [row and row.vector[column] for row in rows] == [1.0, 1.0]


def test_withdrawn_people_are_not_fed_before_the_next_fill(shop: LiveShop) -> None:
    ann = shop.person("a0")
    shop.withdrawn.add(ann)
    shop.send(event(9000, "a0", NOW), event(9001, "a2", NOW))
    shop.feed()
    shop.withdrawn.clear()
    shop.send(event(9002, "a0", NOW), event(9003, "a2", NOW))
    shop.feed()
    [row] = shop.store.get([ann])
    assert row is not None
    assert row.as_of == NOW
    [state] = shop.store.states([ann])
    assert state is not None
    assert state.content == b""
    assert shop.store.get([key_of(shop.settings, "a2")]) == [None]


def test_a_fill_from_the_log_makes_the_same_rows(shop: LiveShop) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        shop.now += int(rng.integers(1, 40_000))
        shop.send(event(9000 + number, f"a{rng.integers(14)}", shop.now - int(rng.integers(0, 3 * DAY))))
        if number % 7 == 0:
            shop.feed()
        if number == 20:
            move(shop.inbox, shop.inbox.log)
    shop.feed()
    move(shop.inbox, shop.inbox.log)
    [info] = [shop.store.describe()]
    persons = [p for b in shop.store.scan(info.fill, "", None, 999) for p in b.persons]
    live = shop.store.states(persons)
    filled(shop.settings, shop.now + 1)
    for person, state in zip(persons, live, strict=True):
        again = shop.store.states([person])[0]
        assert state is not None
        assert again is not None
        reader = shop.fed._look().layout
        old, new = (reader.unpack(s.content) for s in (state, again))
        old.settle(shop.now + 1)
        assert old.pack() == new.pack()
        np.testing.assert_array_equal(
            reader.row(old, shop.now + 1),
            shop.store.get([person])[0].vector,  # type: ignore[union-attr]
        )


def test_a_fill_between_loses_nothing_and_doubles_nothing(shop: LiveShop) -> None:
    shop.send(event(9000, "a0", NOW))
    shop.feed()
    move(shop.inbox, shop.inbox.log)
    shop.send(event(9001, "a0", NOW))
    shop.feed()
    filled(shop.settings, NOW + 1)
    move(shop.inbox, shop.inbox.log)
    shop.send(event(9002, "a0", NOW))
    shop.feed()
    column = shop.bundle.layout.columns.index("purchase_count_all")
    [row] = shop.store.get([shop.person("a0")])
    assert row is not None
    filled(shop.settings, NOW + 5)
    shop.feed()
    [again] = shop.store.get([shop.person("a0")])
    assert again is not None
    assert again.vector[column] == row.vector[column]
    assert "tags fill" not in shop.inbox.readers()


def test_rows_are_the_batchs_while_events_are_fed_and_a_false_one_is_found(shop: LiveShop) -> None:
    rng = np.random.default_rng(1)
    for number in range(30):
        shop.now += int(rng.integers(1, 40_000))
        at = shop.now - int(rng.integers(0, 2 * DAY))
        shop.send(event(9000 + number, f"a{rng.integers(14)}", at, KINDS[int(rng.integers(4))]))
        if number == 12:
            shop.feed()
            move(shop.inbox, shop.inbox.log)
    shop.feed()
    found = check_rows(shop.settings, shop.store, shop.bundle, 1000, 0)
    assert found.differences == []
    assert (found.rows, found.fed > 5) == (shop.store.describe().people, True)
    assert set(shop.inbox.readers()) == {"log", "tags"}
    live = shop.store.live()
    ann = shop.person("a0")
    [row], [state] = shop.store.get([ann]), shop.store.states([ann])
    assert live is not None
    assert row is not None
    assert state is not None
    wrong = row.vector.copy()
    wrong[0] += 1
    shop.store.update(live, live.seq, [Update(ann, state, row.as_of, wrong)])
    found = check_rows(shop.settings, shop.store, shop.bundle, 1000, 0)
    assert found.different == 1
    [difference] = found.differences
    assert difference.column == shop.bundle.layout.columns[0]
    assert ann not in str(difference)


def test_the_row_of_a_prediction_comes_out_of_the_log_again(shop: LiveShop, tmp_path: Path) -> None:
    person, store = shop.person("a0"), shop.store  # one of two accounts of a person
    scorer = Scorer(shop.bundle, store, load_key(shop.settings))
    log = PredictionLog(tmp_path / "kept", share=1.0, days=30, reserve_bytes=0)
    shop.now = NOW + 50
    answers = scorer.tags([PersonRef(person=person)], log=log)
    # Several predictions within the same second, with events between them, of this and of another person.
    for number in range(2):
        shop.send(event(9000 + 2 * number, "a0", NOW + 40), event(9001 + 2 * number, "a6", NOW + 40))
        shop.feed()
        answers += scorer.tags([PersonRef(person=person)], log=log)
    shop.send(event(9100, "a0", NOW + 45))
    move(shop.inbox, shop.inbox.log)
    store.replace(shop.bundle.layout.schema_hash, NOW, [], np.empty((0, shop.bundle.layout.width), np.float32))
    log.flush()
    kept = [PredictionFiles(tmp_path / "kept").get(str(answer.prediction_id)) for answer in answers]
    rows = [rebuilt(shop.settings, one) for one in kept if one is not None]
    assert [one and one.features_hash for one in kept] == [digest(row) for row in rows]
    assert [one and one.seq is None for one in kept] == [True, False, False]
    assert len({digest(row) for row in rows}) == 3


@dataclass(frozen=True)
class WithMore:
    """What is needed of a bundle that a tag and a vertical were added to."""

    version: str
    layout: RowLayout
    taxonomy: Taxonomy


def test_live_rows_go_on_after_tags_were_added(shop: LiveShop) -> None:
    fragment = {
        "vertical": [{"id": "soap", "name": "Soap", "name_zh": "皂", "categories": ["soap"], "patterns": []}],
        "tag": [
            {
                "id": "soap.buys", "within": "soap", "name": "Soap", "name_zh": "皂", "meaning": "Buys soap.",
                "rule": "count(purchase) >= 1",
            }
        ],
    }  # fmt: skip
    taxonomy, before = added_tags(shop.bundle.taxonomy, fragment), shop.bundle
    shop.feed()
    shop.bundle = WithMore("more", extended_layout(before.layout, taxonomy), taxonomy)  # type: ignore[assignment]
    assert shop.bundle.layout.base == before.layout != shop.bundle.layout
    shop.now += 100
    shop.send(event(9000, "a5", NOW + 60), event(9001, "new", NOW + 60))
    shop.feed()
    assert shop.feeder.state("tags").problem == ""
    [row, new] = shop.store.get([shop.person("a5"), shop.person("new")])
    assert row is not None
    assert new is not None
    assert row.as_of == NOW + 101
    assert len(row.vector) == before.layout.width
    found = check_rows(shop.settings, shop.store, shop.bundle, 500, 0)
    assert (found.different, found.fed) == (0, 2)
    # They are as if nothing had been added, and the tags may be taken away again.
    shop.bundle = before
    shop.send(event(9002, "a5", NOW + 61))
    shop.feed()
    assert check_rows(shop.settings, shop.store, before, 500, 0).different == 0
