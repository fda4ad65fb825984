from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.paths.conversions import Conversions, read_conversions
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
    link,
    links_of,
    owner,
    random_log,
)


def read(rows: list[Row], links: list[Row] | None = None, **more: Any) -> Conversions:
    asked = {"start": START, "end": END, "known_at": KNOWN, "notes": NOTES, "items": ITEMS} | more
    return read_conversions(events_of(rows), links_of(links or []), **asked)


def bought(at: int, amount: int | None = 100, brand: str | None = "X", **more: Any) -> Row:
    return event("purchase", at, amount=amount, brand=brand, **more)


def values(found: Conversions) -> list[int]:
    return list(found.table["value"].to_pylist())


def test_lines_of_an_order_are_one_conversion_per_brand() -> None:
    lines = [bought(START + 5, 100, "X", order="o"), bought(START + 4, 30, "X", order="o", item="i1")]
    found = read([*lines, bought(START + 5, 7, "Y", order="o"), bought(START + 9, 1), bought(START + 9, 2)])
    rows = found.table.to_pylist()
    assert [(r["time"] - START, r["brand"], r["lines"], r["paid"]) for r in rows] == [
        (4, "X", 2, 130), (5, "Y", 1, 7), (9, "X", 1, 1), (9, "X", 1, 2),
    ]  # fmt: skip
    assert rows[0]["items"] == ["i1"]


def test_the_same_order_number_elsewhere_is_another_order() -> None:
    rows = [bought(START, order="o"), bought(START, order="o", account="b"), bought(START, order="o", platform="q")]
    assert len(read(rows)) == 3


def test_per_item() -> None:
    lines = [bought(START, 100, order="o", item=item) for item in ("i1", "i1", "i2", None)]
    found = read([*lines, event("refund", START + 1, order="o", item="i1", amount=50)], per="item").table
    assert [(r["item"], r["value"]) for r in found.to_pylist()] == [("i1", 150), ("i2", 100), (None, 100)]


def test_the_item_says_the_brand_where_the_line_does_not() -> None:
    found = read([bought(START, brand=None, item="i3"), bought(START, brand=None)], brands=["Y"])
    assert found.table["brand"].to_pylist() == ["Y"]


@pytest.mark.parametrize(
    ("refund", "value"),
    [
        ({"amount": 40}, 80),  # spread over X and Y by what was paid
        ({"amount": 40, "brand": "X"}, 60),
        ({"amount": 40, "brand": "Y"}, 100),
        ({"amount": 40, "item": "i1"}, 60),
        ({"amount": 500, "brand": "X"}, 0),
        ({"amount": None}, 100),
    ],
)
def test_a_refund_lowers_what_it_names(refund: Row, value: int) -> None:
    lines = [bought(START, 100, "X", item="i1", order="o"), bought(START, 100, "Y", item="i3", order="o")]
    found = read([*lines, event("refund", START + 2 * DAY, order="o", **refund)], brands=["X"])
    assert values(found) == [value]


def test_refunds_count_from_when_they_are_known() -> None:
    rows = [bought(START, 100, order="o"), event("refund", START + DAY, order="o", amount=30, late=DAY)]
    assert values(read(rows, known_at=START + 2 * DAY - 1)) == [100]
    assert values(read(rows, known_at=START + 2 * DAY)) == [70]


def test_partial_refunds_add_up_and_more_than_was_paid_clamps_to_nothing() -> None:
    refunds = [event("refund", START + 1 + n, order="o", amount=60) for n in range(2)]
    found = read([bought(START, 100, order="o"), *refunds]).table.to_pylist()[0]
    assert (found["paid"], found["refunded"], found["value"]) == (100, 120, 0)


def test_refunds_that_name_no_known_order_are_reported() -> None:
    refunds = [event("refund", START, order=order, brand="X", amount=9) for order in ("o", None)]
    found = read([bought(START, 100, order="p"), *refunds], brands=["X"])
    assert (values(found), found.unmatched["amount"].to_pylist()) == ([100], [9, 9])


def test_a_refund_without_an_order_is_of_no_line_without_one() -> None:
    found = read([bought(START, 100), event("refund", START, amount=9, brand="X")], brands=["X"])
    assert (values(found), found.unmatched["amount"].to_pylist()) == ([100], [9])


def test_a_refund_of_gifts_is_spread_over_them() -> None:
    gifts = [bought(START, 0, order="o"), bought(START, 0, order="o")]
    found = read([*gifts, event("refund", START, order="o", amount=5)]).table.to_pylist()[0]
    assert (found["refunded"], found["value"]) == (5, 0)


@pytest.mark.parametrize(("before", "new"), [(0, True), (1, False), (30 * DAY, False), (30 * DAY + 1, True)])
def test_new_customers_at_the_second(before: int, new: bool) -> None:
    rows = [bought(START - before, account="b"), bought(START)]
    mine = [link("a", "P"), link("b", "P")]
    found = read(rows, mine, new_days=30).table.to_pylist()
    assert [r["new_customer"] for r in found if r["account"] == "a"] == [new]


def test_a_purchase_of_another_brand_or_person_leaves_the_customer_new() -> None:
    rows = [bought(START - DAY, brand="Y"), bought(START - DAY, account="b"), bought(START)]
    assert read(rows).table["new_customer"].to_pylist() == [True]


@pytest.mark.parametrize(
    ("search", "entry"),
    [
        ({"at": START, "brand": "X"}, "other"),  # not before the order
        ({"at": START - 1, "brand": "X"}, "search_back"),
        ({"at": START - 7 * DAY, "brand": "X"}, "search_back"),
        ({"at": START - 7 * DAY - 1, "brand": "X"}, "other"),
        ({"at": START - 1, "brand": "Y"}, "other"),
        ({"at": START - 1, "topic": "balm"}, "search_back"),  # of a note of the brand
        ({"at": START - 1, "topic": "X"}, "search_back"),
        ({"at": START - 1, "topic": "soap"}, "other"),
        ({"at": START - 1, "brand": "X", "account": "b"}, "other"),
    ],
)
def test_search_back_at_the_second(search: Row, entry: str) -> None:
    assert read([event("search", **search), bought(START)]).table["entry"].to_pylist() == [entry]


def test_a_direct_jump_wins_over_a_search() -> None:
    rows = [event("search", START - 1, brand="X"), bought(START, order="o"), bought(START, order="o", note="n2")]
    found = read(rows).table.to_pylist()
    assert [(r["entry"], r["note"]) for r in found] == [("direct", "n2")]


@pytest.mark.parametrize("consent", [True, False])
def test_accounts_of_somebody_who_refuses_are_not_looked_at_together(consent: bool) -> None:
    before = [event("search", START - 1, "b", brand="X"), bought(START - DAY, account="b")]
    mine = [link("a", "P", consent=consent), link("b", "P")]
    (row,) = read([*before, bought(START)], mine).table.to_pylist()
    assert (row["entry"], row["new_customer"]) == (("search_back", False) if consent else ("other", True))
    (alone,) = read([event("search", START - 1, brand="X"), bought(START)], mine).table.to_pylist()
    assert alone["entry"] == "search_back"


def test_unknown_grain() -> None:
    with pytest.raises(FeatureError, match="unknown grain of conversions: 'shop'; valid: brand, item"):
        read([], per="shop")


def literally(rows: list[Row], links: list[Row], per: str) -> dict[str, tuple[Any, ...]]:
    """Conversions by event id: (person, paid, refunded, entry, new), one line at a time."""
    brands = dict(zip(ITEMS["item"].to_pylist(), ITEMS["brand"].to_pylist(), strict=True))
    known = [r | {"brand": r.get("brand") or brands.get(r.get("item"))} for r in known_rows(rows)]
    lines = [r for r in known if r["kind"] == "purchase"]
    back = dict.fromkeys((r["event_id"] for r in lines), 0)
    for refund in (r for r in known if r["kind"] == "refund" and r["order"]):
        named = [
            line for line in lines
            if (line["account"], line["order"]) == (refund["account"], refund["order"])
            and refund["item"] in {None, line["item"]} and refund["brand"] in {None, line["brand"]}
        ]  # fmt: skip
        paid = [line["amount"] or 0 for line in named]
        weights = paid if sum(paid) else [1] * len(paid)
        given, done, upto = refund["amount"] or 0, 0, 0
        for line, weight in zip(named, weights, strict=True):
            upto += weight
            back[line["event_id"]] += given * upto // sum(weights) - done
            done = given * upto // sum(weights)
    orders: dict[Any, list[Row]] = {}
    for line in lines:
        if line["brand"] == "X":
            key = line["account"], line["order"] or line["event_id"], line["item"] if per == "item" else None
            orders.setdefault(key, []).append(line)
    found = {}
    for parts in orders.values():
        first = min(parts, key=lambda r: (r["event_time"], r["event_id"]))
        at = first["event_time"]
        person = owner(links, first["account"], at)

        def before(row: Row, days: int, at: int = at, person: str = person) -> bool:
            return at - days * DAY <= row["event_time"] < at and owner(links, row["account"], at) == person

        searched = any(
            r["kind"] == "search" and before(r, 7) and (r["brand"] == "X" or r["topic"] == "balm") for r in known
        )
        entry = "direct" if any(r["note"] for r in parts) else "search_back" if searched else "other"
        new = not any(line["brand"] == "X" and before(line, 5) for line in lines)
        if START <= at < END:
            paid, refunded = sum(r["amount"] or 0 for r in parts), sum(back[r["event_id"]] for r in parts)
            found[first["event_id"]] = (person, paid, refunded, max(paid - refunded, 0), entry, new)
    return found


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 120), st.sampled_from(("brand", "item")))
def test_conversions_are_the_literal_reading_whatever_the_order_of_rows(seed: int, size: int, per: str) -> None:
    rows, links = random_log(seed, size)
    shuffled = Random(seed).sample(rows, len(rows))
    found = read(shuffled, links, brands=["X"], per=per, new_days=5).table.to_pylist()
    columns = ("person", "paid", "refunded", "value", "entry", "new_customer")
    assert {r["event_id"]: tuple(r[c] for c in columns) for r in found} == literally(rows, links, per)
