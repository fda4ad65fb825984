"""What a conversion model reads of the catalogue: the versions that were known, and a name for all of it."""

from __future__ import annotations

import io

import duckdb
import pyarrow as pa
import pytest
from rich.console import Console

from features.errors import TrainingError
from features.events import EVENTS, IDENTITIES, ITEMS, NOTE_ITEMS, NOTES
from features.impressions.features import ImpressionFeatures
from features.impressions.responses import DEFAULT_WINDOWS
from training.conversion.source import ConversionSource, Outcomes
from training.source import LogSource
from training.steps import Steps

START, DAY = 1_700_000_000, 86_400
END = START + 10 * DAY
Rows = list[dict[str, object]]


def source_of(
    events: Rows, notes: Rows, items: Rows, *, paid_only: bool = False, said: io.StringIO | None = None
) -> ConversionSource:
    con = duckdb.connect(config={"threads": 1})
    rows = {EVENTS: events, IDENTITIES: [], NOTES: notes, ITEMS: items, NOTE_ITEMS: []}
    tables = {
        table.name: con.from_arrow(pa.Table.from_pylist(list(some), schema=table.schema))
        for table, some in rows.items()
    }
    log = LogSource(con, tables["events"], tables["identities"], "UTC", "v0", END)
    catalogue = {name: tables[name] for name in ("notes", "items", "note_items")}
    console = Console(file=said or io.StringIO(), width=200)
    return ConversionSource(log, catalogue, Outcomes(DEFAULT_WINDOWS, paid_only=paid_only), Steps(console))


def note(name: str, brand: str, arrived_at: int = START, media: str = "video") -> dict[str, object]:
    return {"note": name, "brand": brand, "media": media, "item": "i", "arrived_at": arrived_at}


def test_data_are_named_after_which_note_has_which_brand() -> None:
    versions = [
        source_of([], [note("n1", one), note("n2", other)], []).data_version
        for one, other in (("x", "y"), ("y", "x"), ("z", "z"), ("q", "q"))
    ]
    assert len(set(versions)) == 4


def shown(event_id: str, at: int, account: str = "a", **more: object) -> dict[str, object]:
    return {
        "event_id": event_id, "kind": "impression", "event_time": at, "arrived_at": at, "day": at // DAY,
        "platform": "red", "account": account, "note": "n", **more,
    }  # fmt: skip


def test_a_row_has_the_price_that_was_known_when_the_note_was_seen() -> None:
    later = START + 5 * DAY
    items = [{"item": "i", "price": price, "arrived_at": at} for price, at in ((200, later), (100, START + 1))]
    notes = [note("n", "x", START + 2), note("n", "x", later, "image")]
    source = source_of([shown("e", START), shown("f", later - 1), shown("g", later)], notes, items)
    features = ImpressionFeatures(only=("price", "video"))
    sample = source.train_sample(START, END, most=10, seed=1, features=features)
    # The first version stands for the time before it.
    assert sample.examples.rows.tolist() == [[1.0, 100.0], [1.0, 100.0], [0.0, 200.0]]
    sooner = source.train_sample(START, START + DAY, most=10, seed=1, features=features)
    assert sooner.examples.rows.tolist() == [[1.0, 100.0]]


def test_an_item_that_a_note_links_later_counts_from_then_on() -> None:
    bought = {"event_id": "p", "kind": "purchase", "event_time": START, "arrived_at": START, "day": START // DAY,
              "platform": "shop", "account": "a", "item": "j"}  # fmt: skip
    later = START + 5 * DAY
    notes = [note("n", "x", START), note("n", "x", later) | {"item": "j"}]
    source = source_of([bought, shown("e", later - 1), shown("f", later)], notes, [])
    features = ImpressionFeatures(only=("person_items_purchase_count_30d", "linked_items"))
    rows = source.train_sample(START, END, most=10, seed=1, features=features).examples.rows
    assert rows.tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_verticals_are_the_departments_of_items_and_left_out_where_there_are_none() -> None:
    def item(name: str, department: str | None, at: int = START) -> dict[str, object]:
        return {"item": name, "category": "tea", "department": department, "arrived_at": at}

    items = [
        item("i", "food"),
        item("j", "food"),
        item("k", "drinks"),
        item("l", "new", END),
        item("m", "new", END),
    ]
    features = source_of([], [], [*items, item("o", "new", END)]).features(END - 1)
    assert features.verticals == (("tea", "food"),)
    assert "person_vertical_click_count_7d" in features.columns
    without = source_of([], [], [item("i", None)]).features(END, ("will-buy",))
    assert without.verticals == ()
    assert not [name for name in without.columns if "vertical" in name]
    assert without.columns[-1] == "score_will-buy"
    assert ImpressionFeatures.of_json(without.to_json()).columns == without.columns


def test_paid_impressions_alone_are_counted_where_only_they_are_wanted() -> None:
    events = [shown(f"e{n}", START + n) for n in range(6)]
    events += [shown(f"f{n}", START + n, campaign="c") for n in range(2)]
    events += [shown(f"g{n}", START + n, note="ad") for n in range(3)]
    said = io.StringIO()
    source = source_of(events, [note("n", "x"), note("ad", "x") | {"paid": True}], [], paid_only=True, said=said)
    sample = source.train_sample(
        START, END, most=10, seed=1, features=ImpressionFeatures(only=("paid", "position"))
    )
    assert sample.impressions.table["event_id"].to_pylist() == ["f0", "g0", "f1", "g1", "g2"]
    assert "5 paid impressions and 0 clicks" in said.getvalue()
    with pytest.raises(TrainingError, match="the log holds no paid impression of a note"):
        source_of(events[:6], [note("n", "x")], [], paid_only=True).train_sample(
            START, END, most=10, seed=1, features=ImpressionFeatures()
        )


def test_what_had_not_arrived_yet_is_not_counted() -> None:
    events = [shown("e", START), shown("f", START) | {"arrived_at": END + 1}]
    said = io.StringIO()
    source_of(events, [], [], said=said).train_sample(
        START, END, most=10, seed=1, features=ImpressionFeatures(only=("hour",))
    )
    assert "1 impressions and 0 clicks" in said.getvalue()
