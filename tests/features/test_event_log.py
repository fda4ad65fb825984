from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.errors import EventLogError
from features.events import EVENTS
from features.log.event_log import EventLog
from features.log.importing import import_lock
from features.people.identity import account_key, load_key
from tests.features.log_cases import NOW, imported, mapping, rows, settings_in, written

HEADER = "kind,t,user,item,amount\n"
TWO = HEADER + "purchase,1700000000,ann,i1,12.99\ncart,1700000060,bob,i2,\n"


def test_no_log_yet(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match=r"there is no event log in .*run zhongcao import complete-journey"):
        EventLog.open(settings_in(tmp_path))


def test_rows_become_canonical(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    summary = imported(settings, written(tmp_path, TWO), mapping(arrival_delay=5))
    assert (summary.read, summary.accepted, summary.version) == (2, 2, 0)
    key = load_key(settings)
    columns = "kind, event_time, arrived_at, day, account, item, amount, currency, source"
    ann, bob = (account_key(key, "shop", name) for name in ("ann", "bob"))
    assert rows(settings, columns) == [
        ("cart", 1700000060, 1700000065, 19675, bob, "i2", None, None, "shop"),
        ("purchase", 1700000000, 1700000005, 19675, ann, "i1", 1299, "CNY", "shop"),
    ]


def test_columns_and_types_are_canonical_with_and_without_rows(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    log = EventLog.open(settings, create=True)
    con = log.connect()
    bare = log.events(con)
    imported(settings, written(tmp_path, TWO), mapping())
    full = log.events(con)
    assert full.columns == bare.columns == [column.name for column in EVENTS.columns]
    assert full.types == bare.types
    assert log.version == 0
    assert log.events(con, -1).fetchall() == []
    with pytest.raises(EventLogError, match="no version: 1; valid: -1 to 0"):
        log.events(con, 1)


def test_days_are_those_of_the_logs_zone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, timezone="Asia/Shanghai")
    imported(settings, written(tmp_path, HEADER + "click,1699977600,ann,,\nclick,1699977599,ann,,\n"), mapping())
    assert rows(settings, "event_time, day") == [(1699977599, 19675), (1699977600, 19676)]


def test_timezone_and_currency_are_fixed_by_the_first_import(tmp_path: Path) -> None:
    imported(settings_in(tmp_path, timezone="Asia/Shanghai"), written(tmp_path, TWO), mapping(currency="USD"))
    opened = EventLog.open(settings_in(tmp_path))
    assert (opened.timezone, opened.currency) == ("Asia/Shanghai", "USD")
    with pytest.raises(EventLogError, match=r"timezone of a log is fixed .*'UTC'; valid: Asia/Shanghai"):
        EventLog.open(settings_in(tmp_path, timezone="UTC"))
    with pytest.raises(EventLogError, match=r"currency of a log is fixed .*'EUR'; valid: USD"):
        imported(settings_in(tmp_path), written(tmp_path, TWO), mapping(currency="EUR"))


def test_versions_stay_readable_and_history_says_what_happened(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    imported(settings, written(tmp_path, TWO), mapping())
    imported(settings, written(tmp_path, HEADER + "like,1700000100,ann,,\n", "more.csv"), mapping())
    log = EventLog.open(settings)
    con = log.connect()
    assert [log.events(con, version).aggregate("count(*)").fetchall()[0][0] for version in (0, 1, None)] == [
        2,
        3,
        3,
    ]
    assert log.span(con) == (1700000000, 1700000100)
    history = log.history()
    assert [(e["table"], e["version"], e["source"], e["accepted"], e["files"]) for e in history] == [
        ("events", 0, "shop", 2, ["data.csv"]),
        ("events", 1, "shop", 1, ["more.csv"]),
    ]
    assert {"mapping", "duplicates", "quarantined", "seconds"} <= history[0].keys()


def test_span_of_an_empty_log(tmp_path: Path) -> None:
    log = EventLog.open(settings_in(tmp_path), create=True)
    with pytest.raises(EventLogError, match="the log holds no events"):
        log.span(log.connect())


def test_later_imports_arrive_when_they_are_accepted_unless_a_backfill_is_declared(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    imported(settings, written(tmp_path, TWO), mapping())
    imported(settings, written(tmp_path, HEADER + "like,1700000100,ann,,\n"), mapping())
    imported(settings, written(tmp_path, HEADER + "hide,1700000200,ann,,\n"), mapping(), backfill=True)
    imported(settings, written(tmp_path, HEADER + "save,1700000300,ann,,\n"), mapping(source="other"))
    arrived = dict(rows(settings, "kind, arrived_at - event_time"))
    assert arrived == {"purchase": 0, "cart": 0, "like": NOW - 1700000100, "hide": 0, "save": 0}
    assert [entry["backfill"] for entry in EventLog.open(settings).history()] == [False, False, True, False]


def test_a_second_import_is_refused_while_one_runs(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with import_lock(settings), pytest.raises(EventLogError, match="another import is writing"):  # noqa: SIM117
        with import_lock(settings):
            pass


def test_events_take_what_the_catalogue_knows(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    items = mapping(
        table="items", platform=None,
        columns={"item": "item", "brand": "brand", "category": "category", "own_label": "own"},
    )  # fmt: skip
    imported(settings, written(tmp_path, "item,brand,category,own\ni1,acme,tea,1\n", "items.csv"), items)
    notes = mapping(
        table="notes",
        platform=None,
        columns={"note": "note", "creator": "by", "category": "category", "topic": "topic"},
    )
    imported(settings, written(tmp_path, "note,by,category,topic\nn1,kim,skin,sun\n", "notes.csv"), notes)
    events = mapping(
        columns={
            "kind": "kind",
            "event_time": "t",
            "account": "user",
            "item": "item",
            "note": "note",
            "brand": "brand",
        }
    )
    text = (
        "kind,t,user,item,note,brand\npurchase,1700000000,ann,i1,,own\n"
        "click,1700000001,ann,,n1,\ncart,1700000002,ann,i9,n9,\n"
    )
    summary = imported(settings, written(tmp_path, text), events)
    assert rows(settings, "kind, brand, category, own_label, creator, topic") == [
        ("cart", None, None, None, None, None),
        ("click", None, "skin", None, "kim", "sun"),
        ("purchase", "own", "tea", True, None, None),
    ]
    assert (summary.unknown_items, summary.unknown_notes) == (1, 1)


def test_readers_see_the_latest_row_of_an_item(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    items = mapping(table="items", platform=None, columns={"item": "item", "price": "price"})
    first = written(tmp_path, "item,price\ni1,10\ni2,20\n", "a.csv")
    imported(settings, first, items)
    summary = imported(settings, written(tmp_path, "item,price\ni1,11\ni2,20\n", "b.csv"), items, now=NOW + 1)
    assert (summary.accepted, summary.duplicates) == (1, 1)
    assert rows(settings, "item, price", "items") == [("i1", 1100), ("i2", 2000)]
    back = imported(settings, first, items, now=NOW + 2)
    assert (back.accepted, back.duplicates) == (1, 1)
    assert rows(settings, "item, price", "items") == [("i1", 1000), ("i2", 2000)]


def test_of_a_catalogue_the_latest_version_that_was_known_is_read(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    items = mapping(
        table="items", platform=None, money="minor", columns={"item": "i", "price": "p", "arrived_at": "t"}
    )
    for at, price in ((1_700_000_000, 100), (1_700_000_900, 200)):
        imported(settings, written(tmp_path, f"i,p,t\ntea,{price},{at}\n", f"{at}.csv"), items)
    log = EventLog.open(settings)
    con = log.connect()
    found = [
        log.table(con, "items", known_at=at).project("price").fetchall()
        for at in (1_699_999_999, 1_700_000_000, 1_700_000_899, 1_700_000_900, None)
    ]
    assert found == [[], [(100,)], [(100,)], [(200,)], [(200,)]]
    con.close()


def test_parts_of_a_write_that_was_cut_off_are_removed_and_half_a_note_of_them_stops_nobody(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    imported(settings, written(tmp_path, TWO), mapping())
    target = EventLog.open(settings).log_table(EVENTS.name)
    (committed,) = target.rows()
    target.announce([committed, "part-orphan.parquet"])
    (target.folder / "part-orphan.parquet").write_bytes(b"half a part")
    assert target.recover() == 1
    assert target.recover() == 0
    assert [path.name for path in target.folder.glob("*.parquet")] == [committed]
    (target.folder / "_pending.json").write_text("")  # as a full disk left it
    assert target.recover() == 0
    assert not (target.folder / "_pending.json").exists()


def test_a_full_disk_leaves_the_note_of_parts_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    target = EventLog.open(settings, create=True).log_table(EVENTS.name)
    target.announce(["a"])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("features.durable.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            target.announce(["b"])
    assert json.loads((target.folder / "_pending.json").read_text()) == ["a"]
