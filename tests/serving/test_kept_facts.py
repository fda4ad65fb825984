from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import StoreError
from features.settings import Settings
from serving.histories.kept_facts import KeptFacts
from serving.histories.packed import ACTS_SCHEMA, acts_of
from serving.histories.sqlite_store import SqliteHistories
from serving.histories.store import Shared
from serving.messages.conversion_schemas import Context
from serving.scoring.candidates import impressions_of
from tests.serving.conversion_homes import AS_OF, FEATURES, copied, filled


class SlowStore(SqliteHistories):
    """Shares only once it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may = threading.Event()
        self.may.set()
        self.asked = 0

    def shared(self) -> Shared:
        self.asked += 1
        assert self.may.wait(20)
        return super().shared()


@pytest.fixture
def home(conversion_home: Settings, tmp_path: Path) -> Settings:
    return copied(conversion_home, tmp_path)


@pytest.fixture
def store(home: Settings) -> Iterator[SlowStore]:
    store = SlowStore(home.histories_file)
    yield store
    store.close()


def until_kept(kept: KeptFacts, store: SlowStore) -> None:
    for _ in range(400):
        if kept.of(found := store.get([]))[0].fill == found.fill:
            return
        time.sleep(0.02)
    pytest.fail("the facts of the fill were never kept")


def test_a_fill_makes_nobody_wait_and_is_read_once(home: Settings, store: SlowStore) -> None:
    kept = KeptFacts(store, FEATURES)
    first = kept.of(store.get([]))
    assert (first[0].as_of, store.asked) == (AS_OF, 1)
    filled(home, "2024-01-15")
    store.may.clear()
    found = store.get([])
    assert [kept.of(found) for _ in range(5)] == [first] * 5
    store.may.set()
    until_kept(kept, store)
    assert kept.of(found)[0].as_of == found.as_of != AS_OF
    assert store.asked == 2


def test_the_first_request_finds_the_tallies_sorted(store: SlowStore) -> None:
    facts, moments = KeptFacts(store, FEATURES).of(store.get([]))
    sorted_before = len(facts.tallies._streams)
    asked = [*facts.notes._place, "nowhere"]
    numbers = impressions_of(
        asked, facts.notes, context=Context(platform="red"), time=AS_OF + 9_000, timezone="UTC", platforms=("red",)
    ).numbers
    moments.rows(acts_of(None, 7), numbers)
    assert len(facts.tallies._streams) == sorted_before > 0


def test_histories_with_other_columns_are_never_mixed_with_earlier_facts(store: SlowStore) -> None:
    kept = KeptFacts(store, FEATURES)
    kept.read()
    other = ACTS_SCHEMA.with_metadata({"statistics": "of before"})
    with store.fill(other, AS_OF, "older") as fill:
        fill.add("all", {"p": pa.RecordBatch.from_pylist([], schema=other)}, {})
    store.may.clear()
    with pytest.raises(StoreError, match="another version of zhongcao"):
        kept.of(store.get(["p"]))
    store.may.set()


def test_what_could_not_be_read_is_tried_again(home: Settings, tmp_path: Path) -> None:
    store = SlowStore(tmp_path / "new" / "histories.sqlite")
    kept = KeptFacts(store, FEATURES)
    with store.fill(ACTS_SCHEMA, AS_OF, "log 1") as fill:
        fill.share("about", b"{}")
    with pytest.raises(KeyError):
        kept.read()
    store.close()
    good = SlowStore(home.histories_file)
    kept._store = good
    kept.read()
    assert kept.of(good.get([]))[0].as_of == AS_OF
    good.close()
