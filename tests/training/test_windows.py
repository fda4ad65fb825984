"""Windows end to end: whatever arrives later, what an earlier instant knew stays the same to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import features.rows.build
import training.tags.windows
from features.rows.catalog import layout_for
from features.taxonomy.taxonomy import taxonomy_of
from tests.features.logs import DAY, START, Event, event, logs, table_of
from tests.features.test_population import Link, identities, link, links_of
from training.source import LogSource
from training.tags.pairs import Window
from training.tags.windows import WindowBuilder

INSTANT = START + 30 * DAY
KNOWN_AT = INSTANT + 9 * DAY
WORDS = {"name": "{vertical}", "name_zh": "{vertical}", "meaning": "x"}
TAXONOMY = taxonomy_of(
    {
        "name": "test",
        "vertical": [
            {"id": "drinks", "name": "d", "name_zh": "d", "categories": ["milk", "tea"]},
            {"id": "home", "name": "h", "name_zh": "h", "categories": ["soap"]},
        ],
        "pattern": [
            {"id": "buys", "rule": "count(purchase) >= 1", "horizon_days": 7, **WORDS},
            {
                "id": "heavy", "horizon_days": 4,
                "rule": "sum(purchase, amount) >= quantile(sum(purchase, amount, past=all), 0.5)", **WORDS,
            },
            {"id": "back", "rule": "count(purchase) >= 1 and count(purchase, past=7) == 0",
             "horizon_days": 7, **WORDS},
        ],
        "tag": [{"id": "any", "name": "a", "name_zh": "a", "meaning": "x", "rule": "count(commerce) >= 2",
                 "horizon_days": 2}],
    }
)  # fmt: skip
LAYOUT = layout_for(TAXONOMY, ("purchase", "click", "cart"))


def built(log: list[Event], links: list[Link], labels_known_at: int | None, course: tuple[int, ...] = ()) -> Window:
    con = duckdb.connect()
    source = LogSource(con, con.from_arrow(table_of(log)), con.from_arrow(links_of(links)), "UTC", "v0", KNOWN_AT)
    with tempfile.TemporaryDirectory() as cache:
        window = WindowBuilder(source, TAXONOMY, LAYOUT, Path(cache), course=course).build(INSTANT, labels_known_at)
        return Window(INSTANT, window.persons, np.array(window.rows), window.labels, window.fitted)


def same(left: Window, right: Window) -> None:
    assert left.persons == right.persons
    assert left.rows.tobytes() == right.rows.tobytes()
    np.testing.assert_array_equal(left.fitted.statics, right.fitted.statics)
    for name, array in left.fitted.affinities.to_arrays().items():
        np.testing.assert_array_equal(array, right.fitted.affinities.to_arrays()[name])
    assert left.fitted.outlook.own.tobytes() == right.fitted.outlook.own.tobytes()
    assert (left.labels is None) == (right.labels is None)
    if left.labels is not None:
        np.testing.assert_array_equal(left.labels, right.labels)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), links=identities(), more=logs(largest=12), later_links=identities())
def test_what_comes_later_changes_no_row_threshold_history_or_fitted_transform(
    log: list[Event], links: list[Link], more: list[Event], later_links: list[Link]
) -> None:
    happened = [e for e in more if e["event_time"] >= INSTANT]
    arrived = [e | {"arrived_at": max(e["arrived_at"], INSTANT + 1)} for e in more]
    linked = [one | {"row_id": f"later {one['row_id']}", "arrived_at": INSTANT + 1} for one in later_links]
    over = (INSTANT - 7 * DAY,)
    same(built(log, links, None, over), built([*log, *happened, *arrived], [*links, *linked], None, over))


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), more=logs(largest=12))
def test_what_arrives_after_the_labels_were_read_changes_no_label(log: list[Event], more: list[Event]) -> None:
    arrived = [e | {"arrived_at": max(e["arrived_at"], KNOWN_AT + 1)} for e in more]
    same(built(log, [], KNOWN_AT), built([*log, *arrived], [], KNOWN_AT))


def test_an_outlook_is_fitted_on_the_windows_that_were_over() -> None:
    log = [event("a", "purchase", START, category="milk"), event("a", "purchase", INSTANT - 1, category="milk")]
    over, not_yet = INSTANT - 7 * DAY, INSTANT - 6 * DAY
    both, one, none = (
        built(log, [], None, course).fitted.outlook for course in ((over, not_yet), (over,), (not_yet,))
    )
    assert np.abs(one.own).max() > 0
    np.testing.assert_array_equal(both.own, one.own)
    assert np.isnan(none.own).all()


def test_labels_use_what_arrived_after_the_instant_and_features_do_not() -> None:
    bought: dict[str, Any] = {"category": "milk", "amount": 5, "quantity": 1}
    log = [
        event("a", "purchase", INSTANT - 20 * DAY, **bought),
        event("a", "purchase", INSTANT - DAY, late=3 * DAY, **bought),
        event("a", "purchase", INSTANT + DAY, **bought),
    ]
    window = built(log, [], KNOWN_AT)
    tags = [tag.id for tag in TAXONOMY.tags]
    count = LAYOUT.columns.index("purchase_count_all")
    assert window.rows[0, count] == 1
    assert window.outcomes[0, tags.index("drinks.buys")] == 1
    assert window.outcomes[0, tags.index("home.buys")] == 0
    # What happened before the instant and was told after everything in the window counts for who came back.
    assert window.outcomes[0, tags.index("drinks.back")] == 0
    assert built(log, [link("1", "a", "P", INSTANT)], KNOWN_AT).persons == ["P"]


def test_a_window_is_built_once_and_leftovers_of_a_crash_do_not_count(tmp_path: Path) -> None:
    con = duckdb.connect()
    events = con.from_arrow(table_of([event("a", "purchase", START, category="milk")]))
    source = LogSource(con, events, con.from_arrow(links_of([])), "UTC", "v0", START)
    builder = WindowBuilder(source, TAXONOMY, LAYOUT, tmp_path)
    assert not builder.is_built(INSTANT)
    builder.build(INSTANT)
    (folder,) = [path for path in (tmp_path / "v0").iterdir() if path.is_dir()]
    assert builder.is_built(INSTANT)
    half = folder.rename(folder.with_suffix(".part"))
    (half / "rows.npy").write_bytes(b"")
    assert not builder.is_built(INSTANT)
    assert builder.build(INSTANT).persons == ["a"]
    assert not half.exists()
    written = (folder / "rows.npy").stat().st_mtime_ns
    builder.build(INSTANT)
    assert (folder / "rows.npy").stat().st_mtime_ns == written
    assert not builder.is_built(INSTANT, KNOWN_AT)
    assert builder.build(INSTANT, KNOWN_AT).outcomes.shape == (1, len(TAXONOMY.tags))
    assert builder.is_built(INSTANT, KNOWN_AT)
    assert (folder / "rows.npy").stat().st_mtime_ns == written, "labels do not compute the rows again"


def test_people_a_few_at_a_time_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = [
        event(account, "purchase", INSTANT - days * DAY, category=category, amount=days * 10 + number, quantity=1)
        for number, account in enumerate("edcba")
        for days, category in ((3, "milk"), (9 + number, "soap"), (20, "tea"))
        if number != 2 or category != "tea"
    ]
    links = [link("1", "a", "P", START), link("2", "c", "P", START)]
    whole = built(log, links, None)
    assert len(whole.persons) == 4
    monkeypatch.setattr(features.rows.build, "CELLS", 1)
    monkeypatch.setattr(training.tags.windows, "HISTORY_CELLS", 3 * len(LAYOUT.tags) * len(LAYOUT.tag_names))
    same(built(log, links, None), whole)


def test_the_file_of_rows_is_the_one_that_numpy_writes(tmp_path: Path) -> None:
    con = duckdb.connect()
    events = con.from_arrow(table_of([event(a, "purchase", START, category="milk") for a in "abc"]))
    source = LogSource(con, events, con.from_arrow(links_of([])), "UTC", "v0", START)
    window = WindowBuilder(source, TAXONOMY, LAYOUT, tmp_path).build(INSTANT)
    [file] = tmp_path.rglob("rows.npy")
    np.save(tmp_path / "again.npy", np.array(window.rows))
    assert (tmp_path / "again.npy").read_bytes() == file.read_bytes()


def test_windows_of_older_data_are_forgotten(tmp_path: Path) -> None:
    con = duckdb.connect()
    events = con.from_arrow(table_of([event("a", "purchase", START, category="milk")]))
    builders = [
        WindowBuilder(
            LogSource(con, events, con.from_arrow(links_of([])), "UTC", version, START), TAXONOMY, LAYOUT, tmp_path
        )
        for version in ("v0", "v1")
    ]
    for builder in builders:
        builder.build(INSTANT)
    (tmp_path / ".gone-v0" / "cut off").mkdir(parents=True)
    builders[1].forget_older()
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]
    assert [builder.is_built(INSTANT) for builder in builders] == [False, True]
