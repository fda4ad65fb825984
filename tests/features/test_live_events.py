"""What is sent as an event, and what is not: every kind of poison row has its reason and leaves others alone."""

from __future__ import annotations

import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.events import EVENTS, KINDS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.inbox import Inbox
from features.inbox.mover import as_table, move
from features.inbox.replay import replay
from features.log.dedupe import content_sql
from features.log.quarantine import counts, load, names
from tests.features.live_shop import NOW, Shop, outcomes, sent, shop
from tests.features.log_cases import imported, mapping, written


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in sent(1).items() if field != name}


POISON: list[tuple[Any, str, str]] = [
    ("text", "row", "no JSON object"),
    (None, "row", "no JSON object"),
    ([sent(1)], "row", "no JSON object"),
    ({}, "event_id", "missing"),
    (without("event_id"), "event_id", "missing"),
    (without("account"), "account", "missing"),
    (sent(1, platform="  "), "platform", "missing"),
    (sent(1, event_id=7), "event_id", "write ids in quotes"),
    (sent(1, event_id="x" * 513), "event_id", "512 characters"),
    (sent(1, account="a\x1fb"), "account", "control character"),
    (sent(1, account={"id": "a"}), "account", "no text"),
    (sent(1, kind="buy"), "kind", "no event kind; valid: impression, click"),
    (sent(1, kind=["purchase"]), "kind", "no event kind"),
    (sent(1, colour="red"), "colour", "unknown field; valid: event_id, kind"),
    (sent(1, day=20_000), "day", "unknown field"),
    (sent(1, source="other"), "source", "unknown field"),
    (sent(1, arrived_at=NOW), "arrived_at", "unknown field"),
    (sent(1, event_time=NOW + 301), "event_time", "at most 5 minutes ahead"),
    (sent(1, event_time=NOW * 1000), "event_time", "no time from 1990"),
    (sent(1, event_time=631_151_999), "event_time", "no time from 1990"),
    (sent(1, event_time="2025-06-15T15:05:40"), "event_time", "with its offset"),
    (sent(1, event_time="soon"), "event_time", "no time"),
    (sent(1, event_time=True), "event_time", "no time"),
    (sent(1, event_time=1e300), "event_time", "no time"),
    (sent(1, amount=12.99), "amount", 'such as "12.99"'),
    (sent(1, amount="12.999"), "amount", "at most 2 decimals"),
    (sent(1, amount="1,299.00"), "amount", "no amount of CNY"),
    (sent(1, amount=-1), "amount", "no amount of CNY"),
    (sent(1, discount=10**18), "discount", "no amount of CNY"),
    (sent(1, currency="USD"), "currency", "valid: CNY"),
    (sent(1, quantity=1.5), "quantity", "no whole number of 0 or more"),
    (sent(1, dwell_ms=-5), "dwell_ms", "no whole number"),
    (sent(1, read_percent=100.5), "read_percent", "no number from 0 to 100"),
    (sent(1, propensity="0.5"), "propensity", "no number from 0 to 1"),
    (sent(1, own_label="true"), "own_label", "neither true nor false"),
]


@pytest.fixture
def till(tmp_path: Path) -> Shop:
    return shop(tmp_path)


@pytest.mark.parametrize(("item", "field", "problem"), POISON, ids=lambda value: str(value)[:40])
def test_each_poison_row_is_told_what_is_wrong(till: Shop, item: Any, field: str, problem: str) -> None:
    batch = till.reader.read([sent(2), item, sent(3)], "till")
    assert batch.places == [0, 2]
    verdict = batch.verdicts[1]
    assert verdict is not None
    assert verdict.outcome == "quarantined"
    assert [problem in reason.problem for reason in verdict.reasons if reason.column == field] == [True]


def test_every_fault_of_a_row_is_named(till: Shop) -> None:
    verdict = till.reader.read([sent(1, kind="buy", amount=-1, note=5)], "till").verdicts[0]
    assert verdict is not None
    assert [reason.column for reason in verdict.reasons] == ["kind", "note", "amount"]


def test_poison_rows_among_good_ones_are_accounted_for_exactly(till: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [row for number, (poison, _, _) in enumerate(POISON) for row in (poison, sent(100 + number))]
    with Inbox(till.log) as inbox:
        assert outcomes(till.send(inbox, items)) == ["quarantined", "accepted"] * len(POISON)
        assert outcomes(till.send(inbox, items)) == ["quarantined", "duplicate"] * len(POISON)
        done = move(inbox, till.log)
        assert (done.events, done.quarantined) == (len(POISON), len(POISON))
        assert move(inbox, till.log).quarantined == 0
    assert sum(till.logged().values()) == len(POISON)
    kept = [
        json.loads(row.raw) for name in names(till.settings) for f in load(till.settings, name) for row in f.rows
    ]
    assert sorted(map(repr, kept)) == sorted(repr(poison) for poison, _, _ in POISON)
    assert sum(counts(till.settings).values()) == len(POISON)
    ticks = itertools.count(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    again = replay(till.log, done.quarantine)
    # The row of tomorrow is good by now, whatever the clock does meanwhile; the others have the faults they had.
    assert (again.read, again.accepted, again.duplicates, again.quarantined) == (len(POISON), 1, 0, len(POISON) - 1)
    assert sum(counts(till.settings).values()) == len(POISON) - 1


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("event_time", "2025-06-15T23:06:39.9+08:00", NOW - 1),
        ("event_time", NOW - 0.5, NOW - 1),
        ("event_time", NOW + 300, NOW + 300),
        ("amount", "0.5", 50),
        ("amount", "12", 1200),
        ("amount", 9_000_000_000_000_000, 9_000_000_000_000_000),
        ("read_percent", 100, 100.0),
        ("propensity", 0, 0.0),
        ("note", "", None),
        ("note", " n 1 ", "n 1"),
        ("topic", "种草　美妆", "种草　美妆"),
        ("quantity", None, None),
    ],
)
def test_values_that_are_taken(till: Shop, field: str, value: Any, stored: Any) -> None:
    batch = till.reader.read([sent(1, **{field: value})], "till")
    assert batch.verdicts == [None]
    assert (batch.columns[field][0], type(batch.columns[field][0])) == (stored, type(stored))


def test_money_in_a_currency_without_decimals(tmp_path: Path) -> None:
    till = shop(tmp_path, currency="JPY")
    batch = till.reader.read([sent(1, amount="500"), sent(2, amount="5.5")], "till")
    assert (list(batch.columns["amount"]), batch.places) == ([500], [0])


def test_zero_is_one_number_whatever_its_sign(till: Shop) -> None:
    read = till.reader.read([sent(1, propensity=-0.0)], "till").columns["propensity"][0]
    assert math.copysign(1, read) == 1


def test_accounts_become_the_pseudonyms_that_imports_make(till: Shop, tmp_path: Path) -> None:
    batch = till.reader.read([sent(1, account="ann"), sent(2, account="ann", platform="jd")], "till")
    imported(till.settings, written(tmp_path, "kind,t,user,item,amount\nclick,1700000000,ann,,\n"), mapping())
    con = till.log.connect()
    stored = till.log.events(con).project("account").fetchall()
    assert [(batch.columns["account"][0],)] == stored
    assert batch.columns["account"][0] != batch.columns["account"][1]


def test_the_catalogue_fills_what_an_event_leaves_open(till: Shop, tmp_path: Path) -> None:
    items = "item,name,brand,category\ntea,Tea,oat,drinks\n"
    columns = {name: name for name in ("item", "name", "brand", "category")}
    given_items = mapping(table="items", columns=columns, platform=None)
    imported(till.settings, written(tmp_path, items), given_items)
    batch = till.reader.read([sent(1), sent(2, brand="rye"), sent(3, item="new"), sent(4, item=None)], "till")
    assert list(batch.columns["brand"]) == ["oat", "rye", None, None]
    assert list(batch.columns["category"]) == ["drinks", "drinks", None, None]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=5).filter(
    lambda text: text == text.strip(" \t\r") != ""
)
EVENT = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "event_time": st.integers(NOW - 10**8, NOW),
        "platform": TEXTS,
        "account": TEXTS,
    },
    optional={
        "note": TEXTS, "creator": TEXTS, "topic": TEXTS, "item": TEXTS, "brand": TEXTS, "category": TEXTS,
        "amount": st.integers(0, 10**12), "currency": st.just("CNY"), "quantity": st.integers(0, 9),
        "own_label": st.booleans(), "read_percent": st.floats(0, 100), "propensity": st.floats(0, 1),
        "policy": TEXTS,
    },
)  # fmt: skip


def test_content_of_live_events_is_that_of_the_log(till: Shop) -> None:
    con = till.log.connect()
    sql = content_sql(EVENTS, [column.name for column in EVENTS.columns])

    @settings(max_examples=30, deadline=None)
    @given(st.lists(EVENT, min_size=1, max_size=20))
    def check(events: list[dict[str, Any]]) -> None:
        batch = till.reader.read([event | {"event_id": str(n)} for n, event in enumerate(events)], "till")
        nothing = [None] * len(events)
        rows = zip(*(batch.columns.get(name, nothing) for name in ("seq", *ROW_COLUMNS)), strict=True)
        con.register("stored", as_table(list(rows), till.log.timezone))
        digests = con.execute(f"SELECT unhex({sql}) FROM stored").fetchall()  # noqa: S608
        assert [digest for (digest,) in digests] == batch.contents

    check()
