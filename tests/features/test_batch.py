"""Aggregates against the literal reading of their definitions, on random logs."""

from __future__ import annotations

from random import Random
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.definitions import CONDITIONS, Aggregate, Window, outcome, past
from features.errors import FeatureError
from features.events import INTEREST_KINDS
from features.expressions import decay_weights
from features.rows.batch import aggregate, aggregate_dense
from features.scopes import Scopes
from features.spine import spine_of
from tests.features.logs import DAY, START, Event, event, logs, oracle_cells, table_of

BUY = ("purchase",)
SCOPES = Scopes.of({"all": ["*"], "drinks": ["milk", "tea", "milk"], "tea": ["tea"], "none": ["cheese"]})
PEOPLE = {"ann": ["a", "b"], "bob": ["c"], "zoe": ["nobody"]}


def every_definition() -> list[Aggregate]:
    windows: tuple[Window, ...] = (past(1), past(7), past(30), Window())
    made = []
    for kinds in (BUY, ("click", "read", "save"), INTEREST_KINDS):
        for window in (*windows, outcome(3), outcome(30)):
            for condition in (None, *CONDITIONS):
                made += [Aggregate(kinds, m, window=window, condition=condition) for m in ("count", "days")]
            made += [Aggregate(kinds, "sum", of=c, window=window) for c in ("amount", "quantity")]
            made += [Aggregate(kinds, "distinct", of=c, window=window) for c in ("item", "brand")]
            if window.side == "past":
                made += [Aggregate(kinds, m, window=window) for m in ("recency", "tenure")]
                made += [Aggregate(kinds, "decayed", half_life=h, window=window) for h in (1, 7)]
    return made


def sampled(many: int = 14) -> st.SearchStrategy[list[Aggregate]]:
    return st.lists(st.sampled_from(every_definition()), min_size=1, max_size=many, unique=True)


def cells(table: Any) -> dict[tuple[int, ...], list[int | None]]:
    keys = 2 if "scope" in table.column_names else 1
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    return {row[:keys]: list(row[keys:]) for row in rows}


@settings(max_examples=25, deadline=None)
@given(log=logs("Asia/Shanghai"), aggregates=sampled(), data=st.data())
def test_equal_to_the_literal_reading(log: list[Event], aggregates: list[Aggregate], data: st.DataObject) -> None:
    half_hours = st.integers(0, 52 * 48).map(lambda n: START + n * 1800)
    instants = data.draw(st.lists(half_hours, min_size=1, max_size=3, unique=True))
    known_at = data.draw(st.sampled_from((None, START + 30 * DAY, START + 99 * DAY)))
    scopes = data.draw(st.sampled_from((None, SCOPES)))
    spine = spine_of(PEOPLE, instants, "Asia/Shanghai", known_at)
    truth = oracle_cells(aggregates, log, spine, scopes)
    if data.draw(st.booleans()):
        found = cells(aggregate(table_of(log), spine, aggregates, scopes))
        assert found == {key: values for key, values in truth.items() if any(values)}
        return
    dense = aggregate_dense(table_of(log), spine, aggregates, scopes)
    for key, values in truth.items():
        expected = np.array([np.nan if value is None else value for value in values], float)
        np.testing.assert_array_equal(dense[key], expected)


@settings(max_examples=10, deadline=None)
@given(log=logs(), more=logs(largest=10), aggregates=sampled())
def test_later_events_and_late_arrivals_change_no_earlier_feature(
    log: list[Event], more: list[Event], aggregates: list[Aggregate]
) -> None:
    aggregates = [a for a in aggregates if a.window.side == "past"]
    instant = START + 25 * DAY
    spine = spine_of(PEOPLE, [instant])
    happened_later = [e for e in more if e["event_time"] >= instant]
    arrived_later = [e | {"arrived_at": instant + 1} for e in more]
    before = aggregate(table_of(log), spine, aggregates)
    assert aggregate(table_of([*log, *happened_later, *arrived_later]), spine, aggregates).equals(before)


@settings(max_examples=6, deadline=None)
@given(log=logs(), aggregates=sampled(), seed=st.randoms())
def test_order_of_events_does_not_matter(log: list[Event], aggregates: list[Aggregate], seed: Random) -> None:
    spine = spine_of(PEOPLE, [START + 20 * DAY, START + 40 * DAY])
    shuffled = seed.sample(log, len(log))
    before = aggregate(table_of(log), spine, aggregates, SCOPES)
    assert aggregate(table_of(shuffled), spine, aggregates, SCOPES).equals(before)


def test_days_end_at_midnight_of_the_logs_time_zone() -> None:
    midnight = START + 16 * 3600  # 00:00 in Shanghai
    log = [event("a", "purchase", midnight - 1, timezone="Asia/Shanghai")]
    today = [Aggregate(BUY, window=past(1))]
    for zone, instant, counted in (
        ("Asia/Shanghai", midnight, 0), ("Asia/Shanghai", midnight - 1, 0), ("UTC", midnight, 1)
    ):  # fmt: skip
        rows = table_of([log[0] | {"day": event("a", "purchase", midnight - 1, timezone=zone)["day"]}])
        assert aggregate_dense(rows, spine_of({"ann": ["a"]}, [instant], zone), today)[0, 0] == counted


def test_an_event_at_the_instant_is_outcome_not_past() -> None:
    log = table_of([event("a", "purchase", START)])
    spine = spine_of({"ann": ["a"]}, [START])
    dense = aggregate_dense(log, spine, [Aggregate(BUY), Aggregate(BUY, window=outcome(1))])
    assert dense.tolist() == [[0, 1]]


def test_decay_is_in_whole_units_of_two_to_the_minus_sixteen() -> None:
    log = table_of([event("a", "purchase", START), event("a", "purchase", START + 3 * DAY)])
    spine = spine_of({"ann": ["a"]}, [START + 4 * DAY - 1])
    dense = aggregate_dense(log, spine, [Aggregate(BUY, "decayed", half_life=3)])
    assert dense.tolist() == [[65536 + 32768]]
    assert decay_weights(30)[30] == 32768
    assert decay_weights(7)[7 * 17 - 1] == 1


def test_further_keys_restrict_events_to_those_that_share_them() -> None:
    log = table_of([event("a", "purchase", START, brand=b, amount=n) for b, n in (("x", 1), ("x", 2), ("y", 5))])
    spine = spine_of({"ann": ["a"]}, [START + 1, START + 2])
    spine = type(spine)(spine.rows.append_column("brand", [["x", "y"]]), spine.accounts)
    dense = aggregate_dense(log, spine, [Aggregate(BUY, "sum", of="amount")], keys=("brand",))
    assert dense.tolist() == [[3], [5]]


def test_missing_optional_columns_are_null() -> None:
    log = table_of([event("a", "purchase", START, amount=7)]).select(
        ["account", "kind", "event_time", "arrived_at", "day"]
    )
    wanted = [Aggregate(BUY), Aggregate(BUY, "sum", of="amount"), Aggregate(BUY, condition="own_label")]
    assert aggregate_dense(log, spine_of({"ann": ["a"]}, [START + 1]), wanted).tolist() == [[1, 0, 0]]


def test_frames_and_relations_give_the_same() -> None:
    log = table_of([event("a", "purchase", START + n) for n in range(5)])
    spine = spine_of({"ann": ["a"]}, [START + 3])
    wanted = [Aggregate(BUY), Aggregate(BUY, "recency")]
    connection = duckdb.connect()
    for events in (log, log.to_pandas(), connection.from_arrow(log)):
        assert aggregate(events, spine, wanted).to_pylist() == [
            {"row": 0, "purchase_count_all": 3, "purchase_recency_all": 1}
        ]


@pytest.mark.parametrize("scopes", [None, SCOPES])
def test_no_events_and_no_rows(scopes: Scopes | None) -> None:
    wanted = [Aggregate(BUY), Aggregate(BUY, "tenure"), Aggregate(BUY, "distinct", of="item")]
    full, none = table_of([event("a", "purchase", START)]), table_of([])
    someone, nobody = spine_of({"ann": ["a"]}, [START + 1]), spine_of({}, [START + 1])
    shape = () if scopes is None else (4,)
    assert aggregate(none, someone, wanted, scopes).num_rows == 0
    assert aggregate(full, nobody, wanted, scopes).num_rows == 0
    assert aggregate_dense(full, nobody, wanted, scopes).shape == (0, *shape, 3)
    dense = aggregate_dense(none, someone, wanted, scopes)
    np.testing.assert_array_equal(dense, np.broadcast_to([0, np.nan, 0], (1, *shape, 3)))


def test_errors_say_what_is_wrong() -> None:
    log, spine = table_of([]), spine_of({"ann": ["a"]}, [START])
    with pytest.raises(FeatureError, match="declared twice: 'purchase_count_all'"):
        aggregate(log, spine, [Aggregate(BUY), Aggregate(BUY)])
    with pytest.raises(FeatureError, match="lack a required column: 'day'; valid: account, kind"):
        aggregate(log.drop_columns(["day"]), spine, [Aggregate(BUY)])
    with pytest.raises(FeatureError, match="cannot be taken of an outcome window: 'recency'"):
        aggregate(log, spine, [Aggregate(BUY, "recency", window=outcome(3))])
