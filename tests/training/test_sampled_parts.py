"""A sample is the same in however many parts it is read, and goes on where it was cut off."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from features.events import EVENTS, ITEMS, NOTE_ITEMS, NOTES
from features.impressions.features import ImpressionFeatures
from features.impressions.responses import DEFAULT_WINDOWS
from tests.features.logs import DAY, START
from tests.features.test_impressions import ITEM_ROWS, NOTE_ROWS, canonical
from tests.features.test_population import link, links_of
from tests.features.test_responses import NOTE_ITEM_ROWS, log_of
from training.conversion import part_reader
from training.conversion.source import ConversionSource, Outcomes, Sample
from training.source import LogSource
from training.steps import Steps

FEATURES = ImpressionFeatures(platforms=("xhs",)).choose(
    ["hour", "price", "person_click_count_7d", "person_note_impression_count_30d", "note_click_per_impression_30d",
     "person_items_purchase_count_30d", "linked_items", "person_brand_link_click_count_30d"]
)  # fmt: skip
END = START + 4 * DAY
LATER = {"note": "n", "arrived_at": START + DAY, "media": "image", "item": "j"}
ITEM_LATER = {"item": "i", "arrived_at": START + DAY // 2, "price": 999}


def source_of(
    seed: int,
    match: Any,
    said: io.StringIO | None = None,
    links: Any = (),
    households: int = 10,
    *,
    threads: int = 1,
) -> ConversionSource:
    con = duckdb.connect(config={"threads": 1})
    moved = [link(str(n), a, p, START + day * DAY) for n, (a, p, day) in enumerate(links)]
    # Later versions of the note and of the item: each impression has its own.
    notes = pa.concat_tables([NOTE_ROWS, canonical(NOTES, [LATER])])
    tables = {
        "events": canonical(EVENTS, log_of(seed, households)), "identities": links_of(moved), "notes": notes,
        "items": pa.concat_tables([ITEM_ROWS, canonical(ITEMS, [ITEM_LATER])]),
        "note_items": canonical(NOTE_ITEMS, [row | {"arrived_at": START} for row in NOTE_ITEM_ROWS.to_pylist()]),
    }  # fmt: skip
    rows = {name: con.from_arrow(table) for name, table in tables.items()}
    log = LogSource(con, rows["events"], rows["identities"], "UTC", f"v{seed}", END)
    catalogue = {name: rows[name] for name in ("notes", "items", "note_items")}
    windows = DEFAULT_WINDOWS | {"purchase": 2 * DAY, "cart": 2 * DAY}
    steps = Steps(Console(file=said or io.StringIO(), width=200))
    return ConversionSource(log, catalogue, Outcomes(windows, match), steps, threads=threads)


def sampled(source: ConversionSource, at_once: int, folder: Path | None = None) -> Sample:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_reader, "_EVENTS_AT_ONCE", at_once)
        return source.train_sample(
            START + DAY // 2, END, most=10_000, seed=1, features=FEATURES, known_at=START + 40 * DAY, folder=folder
        )


def same(one: Sample, other: Sample) -> None:
    assert one.impressions.table.equals(other.impressions.table)
    for name in ("rows", "known_at", "weight", "time", "person"):
        np.testing.assert_array_equal(getattr(one.examples, name), getattr(other.examples, name))


@settings(max_examples=3, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    match=st.sampled_from(("note", "brand", "items")),
    links=st.lists(
        st.tuples(st.sampled_from(("a0", "b0", "a1", "b1", "b2")), st.sampled_from("PQ"), st.integers(0, 4)),
        max_size=5,
    ),
    at_once=st.sampled_from((30, 60)),
)
def test_a_sample_is_the_same_in_any_number_of_parts(seed: int, match: Any, links: Any, at_once: int) -> None:
    source = source_of(seed, match, links=links, households=5)
    same(sampled(source, 10**6), sampled(source, at_once))


@pytest.mark.parametrize("match", ["note", "items"])
def test_a_sample_is_the_same_where_several_parts_are_read_at_once(match: Any) -> None:
    same(sampled(source_of(3, match), 30), sampled(source_of(3, match, threads=3), 30))


def test_of_a_larger_log_some_people_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampled(source_of(3, "note"), 10**6)
    monkeypatch.setattr(part_reader, "MOST_PARTS", 2)
    said = io.StringIO()
    some = sampled(source_of(3, "note", said), 40)
    people = set(some.impressions.table["person"].to_pylist())
    everybody = whole.impressions.table["person"].to_pylist()
    kept = np.array([person in people for person in everybody])
    assert 0 < kept.sum() < len(kept)
    # What is known of notes is known of everybody, so the rows are those of the whole log.
    assert some.impressions.table.equals(whole.impressions.table.filter(pa.array(kept)))
    for name in ("rows", "known_at", "weight"):
        np.testing.assert_array_equal(getattr(some.examples, name), getattr(whole.examples, name)[kept])
    assert "learned from: of 0." in said.getvalue()


def test_a_run_that_was_cut_off_goes_on_behind_the_last_finished_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = sampled(source_of(3, "note"), 10**6), tmp_path / "sample"
    read, calls = part_reader.PartReader._read, []

    def cut_off(self: Any, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, *given)

    monkeypatch.setattr(part_reader.PartReader, "_read", cut_off)
    with pytest.raises(KeyboardInterrupt):
        sampled(source_of(3, "note"), 40, folder)
    said = io.StringIO()
    same(whole, sampled(source_of(3, "note", said), 40, folder))
    parts = len(list(folder.glob("part-*")))
    assert parts >= 3
    assert f"2 of {parts} parts of the rows: reused" in said.getvalue()
    assert len(calls) == 3 + parts - 2
    assert not (folder / "events").exists()
    # Another log's parts are not taken for this one's.
    other = sampled(source_of(4, "note"), 40, folder)
    same(other, sampled(source_of(4, "note"), 10**6))
