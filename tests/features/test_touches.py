from __future__ import annotations

from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.paths.touches import CLICK_WITHIN, read_touches
from tests.features.brand_logs import (
    DAY,
    END,
    ITEMS,
    KNOWN,
    NOTES,
    START,
    Row,
    event,
    events_of,
    known_rows,
    random_log,
)

CAMPAIGNS = pa.table({"campaign": ["c1", "c2"], "brand": ["X", "Y"]})


def read(rows: list[Row], **more: Any) -> list[Row]:
    span = {"start": START, "end": END, "known_at": KNOWN} | more
    table = read_touches(events_of(rows), NOTES, items=ITEMS, campaigns=CAMPAIGNS, **span)
    found: list[Row] = table.to_pylist()
    return found


def test_a_click_takes_in_the_impression_before_it() -> None:
    rows = [
        event("impression", START + 10, note="n1", cost_micros=900, campaign="c9"),
        event("click", START + 15, note="n1", cost_micros=100),
    ]
    (touch,) = read(rows)
    assert touch == {
        "event_id": "e0001", "time": START + 15, "account": "a", "platform": "p", "note": "n1", "creator": "ann",
        "campaign": "c9", "brand": "X", "category": None, "click": True, "paid": True, "impressions": 1,
        "cost_micros": 1000,
    }  # fmt: skip


@pytest.mark.parametrize(("gap", "touches"), [(0, 1), (CLICK_WITHIN, 1), (CLICK_WITHIN + 1, 2)])
def test_an_impression_long_before_is_a_touch_of_its_own(gap: int, touches: int) -> None:
    assert len(read([event("impression", START, note="n1"), event("click", START + gap, note="n1")])) == touches


def test_only_one_click_takes_in_an_impression_and_only_the_last_one_is_taken() -> None:
    seen = [event("impression", START + second, note="n1") for second in (1, 2)]
    found = read([*seen, event("click", START + 3, note="n1"), event("click", START + 4, note="n1")])
    assert [(t["time"] - START, t["click"], t["impressions"]) for t in found] == [
        (1, False, 1), (3, True, 1), (4, True, 0),
    ]  # fmt: skip


def test_neither_another_account_nor_another_note_clicked_it() -> None:
    rows = [
        event("impression", START, note="n1"),
        event("click", START + 1, note="n1", account="b"),
        event("click", START + 2, note="n2"),
    ]
    assert [t["impressions"] for t in read(rows)] == [1, 0, 0]


def test_a_touch_belongs_to_the_stretch_of_its_click() -> None:
    rows = [event("impression", END - 1, note="n1"), event("click", END, note="n1")]
    assert read(rows) == []
    (touch,) = read(rows, start=END, end=END + DAY)
    assert (touch["time"], touch["impressions"]) == (END, 1)


def test_edges_of_the_stretch_and_what_was_known() -> None:
    rows = [event("impression", at, note="n1") for at in (START - 1, START, END - 1, END)]
    assert [t["time"] for t in read(rows)] == [START, END - 1]
    late = [event("impression", START, note="n1", late=late) for late in (5, 6)]
    assert [t["event_id"] for t in read(late, known_at=START + 5)] == ["e0000"]
    assert [t["time"] for t in read(rows, known_at=END - 1)] == [START]


@pytest.mark.parametrize(
    ("note", "said", "campaign", "brand"),
    [
        ("n1", "Z", "c2", "X"),  # the note's own brand
        ("n4", "Z", "c2", "X"),  # that of the item behind its link
        ("n5", "Z", "c2", "Y"),  # its campaign's
        ("n5", "Z", None, "Z"),  # what its events say
    ],
)
def test_whose_brand_a_note_is(note: str, said: str, campaign: str | None, brand: str) -> None:
    rows = [event("impression", START, note=note, brand=said, campaign=campaign)]
    assert [t["brand"] for t in read(rows)] == [brand]
    assert len(read(rows, brands=[brand])) == 1
    assert read(rows, brands=["other"]) == []


def test_a_note_of_no_brand_is_no_touch() -> None:
    assert read([event("impression", START, note="n5")]) == []


def test_paid_notes_campaigns_and_costs_make_a_touch_paid() -> None:
    rows = [
        event("impression", START, note="n1"),
        event("impression", START + 1, note="n2"),
        event("impression", START + 2, note="n2", campaign="c2"),
        event("impression", START + 3, note="n2", cost_micros=1),
    ]
    assert [(t["paid"], t["campaign"]) for t in read(rows)] == [
        (True, "c1"), (False, None), (True, "c2"), (True, None),
    ]  # fmt: skip


def literally(rows: list[Row]) -> dict[str, tuple[int, int, int]]:
    """Touches by event id: (time, impressions, cost), one account and note at a time."""
    known = [r for r in known_rows(rows) if r["kind"] in {"impression", "click"}]
    touches = {}
    for pair in {(r["account"], r["note"]) for r in known}:
        waiting = None
        acts = [r for r in known if (r["account"], r["note"]) == pair]
        for act in sorted(acts, key=lambda r: (r["event_time"], r["kind"] == "click", r["event_id"])):
            cost = act["cost_micros"] or 0
            if act["kind"] == "impression":
                touches[act["event_id"]] = (act["event_time"], 1, cost)
                waiting = act
                continue
            if waiting and act["event_time"] - waiting["event_time"] <= CLICK_WITHIN:
                _, _, before = touches.pop(waiting["event_id"])
                touches[act["event_id"]] = (act["event_time"], 1, cost + before)
            else:
                touches[act["event_id"]] = (act["event_time"], 0, cost)
            waiting = None
    return {name: touch for name, touch in touches.items() if START <= touch[0] < END}


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 150))
def test_touches_are_the_literal_reading_whatever_the_order_of_rows(seed: int, size: int) -> None:
    rows, _ = random_log(seed, size)
    found = read(Random(seed).sample(rows, len(rows)))
    assert {t["event_id"]: (t["time"], t["impressions"], t["cost_micros"]) for t in found} == literally(rows)
    assert [(t["time"], t["event_id"]) for t in found] == sorted((t["time"], t["event_id"]) for t in found)
