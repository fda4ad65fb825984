"""Live events show in conversions: the histories are those that a fill reads from the log, each event once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.inbox.inbox import Inbox
from features.inbox.live_catalogue import LiveCatalogue
from features.inbox.live_events import LiveReader
from features.inbox.mover import move
from features.log.event_log import EventLog
from features.people.identity import Pseudonyms, load_key
from features.settings import Settings
from serving.histories.sqlite_store import SqliteHistories
from serving.live.fed import FillNeededError
from serving.live.feed_histories import FedHistories
from serving.live.feeder import Feeder
from serving.live.parity_histories import check_histories
from serving.messages.conversion_schemas import ConversionsRequest
from serving.scoring.conversions import ConversionScorer
from tests.serving.conversion_homes import (
    AS_OF,
    DAY,
    DAYS,
    START,
    FakeConversions,
    copied,
    filled,
    person_of,
)

END = START + (DAYS + 3) * DAY


@pytest.fixture
def home(conversion_home: Settings, tmp_path: Path) -> Settings:
    return copied(conversion_home, tmp_path)


class Clicks:
    """Sends clicks of a platform's people, and feeds them when it is told to."""

    def __init__(self, settings: Settings, inbox: Inbox, store: SqliteHistories) -> None:
        self.settings, self.inbox, self.store, self.now = settings, inbox, store, END
        self.withdrawn: set[str] = set()
        self.feeder = Feeder(inbox, [FedHistories(store, "UTC", lambda: self.withdrawn)])
        log = inbox.log
        names = Pseudonyms(load_key(settings))
        self.reader = LiveReader(log.currency, names, LiveCatalogue(log), clock=lambda: self.now)

    def send(self, number: int, person: str, at: int, **more: Any) -> None:
        event = {
            "event_id": f"live{number}", "kind": "click", "event_time": at, "platform": "red", "account": person,
            "note": f"n{number % 12}",
        }  # fmt: skip
        [verdict] = self.inbox.accept(self.reader.read([event | more], "app"))
        assert verdict.outcome == "accepted", verdict

    def feed(self) -> None:
        while self.feeder.feed():
            pass


@pytest.fixture
def clicks(home: Settings) -> Iterator[Clicks]:
    filled(home, "now", END)
    store = SqliteHistories(home.histories_file)
    with Inbox(EventLog.open(home)) as inbox:
        yield Clicks(home, inbox, store)
    store.close()


def test_a_click_shows_in_the_next_answer(clicks: Clicks) -> None:
    scorer = ConversionScorer(FakeConversions(), clicks.store, load_key(clicks.settings))
    asked = ConversionsRequest.model_validate(
        {
            "person": {"platform": "red", "account": "u5"},
            "candidates": ["n1"],
            "context": {"platform": "red"},
        }
    )
    before = scorer.answer(asked, END + 2)
    clicks.send(1, "u5", END, kind="impression", position=1)
    clicks.feed()
    after = scorer.answer(asked, END + 2)
    assert after.candidates[0].probabilities["click"] < before.candidates[0].probabilities["click"]
    assert scorer.answer(asked, END).candidates == before.candidates
    # What is known of notes is as of the fill all the same.
    assert before.person_as_of == before.as_of == after.as_of
    assert after.person_as_of == clicks.now > after.as_of
    rows = scorer.rows(asked, END + 2)
    assert rows.found.live is not None
    assert rows.found.live.seq == clicks.inbox.last_seq


def test_histories_are_those_of_the_log_and_a_false_one_is_found(clicks: Clicks) -> None:
    rng = np.random.default_rng(2)
    for number in range(40):
        clicks.now += int(rng.integers(1, 4_000))
        more = {"kind": "read", "dwell_ms": int(rng.integers(9_000))} if number % 3 else {}
        clicks.send(number, f"u{rng.integers(70)}", clicks.now - int(rng.integers(0, DAY)), **more)
        if number % 9 == 0:
            clicks.feed()
        if number == 20:
            move(clicks.inbox, clicks.inbox.log)
    clicks.feed()
    found = check_histories(clicks.settings, clicks.store, 500, 0)
    assert found.differences == []
    assert found.histories > 50
    live = clicks.store.live()
    assert live is not None
    person = person_of(clicks.settings, 5)
    held = clicks.store.get([person]).events[0]
    assert held is not None
    clicks.store.append(live, live.seq, live.arrived_at, {person: held.slice(0, 1)}, [])
    found = check_histories(clicks.settings, clicks.store, 500, 0)
    assert [(one.what, one.column) for one in found.differences] == [("history", "events")]
    assert person not in str(found.differences)


def test_what_happens_in_one_second_has_no_order(clicks: Clicks) -> None:
    for number in (3, 1, 0, 2):
        clicks.send(number, "u5", END, kind="purchase", note="n1", item=f"i{number}", amount=100 * (4 - number))
        clicks.feed()
        move(clicks.inbox, clicks.inbox.log)
    found = check_histories(clicks.settings, clicks.store, 500, 0)
    assert (found.differences, found.histories > 50) == ([], True)


def test_who_withdrew_has_no_history_until_the_next_fill(clicks: Clicks) -> None:
    person = person_of(clicks.settings, 5)
    clicks.withdrawn.add(person)
    clicks.send(1, "u5", END)
    clicks.feed()
    assert clicks.store.get([person]).events == [None]
    clicks.withdrawn.clear()
    clicks.send(2, "u5", END)
    clicks.feed()
    assert clicks.store.get([person]).events == [None]


def test_a_fill_of_an_earlier_day_takes_no_live_events(home: Settings) -> None:
    filled(home, now=AS_OF)
    store = SqliteHistories(home.histories_file)
    with pytest.raises(FillNeededError, match="earlier day"):
        FedHistories(store, "UTC").position()
    store.close()
