from __future__ import annotations

from collections.abc import Callable

import pytest

from features.definitions import Aggregate, Window, kinds_name, outcome, past
from features.errors import EventLogError, FeatureError
from features.events import COMMERCE_KINDS, EVENTS, INTEREST_KINDS, KINDS, TABLES, table

BUY = ("purchase",)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Aggregate(("buy",)), r"unknown event kind: 'buy'; valid: impression"),
        (lambda: Aggregate(()), r"unknown event kind: \(\)"),
        (lambda: Aggregate(BUY, "mean"), r"unknown measure: 'mean'; valid: count, days, sum"),  # type: ignore[arg-type]
        (lambda: Aggregate(BUY, condition="cheap"), r"unknown condition: 'cheap'; valid: discounted"),
        (lambda: Aggregate(BUY, "count", of="amount"), r"count and column do not go together: 'amount'"),
        (lambda: Aggregate(BUY, "sum"), r"sum and column do not go together: None"),
        (lambda: Aggregate(BUY, "sum", of="brand"), r"only integer columns can be summed: 'brand'; valid: amount"),
        (lambda: Aggregate(BUY, "sum", of="price"), r"table events has no column: 'price'; valid: event_id"),
        (lambda: Aggregate(BUY, half_life=3), r"count and half_life do not go together: 3"),
        (lambda: Aggregate(BUY, "decayed"), r"decayed and half_life do not go together: None"),
        (lambda: Window("future", 3), r"unknown side of a window: 'future'; valid: past, outcome"),  # type: ignore[arg-type]
        (lambda: Window("outcome"), r"an outcome window needs a length in days: None"),
        (lambda: past(0), r"whole number of days from 1: 0"),
        (lambda: table("event"), r"unknown table: 'event'; valid: events, notes"),
    ],
)
def test_what_cannot_be_declared_is_refused_by_name(declare: Callable[[], object], message: str) -> None:
    with pytest.raises((FeatureError, EventLogError), match=message):
        declare()


def test_names_derive_from_declarations_and_tell_them_apart() -> None:
    declared = [
        Aggregate(BUY),
        Aggregate(BUY, window=past(30)),
        Aggregate(BUY, window=outcome(30)),
        Aggregate(BUY, "days"),
        Aggregate(BUY, "sum", of="amount"),
        Aggregate(BUY, "sum", of="amount", condition="coupon"),
        Aggregate(BUY, "decayed", half_life=7),
        Aggregate(BUY, "decayed", half_life=30),
        Aggregate(INTEREST_KINDS),
        Aggregate(COMMERCE_KINDS),
    ]
    assert len({aggregate.name for aggregate in declared}) == len(declared)
    assert [kinds_name(k) for k in (INTEREST_KINDS, COMMERCE_KINDS, KINDS)] == ["interest", "commerce", "event"]


def test_every_table_has_its_key_and_where_it_came_from() -> None:
    for canonical in TABLES.values():
        names = canonical.schema.names
        assert len(set(names)) == len(names)
        assert {canonical.key, "source", "arrived_at"} <= set(names)
        assert not canonical.schema.field(canonical.key).nullable
    assert EVENTS.column("amount").low == 0
