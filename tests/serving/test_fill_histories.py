from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from features.errors import EventLogError, LogTooShortError
from features.events import KINDS
from features.people.acts import code_of
from features.people.identity import account_key, load_key
from features.settings import Settings
from serving.histories import fill as module
from serving.histories.shared_facts import SharedFacts
from serving.histories.sqlite_store import SqliteHistories
from tests.serving.conversion_homes import (
    ALONE,
    AS_OF,
    AS_OF_TEXT,
    DAY,
    PEOPLE,
    REFUSED,
    START,
    WITHDREW,
    bring_in,
    copied,
    event_rows,
    filled,
    item_rows,
    note_rows,
    person_of,
)
from training.steps import Steps


@pytest.fixture(scope="module")
def home(conversion_home: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return copied(conversion_home, tmp_path_factory.mktemp("fill"))


def histories(settings: Settings, persons: list[str]) -> list[pa.RecordBatch | None]:
    store = SqliteHistories(settings.histories_file)
    found = store.get(persons).events
    store.close()
    return found


def facts(settings: Settings) -> SharedFacts:
    store = SqliteHistories(settings.histories_file)
    shared = store.shared()
    store.close()
    return SharedFacts.of(shared)


def known_events() -> list[dict[str, Any]]:
    return [row for row in event_rows() if row["event_time"] < AS_OF and row["arrived_at"] <= AS_OF]


def test_everybody_has_the_events_that_were_known_of_their_accounts(home: Settings) -> None:
    owner = {("red", i): i for i in range(ALONE)} | {("shop", i): i for i in range(ALONE)} | {("shop", 8): 9}
    expected = Counter(owner.get((row["platform"], int(row["account"][1:])), -1) for row in known_events())
    people = [i for i in range(ALONE) if i != REFUSED]
    found = histories(home, [person_of(home, i) for i in people])
    assert {i: batch and batch.num_rows for i, batch in zip(people, found, strict=True)} == {
        i: expected[i] for i in people
    }
    assert expected[WITHDREW] > 0


def test_who_never_agreed_is_nowhere(home: Settings) -> None:
    key = load_key(home)
    accounts = [account_key(key, platform, f"u{REFUSED}") for platform in ("red", "shop")]
    store = SqliteHistories(home.histories_file)
    assert store.resolve(accounts) == accounts
    assert store.get(accounts).events == [None, None]
    # A person per linked pair but one, and both accounts of whom nobody ever linked.
    assert store.describe().people == PEOPLE - 2 + 2
    store.close()


def test_a_history_is_oldest_first_and_tells_when_each_event_was_known(home: Settings) -> None:
    early = [row for row in known_events() if row["platform"] == "shop" and row["event_time"] < START + 9 * DAY]
    account, at = next((row["account"], row["event_time"]) for row in early if int(row["account"][1:]) % 7 == 0)
    [batch] = histories(home, [person_of(home, int(account[1:]))])
    assert batch is not None
    time, since = (batch[name].to_numpy() for name in ("time", "since"))
    assert (np.diff(time) >= 0).all()
    assert (since > time).all()
    assert since.max() <= AS_OF
    # The shop's account became theirs on the eleventh day; what was done with it before is known from then on.
    assert since[time == at].tolist() == [START + 10 * DAY]
    note = next(row for row in known_events() if row["account"] == account and row["platform"] == "red")
    assert since[time == note["event_time"]].tolist() == [max(note["event_time"] + 1, note["arrived_at"])]


def test_notes_prices_and_order_values_are_shared(home: Settings) -> None:
    shared = facts(home)
    assert (shared.as_of, shared.currency, shared.timezone) == (AS_OF, "CNY", "UTC")
    places = shared.notes.places(["n1", "n4", "nowhere"])
    assert [shared.notes.brand[place] for place in places] == ["b1", "b4", None]
    assert shared.notes.codes["brand"][places].tolist() == [code_of("b1"), code_of("b4"), 0]
    prices = {row["item"]: row["price"] for row in item_rows()}
    assert [shared.notes.price[place] for place in shared.notes.places([f"n{i}" for i in range(12)])] == [
        prices.get(f"i{i}") if row["item"] else None for i, row in enumerate(note_rows())
    ]
    bought = [row for row in known_events() if row["kind"] == "purchase"]
    tea = [row["amount"] for row in bought if int(row["note"][1:]) % 3 == 0]
    assert shared.order_values.of(None, None, "tea") == (round(sum(tea) / len(tea)), "category")
    amounts = [row["amount"] for row in bought]
    assert shared.order_values.of(None, None, "lamps") == (round(sum(amounts) / len(amounts)), "all")


def test_tallies_hold_nothing_that_was_not_known(home: Settings) -> None:
    tables = facts(home).tallies.tallies.tables
    assert {max(table["hour"].to_pylist(), default=0) <= AS_OF // 3_600 + 1 for table in tables.values()} == {True}
    seen = Counter(row["note"] for row in known_events() if row["kind"] == "impression")
    notes = tables["note"].group_by("key").aggregate([("impression_count", "sum")])
    counted = dict(zip(notes["key"].to_pylist(), notes["impression_count_sum"].to_pylist(), strict=True))
    assert counted == {code_of(note): count for note, count in seen.items()}


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fill_in_parts_is_the_same_in_any_number_of_threads(
    home: Settings, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    persons = [person_of(home, i) for i in range(PEOPLE) if i != REFUSED]
    whole = histories(home, persons)
    monkeypatch.setattr(module, "_EVENTS_AT_ONCE", len(known_events()) // 9)
    filled(home.model_copy(update={"threads": threads}))
    assert histories(home, persons) == whole


def test_an_interrupted_fill_goes_on_and_ends_alike(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home.model_copy(update={"threads": 1})
    persons = [person_of(home, i) for i in range(PEOPLE) if i != REFUSED]
    whole = histories(home, persons)
    # About ten people a part.
    monkeypatch.setattr(module, "_EVENTS_AT_ONCE", len(known_events()) // 6)
    read, asked = module.read_acts, list[int]()

    def fail_at_the_third(*args: Any, **more: Any) -> Any:
        asked.append(len(args[2]))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return read(*args, **more)

    monkeypatch.setattr(module, "read_acts", fail_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        filled(home)
    assert histories(home, persons) == whole
    filled(home)
    people = sum(asked) - asked[2]
    assert people == PEOPLE
    assert len(asked) > 6
    assert histories(home, persons) == whole


def test_who_did_nothing_lately_has_an_empty_history(home: Settings, tmp_path: Path) -> None:
    later = copied(home, tmp_path)
    info = filled(later, as_of="2025-01-01", now=AS_OF + 400 * DAY)
    assert info.people == PEOPLE - 1  # one has withdrawn meanwhile
    store = SqliteHistories(later.histories_file)
    [batch] = store.get([store.resolve([account_key(load_key(later), "red", "u1")])[0]]).events
    store.close()
    assert batch is not None
    assert set(batch["kind"].to_pylist()) <= {KINDS.index("purchase")}


def test_a_fill_as_of_another_time_than_the_logs_is_refused_and_changes_nothing(home: Settings) -> None:
    with pytest.raises(
        LogTooShortError, match=r"no event of anybody .* by the as-of date: '2023-12-01'; name a later"
    ):
        filled(home, as_of="2023-12-01")
    with pytest.raises(EventLogError, match="as of a day to come would answer nobody until then: '2030-01-01'"):
        filled(home, as_of="2030-01-01")
    assert facts(home).as_of == AS_OF


def test_of_a_note_the_version_that_was_known_is_shared(home: Settings, tmp_path: Path) -> None:
    later = copied(home, tmp_path)
    old = next(row for row in note_rows() if row["note"] == "n1")
    bring_in(later, "notes", [old | {"media": "image", "arrived_at": AS_OF + 1}], tmp_path)
    bring_in(later, "items", [{"item": "i1", "price": 5, "arrived_at": AS_OF + 1}], tmp_path)
    filled(later)
    notes = facts(later).notes
    [place] = notes.places(["n1"])
    assert (notes.numbers["video"][place], notes.price[place], notes.brand[place]) == (1.0, 100, "b1")


def test_it_says_how_much_of_the_catalogue_came_later(home: Settings, tmp_path: Path) -> None:
    later, said = copied(home, tmp_path), StringIO()
    bring_in(later, "notes", [{"note": "n12", "brand": "b1", "arrived_at": AS_OF + 1}], tmp_path)
    module.fill_histories(later, AS_OF_TEXT, AS_OF, Steps(Console(file=said, width=400)))
    assert "1 of 13 notes arrived later and count as unknown" in said.getvalue()
    assert "items arrived later" not in said.getvalue()


def test_without_a_log_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match="no event log"):
        filled(Settings(home=tmp_path))


def test_who_withdrew_since_is_left_out(home: Settings) -> None:
    person = person_of(home, WITHDREW)
    assert histories(home, [person])[0] is not None
    filled(home, now=AS_OF + 2 * DAY)
    assert histories(home, [person]) == [None]
