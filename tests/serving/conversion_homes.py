"""A home with a small log of notes, clicks and orders, and a conversion model that can be checked by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from features.events import TABLES
from features.impressions.features import ImpressionFeatures, rows_by_person
from features.impressions.table import Impressions, read_impressions
from features.impressions.tag_scores import ScoredTags, TagScores
from features.log.event_log import EventLog
from features.people.identity import account_key, load_key
from features.settings import Settings
from features.sources.mapping import mapping_of
from serving.histories.fill import fill_histories
from serving.histories.sqlite_store import SqliteHistories
from serving.histories.store import HistoryInfo
from tests.features.log_cases import imported
from training.steps import Steps

DAY = 86_400
START = 1_704_067_200  # 2024-01-01
DAYS = 24
AS_OF = START + 20 * DAY + 12 * 3_600 + 2_100
"""A moment in the middle of an hour of a busy day; `AS_OF_TEXT` as it is typed."""
AS_OF_TEXT = "2024-01-21T12:35"
PEOPLE = 60
REFUSED, WITHDREW, ALONE = 3, 4, 59
"""Numbers of who never agreed, who withdrew after `AS_OF`, and whose accounts were never linked."""
FEATURES = ImpressionFeatures(platforms=("red",), verticals=(("tea", "drinks"), ("milk", "drinks")))
_CATEGORIES = ("tea", "milk", "soap")


def note_rows() -> list[dict[str, Any]]:
    return [
        {
            "note": f"n{i}", "creator": f"c{i % 4}", "topic": f"t{i % 3}", "category": _CATEGORIES[i % 3],
            "brand": f"b{i % 5}", "item": f"i{i}" if i % 4 else None, "media": "video" if i % 2 else "image",
            "campaign": "spring" if i % 3 == 0 else None, "paid": i % 3 == 0, "published_at": START - i * DAY,
            "arrived_at": START - 30 * DAY,
        }
        for i in range(12)
    ]  # fmt: skip


def item_rows() -> list[dict[str, Any]]:
    items = [f"i{i}" for i in range(12) if i % 4 and i != 5]
    return [{"item": item, "price": 100 * int(item[1:]), "arrived_at": START - 30 * DAY} for item in items]


def note_item_rows() -> list[dict[str, Any]]:
    """Notes link their own item, and some the next one's."""
    pairs = [(i, i) for i in range(12) if i % 4] + [(i, (i + 1) % 12) for i in range(0, 12, 3)]
    return [{"note": f"n{note}", "item": f"i{item}", "arrived_at": START - 30 * DAY} for note, item in pairs]


def link_rows() -> list[dict[str, Any]]:
    """Link two accounts to most people; of one it is taken away again, some get it late, two refuse."""
    rows = []
    for i in range(ALONE):
        for platform in ("red", "shop"):
            at = START - DAY if i % 7 or platform == "red" else START + 10 * DAY
            link = {"platform": platform, "account": f"u{i}", "person": f"p{i}", "valid_from": at, "arrived_at": at}
            rows.append(link | {"consent": False if i == REFUSED else None})
    taken = {"platform": "shop", "account": "u8", "person": "p9", "consent": None}
    withdrawn = {"platform": "red", "account": f"u{WITHDREW}", "person": f"p{WITHDREW}", "consent": False}
    return [
        *rows,
        taken | dict.fromkeys(("valid_from", "arrived_at"), START + 15 * DAY),
        withdrawn | dict.fromkeys(("valid_from", "arrived_at"), AS_OF + DAY),
    ]


def event_rows(seed: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []

    def add(kind: str, at: int, person: int, platform: str, late: int = 0, **more: Any) -> None:
        rows.append(
            {
                "event_id": f"e{len(rows)}", "kind": kind, "event_time": at, "arrived_at": at + late,
                "platform": platform, "account": f"u{person}", **more,
            }
        )  # fmt: skip

    for person, day in np.argwhere(rng.random((PEOPLE, DAYS)) < 0.6).tolist():
        at = START + day * DAY + int(rng.integers(8 * 3_600, 20 * 3_600))
        for place in range(int(rng.integers(1, 6))):
            number = int(rng.integers(12))
            note = f"n{number}"
            add("impression", at, person, "red", late=int(rng.choice([0, 0, 60, 7_200])), note=note, position=place)
            if rng.random() < (0.15 if number % 2 else 0.65):  # videos are clicked less
                add("click", at + 5, person, "red", note=note)
                add("read", at + 30, person, "red", note=note, dwell_ms=int(rng.integers(1_000, 20_000)))
                if rng.random() < 0.5:
                    add("link_click", at + 40, person, "red", note=note)
                    add("store_visit", at + 60, person, "shop", note=note)
                    if rng.random() < 0.6:
                        add("cart", at + 90, person, "shop", note=note, item=f"{note.replace('n', 'i')}")
                        if rng.random() < 0.7:
                            add(
                                "purchase", at + 120 + int(rng.integers(0, 2 * DAY)), person, "shop", note=note,
                                item=f"{note.replace('n', 'i')}", order=f"o{len(rows)}", quantity=1,
                                amount=int(rng.integers(100, 2_000)),
                            )  # fmt: skip
            at += int(rng.integers(20, 600))
    return rows


def bring_in(settings: Settings, name: str, rows: Sequence[dict[str, Any]], folder: Path, **more: Any) -> None:
    """Import rows that are canonical already."""
    columns = {
        column.name: column.arrow for column in TABLES[name].columns if any(column.name in row for row in rows)
    }
    table = pa.Table.from_pylist(list(rows), schema=pa.schema(columns.items()))
    path = folder / f"{name}-{len(rows)}.parquet"
    pq.write_table(table, path)
    content: dict[str, Any] = {
        "source": "test",
        "table": name,
        "format": "parquet",
        "time": "epoch_s",
        "money": "minor",
    }
    content["columns"] = {column: column for column in columns}
    imported(settings, path, mapping_of(content, "test"), backfill=True, **more)


def conversion_log(folder: Path) -> Settings:
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=1)
    tables = {"items": item_rows(), "notes": note_rows(), "note_items": note_item_rows()}
    for name, rows in (tables | {"identities": link_rows(), "events": event_rows()}).items():
        bring_in(settings, name, rows, folder)
    return settings


def filled(settings: Settings, as_of: str = AS_OF_TEXT, now: int = AS_OF) -> HistoryInfo:
    return fill_histories(settings, as_of, now, Steps(Console(quiet=True)))


def copied(settings: Settings, folder: Path) -> Settings:
    """Copy a home, to change it."""
    shutil.copytree(settings.home, folder / "home")
    return settings.model_copy(update={"home": folder / "home", "mlruns": folder / "mlruns"})


def person_of(settings: Settings, number: int, platform: str = "red") -> str:
    """Return the key of a person as of the fill."""
    store = SqliteHistories(settings.histories_file)
    key = store.resolve([account_key(load_key(settings), platform, f"u{number}")])[0]
    store.close()
    return key


def known_at_fill(settings: Settings) -> tuple[pa.Table, pa.Table]:
    """Return the events and links that the log knew at `AS_OF`."""
    con, log = EventLog.open(settings).connect(), EventLog.open(settings)
    events = log.events(con).filter(f"event_time < {AS_OF} and arrived_at <= {AS_OF}").to_arrow_table()
    links = log.table(con, "identities").filter(f"arrived_at <= {AS_OF}").to_arrow_table()
    con.close()
    return events, links


def batch_rows(
    settings: Settings,
    time: int,
    features: ImpressionFeatures = FEATURES,
    scored: Callable[[pa.Table, pa.Table, Impressions], TagScores] | None = None,
) -> dict[tuple[str, str], np.ndarray]:
    """Rows of everybody seeing every note at a time, by the code of training, of what the log knew at `AS_OF`."""
    happened, links = known_at_fill(settings)
    key = load_key(settings)
    blank = dict.fromkeys(happened.schema.names)
    seen = [
        blank
        | {name: note[name] for name in ("note", "creator", "topic", "category", "brand", "campaign")}
        | {
            "event_id": f"{person} {note['note']}", "source": "test", "kind": "impression", "platform": "red",
            "event_time": time, "arrived_at": time, "day": time // DAY, "position": 2,
            "account": account_key(key, "red", f"u{person}"),
        }
        for person in range(PEOPLE)
        for note in note_rows()
    ]  # fmt: skip
    events = pa.concat_tables([happened, pa.Table.from_pylist(seen, schema=happened.schema)])
    con, log = EventLog.open(settings).connect(), EventLog.open(settings)
    notes, items, linked = (log.table(con, name).to_arrow_table() for name in ("notes", "items", "note_items"))
    con.close()
    read = {"start": time, "end": time + 1, "known_at": time, "timezone": "UTC", "items": items}
    impressions = read_impressions(events, links, notes, **read)
    names = zip(*(impressions.table[name].to_pylist() for name in ("person", "note")), strict=True)
    made = list(names)
    scores = None if scored is None else scored(events, links, impressions)
    return {
        made[number]: row
        for numbers, rows in rows_by_person(features, events, links, impressions, note_items=linked, scores=scores)
        for number, row in zip(numbers, rows, strict=True)
    }


class FirstColumns:
    """A model whose probabilities follow from two columns."""

    features = FEATURES.columns
    targets = ("click", "purchase", "ctcvr")
    window_days = {"click": 1.0, "purchase": 15.0, "ctcvr": 15.0}  # noqa: RUF012

    def predict(self, rows: np.ndarray, /) -> np.ndarray:
        seen = rows[:, self.features.index("person_impression_count_30d")].astype(np.float64)
        price = np.nan_to_num(rows[:, self.features.index("price")].astype(np.float64))
        click = 1 / (2 + seen)
        return np.stack([click, click / 4, np.minimum(click / 4, 1 / (8 + price))], axis=1)


class FakeConversions:
    version = "conversion-fake"
    as_of = AS_OF - DAY
    model = FirstColumns()
    about = {"features": FEATURES.to_json()}  # noqa: RUF012
    tags: ScoredTags | None = None
    tags_bundle = ""
