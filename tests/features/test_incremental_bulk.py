"""States and rows of many persons at once: those of each alone, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.incremental.bulk import folded
from features.incremental.state import NEVER
from tests.features.logs import START, Event, event, logs, table_of
from tests.features.test_incremental import INSTANT, LIVE, bits

ACCOUNTS = "abcde"
"""The last of whom never does anything."""


@settings(max_examples=20, deadline=None)
@given(logs(largest=40), st.none() | INSTANT)
def test_states_of_many_are_those_of_each(log: list[Event], settled: int | None) -> None:
    ordered = sorted(log, key=lambda row: row["account"])
    encoded = LIVE.encode(table_of(ordered))
    ends = np.searchsorted([row["account"] for row in ordered], list(ACCOUNTS), side="right")
    states = list(folded(LIVE.kept, encoded, ends, NEVER if settled is None else settled))
    for account, state in zip(ACCOUNTS, states, strict=True):
        alone = LIVE.empty()
        LIVE.fold(alone, [row for row in log if row["account"] == account])
        if settled is not None:
            alone.settle(settled)
        assert state.pack() == alone.pack()


@settings(max_examples=10, deadline=None)
@given(st.lists(logs(largest=12), max_size=5), INSTANT)
def test_rows_of_many_are_those_of_each(each: list[list[Event]], instant: int) -> None:
    states = [LIVE.empty() for _ in each]
    for state, log in zip(states, each, strict=True):
        LIVE.fold(state, log)
    found = LIVE.rows(states, instant)
    assert found.shape == (len(each), LIVE.layout.width)
    for state, row in zip(states, found, strict=True):
        assert (bits(row) == bits(LIVE.row(state, instant))).all()


def test_ties_are_put_in_order_by_all_that_is_kept() -> None:
    log = [
        event("a", "purchase", START, late=late, category=category, item=item, amount=amount)
        for late, category, item, amount in (
            (9, "tea", "i2", 5),
            (0, "tea", "i2", 5),
            (0, "milk", "i1", 7),
            (0, "milk", "i1", -7),
            (0, None, None, None),
        )
    ]
    (state,) = folded(LIVE.kept, LIVE.encode(table_of(log)), np.array([len(log)]))
    (again,) = folded(LIVE.kept, LIVE.encode(table_of(log[::-1])), np.array([len(log)]))
    assert len(state) == 5
    assert state.pack() == again.pack()
    assert state.firsts.tolist() == [[START], [START]]


def test_one_state_that_is_settled_later_refuses_the_rows_of_all() -> None:
    early, late = LIVE.empty(), LIVE.empty()
    late.settle(START + 1)
    with pytest.raises(FeatureError, match=f"no row as of this instant can be read from the state: {START}"):
        LIVE.rows([early, late], START)
    assert LIVE.rows([], START).shape == (0, LIVE.layout.width)
