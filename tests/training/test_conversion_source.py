"""What a conversion model reads of the catalogue: the versions that were known, and a name for all of it."""

from __future__ import annotations

import duckdb
import pyarrow as pa
from rich.console import Console

from features.events import EVENTS, IDENTITIES, ITEMS, NOTE_ITEMS, NOTES
from features.impression_features import ImpressionFeatures
from features.responses import DEFAULT_WINDOWS
from training.conversion.source import ConversionSource, Outcomes
from training.source import LogSource
from training.steps import Steps

START, DAY = 1_700_000_000, 86_400
END = START + 10 * DAY
Rows = list[dict[str, object]]


def source_of(events: Rows, notes: Rows, items: Rows) -> ConversionSource:
    con = duckdb.connect(config={"threads": 1})
    rows = {EVENTS: events, IDENTITIES: [], NOTES: notes, ITEMS: items, NOTE_ITEMS: []}
    tables = {
        table.name: con.from_arrow(pa.Table.from_pylist(list(some), schema=table.schema))
        for table, some in rows.items()
    }
    log = LogSource(con, tables["events"], tables["identities"], "UTC", "v0", END)
    catalogue = {name: tables[name] for name in ("notes", "items", "note_items")}
    return ConversionSource(log, catalogue, Outcomes(DEFAULT_WINDOWS), Steps(Console(quiet=True)))


def note(name: str, brand: str, arrived_at: int = START, media: str = "video") -> dict[str, object]:
    return {"note": name, "brand": brand, "media": media, "item": "i", "arrived_at": arrived_at}


def test_data_are_named_after_which_note_has_which_brand() -> None:
    versions = [
        source_of([], [note("n1", one), note("n2", other)], []).data_version
        for one, other in (("x", "y"), ("y", "x"), ("z", "z"), ("q", "q"))
    ]
    assert len(set(versions)) == 4


def test_a_row_has_the_price_that_was_known_when_the_model_was_trained() -> None:
    seen = {
        "event_id": "e", "kind": "impression", "event_time": START + DAY, "arrived_at": START + DAY, "day": 19_676,
        "platform": "red", "account": "a", "note": "n",
    }  # fmt: skip
    later = START + 5 * DAY
    items = [{"item": "i", "price": price, "arrived_at": at} for price, at in ((100, START), (200, later))]
    source = source_of([seen], [note("n", "x"), note("n", "x", later, "image")], items)
    features = ImpressionFeatures(only=("price", "video"))

    def rows(as_of: int) -> list[list[float]]:
        return source.train_sample(START, as_of, most=10, seed=1, features=features).examples.rows.tolist()

    assert rows(START + 2 * DAY) == [[1.0, 100.0]]
    assert rows(END) == [[0.0, 200.0]]
