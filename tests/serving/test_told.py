"""Live events move the quality of notes: tallies are those of the log, at every full hour."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from features.impressions.features import ImpressionFeatures
from features.impressions.history import NoteHistory
from features.impressions.note_tallies import EVERYTHING, HOUR, NOTE_KEYS
from features.inbox.mover import move
from features.people.acts import code_of
from features.people.identity import load_key
from serving.histories.shared_facts import SharedFacts
from serving.histories.told import Told, folded, read, told_events, told_tallies
from serving.messages.conversion_schemas import ConversionsRequest
from serving.scoring.conversions import ConversionScorer
from tests.serving.conversion_homes import DAY, FakeConversions
from tests.serving.test_feed_histories import END, Clicks, clicks, home  # noqa: F401

KINDS = (
    {"kind": "impression", "position": 2}, {"kind": "click"}, {"kind": "read", "dwell_ms": 7_000}, {"kind": "save"},
    {"kind": "purchase", "platform": "shop", "item": "i1", "order": "o", "amount": 300, "quantity": 2},
)  # fmt: skip


def lived(clicks: Clicks, many: int = 60) -> None:  # noqa: F811
    """Send events of many kinds, hours and days, some of them late."""
    rng = np.random.default_rng(5)
    for number in range(many):
        clicks.now += int(rng.integers(1, 3 * HOUR))
        late = int(rng.choice([0, 0, 30, 5 * HOUR, 2 * DAY]))
        more = KINDS[int(rng.integers(len(KINDS)))]
        clicks.send(number, f"u{rng.integers(70)}", clicks.now - late, **more)


def asked(notes: NoteHistory, of: str, instant: int) -> dict[str, list[int]]:
    values = {
        "note": [f"n{i}" for i in range(12)], "note_platform": [f"n{i}\x1fred" for i in range(12)],
        "creator": [f"c{i}" for i in range(4)], "topic": [f"t{i}" for i in range(3)],
        "brand": [f"b{i}" for i in range(5)], "category": ["tea", "milk", "soap"], "item": ["i1", "i2"],
        EVERYTHING: [""],
    }[of]  # fmt: skip
    codes = np.array([code_of(value) for value in values])
    wanted = ImpressionFeatures()._tallied()[of]
    found = notes.ask(of, codes, np.full(len(codes), instant), wanted)
    return {aggregate.name: numbers.tolist() for aggregate, numbers in found.items()}


def test_tallies_are_those_of_the_log_at_every_hour(clicks: Clicks) -> None:  # noqa: F811
    lived(clicks)
    clicks.feed()
    told = clicks.store.told()
    live = SharedFacts.of(clicks.store.shared(), told)
    assert told.seq == clicks.inbox.last_seq == live.told
    move(clicks.inbox, clicks.inbox.log)
    con = clicks.inbox.log.connect()
    batch = ImpressionFeatures().notes(clicks.inbox.log.events(con), "UTC")
    small = Told(told.fill, told.seq, (), {name[11:]: part for name, part in folded(told, "UTC").items()})
    once_more = SharedFacts.of(clicks.store.shared(), small)
    alone = SharedFacts.of(clicks.store.shared())
    moved = 0
    for instant in range(END, clicks.now + 2 * HOUR, 7 * HOUR + 11):
        for of in NOTE_KEYS:
            truth = asked(batch, of, instant)
            assert asked(live.tallies, of, instant) == truth, (of, instant)
            assert asked(once_more.tallies, of, instant) == truth, (of, instant)
            moved += asked(alone.tallies, of, instant) != truth
    assert moved > 20
    con.close()


def test_an_answer_knows_of_notes_what_was_told_before_the_hour(clicks: Clicks) -> None:  # noqa: F811
    scorer = ConversionScorer(FakeConversions(), clicks.store, load_key(clicks.settings))
    request = ConversionsRequest.model_validate(
        {"person": {"platform": "red", "account": "u5"}, "candidates": ["n1"], "context": {"platform": "red"}}
    )
    names = list(scorer._features.columns)
    column = next(number for number, name in enumerate(names) if name == "note_impression_count_1d")
    scorer.warm()
    next_hour = (END // HOUR + 1) * HOUR

    def impressions(at: int) -> float:
        return float(scorer.rows(request, at).matrix[0, column])

    before = impressions(END + 1)
    for number in range(3):
        clicks.send(number, f"u{20 + number}", END, kind="impression", position=1, note="n1")
    clicks.feed()
    assert impressions(END + 2) == before
    for _ in range(400):
        if (found := impressions(next_hour + 30)) != before:
            break
        time.sleep(0.01)
    assert found == before + 3


def test_what_is_told_names_nobody_and_stays_small(
    clicks: Clicks,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.live.feed_histories.FOLD_AT", 2)
    seen = []
    for number in range(7):
        clicks.send(number, f"u{number}", END, kind="impression", position=1, note="n1")
        clicks.feed()
        told = clicks.store.told()
        seen.append(len(told.events))
        if told.events:
            columns = set(read(told.events[0]).column_names)
            assert columns.isdisjoint({"account", "event_id", "event_time", "arrived_at", "order"})
    assert max(seen) == 2
    assert 0 in seen
    [shown] = [table for of, table in told_tallies(told, "UTC").items() if of == "note"]
    assert shown["impression_count"].to_pylist() == [7]
    clicks.store.fold(Told("another fill", told.seq), {})
    assert clicks.store.told() == told


def test_events_are_kept_by_the_hour_in_which_they_were_known() -> None:
    names = ("kind", "day", "note", "platform", "creator", "topic", "campaign", "item", "brand", "category",
             "amount", "quantity", "dwell_ms", "read_percent")  # fmt: skip
    times = pa.table({"event_time": [7_199, 7_200, 10], "arrived_at": [7_199, 7_200, 7_201]})
    for name in names:
        times = times.append_column(name, pa.nulls(3))
    # Known at 7,200, 7,201 and 7,201: the first is in the second hour's tallies, the others in the third's.
    assert read(told_events(times))["hour"].to_pylist() == [2, 3, 3]
