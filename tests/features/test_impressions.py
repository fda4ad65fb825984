"""Which impressions are read, whose they are, and what is said of the note."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from features.errors import FeatureError
from features.events import EVENTS, ITEMS, NOTES, Table
from features.impressions.table import IMPRESSION_SCHEMA, Impressions, read_impressions
from tests.features.logs import DAY, START
from tests.features.test_population import link, links_of


def canonical(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    schema = pa.schema([pa.field(c.name, c.arrow) for c in table.columns])
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)


def seen(event_id: str, at: int, account: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "event_id": event_id, "kind": "impression", "event_time": START + at, "arrived_at": START + at,
        "day": (START + at) // DAY, "platform": "xhs", "account": account, "note": "n", **more,
    }  # fmt: skip


NOTE_ROWS = canonical(
    NOTES,
    [
        {
            "note": "n",
            "arrived_at": START - 9,
            "media": "video",
            "paid": False,
            "published_at": START - 9,
            "item": "i",
        },
        {"note": "ad", "arrived_at": START - 9, "media": "image", "paid": True},
        {"note": "new", "arrived_at": START + 99, "media": "image", "paid": True},
    ],
)
ITEM_ROWS = canonical(ITEMS, [{"item": "i", "arrived_at": START - 9, "price": 1299}])


def read(rows: list[dict[str, Any]], links: Any = None, **more: Any) -> Impressions:
    given = {"start": START, "end": START + 1_000, "known_at": START + 50, "timezone": "UTC"} | more
    return read_impressions(canonical(EVENTS, rows), links, NOTE_ROWS, items=ITEM_ROWS, **given)


def test_rows_are_those_of_the_stretch_that_had_arrived_in_order_of_time_and_id() -> None:
    rows = [
        seen("e3", 7), seen("e2", 7), seen("e9", 3), seen("early", -1), seen("end", 1_000),
        seen("late", 5, arrived_at=START + 51), seen("click", 4, kind="click"), seen("none", 4, note=None),
    ]  # fmt: skip
    found = read(rows)
    assert found.table["event_id"].to_pylist() == ["e9", "e2", "e3"]
    assert found.table.schema == IMPRESSION_SCHEMA
    assert found.times.tolist() == [START + 3, START + 7, START + 7]
    assert found.take([2, 0]).table["event_id"].to_pylist() == ["e3", "e9"]


def test_what_the_catalogue_says_of_the_note() -> None:
    rows = [
        seen("e1", 1, position=4, cost_micros=70, propensity=0.25, prediction_id="p", category="tea", brand="b"),
        seen("e2", 2, note="ad"), seen("e3", 3, note="new"), seen("e4", 4, note="new", campaign="c"),
    ]  # fmt: skip
    first, *others = read(rows).table.to_pylist()
    assert first == {
        "event_id": "e1", "time": START + 1, "day": START // DAY, "account": "a", "person": "a", "note": "n",
        "creator": None, "topic": None, "campaign": None, "brand": "b", "category": "tea", "platform": "xhs",
        "position": 4, "cost_micros": 70, "propensity": 0.25, "prediction_id": "p", "media": "video", "paid": False,
        "published_at": START - 9, "item": "i", "price": 1299,
    }  # fmt: skip
    # The note that the log did not know yet says nothing; a campaign that paid says it itself.
    assert [(o["note"], o["media"], o["paid"]) for o in others] == [
        ("ad", "image", True), ("new", None, False), ("new", None, True),
    ]  # fmt: skip
    assert read(rows, paid_only=True).table["event_id"].to_pylist() == ["e2", "e4"]


def test_the_person_is_whose_the_account_was_at_that_time() -> None:
    links = links_of([link("1", "a", "P", START + 5), link("2", "a", "Q", START + 8, late=2)])
    rows = [seen("e1", 4), seen("e2", 5), seen("e3", 9), seen("e4", 10), seen("e5", 5, account="b")]
    found = read(rows, links).table
    assert dict(zip(found["event_id"].to_pylist(), found["person"].to_pylist(), strict=True)) == {
        "e1": "a", "e2": "P", "e3": "P", "e4": "Q", "e5": "b",
    }  # fmt: skip


def test_people_who_said_no_then_or_by_now_are_left_out() -> None:
    links = links_of(
        [
            link("1", "a", "P", START), link("2", "a", "P", START + 5, consent=False),
            link("3", "b", "Q", START, consent=False), link("4", "b", "Q", START + 5, consent=True),
            link("5", "c", "R", START, consent=False), link("6", "c", "R", START + 60, consent=True),
        ]
    )  # fmt: skip
    rows = [seen(f"{account}{at}", at, account) for account in "abcd" for at in (3, 6)]
    assert read(rows, links).table["event_id"].to_pylist() == ["d3", "b6", "d6"]
    assert read(rows, links, known_at=START + 4).table["event_id"].to_pylist() == ["a3", "d3"]


def test_parts_hold_whole_persons() -> None:
    rows = [seen(f"e{n}", n, account) for n, account in enumerate("abacabad")]
    found = read(rows)
    parts = list(found.by_person(3))
    assert sorted(np.concatenate(parts).tolist()) == list(range(8))
    persons = [set(found.take(part).table["person"].to_pylist()) for part in parts]
    assert sum(len(some) for some in persons) == 4
    assert all((np.diff(part) > 0).all() for part in parts)


def test_relations_of_any_connection_are_read() -> None:
    rows = canonical(EVENTS, [seen("e1", 1)])
    con, other = duckdb.connect(), duckdb.connect()
    found = read_impressions(
        con.from_arrow(rows), other.from_arrow(links_of([link("1", "a", "P", START)])), other.from_arrow(NOTE_ROWS),
        start=START, end=START + 9, known_at=START + 9, timezone="UTC", items=other.from_arrow(ITEM_ROWS),
    )  # fmt: skip
    assert (found.table["person"].to_pylist(), found.table["price"].to_pylist()) == (["P"], [1299])


def test_an_empty_stretch_is_refused() -> None:
    with pytest.raises(FeatureError, match="stretch of impressions is empty"):
        read([], end=START)
