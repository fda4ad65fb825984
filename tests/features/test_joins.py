"""The order in which DuckDB joins events: whose they are comes before when they happened."""

from __future__ import annotations

import re

import duckdb
import narwhals as nw
import pytest

from features.definitions import Aggregate, Window, outcome, past
from features.expressions import Plan
from features.joins import Owners, join_events
from features.spine import spine_of
from tests.features.logs import DAY, START

# Whoever reads filters the log like this: the planner then takes the events for few.
READ = f"arrived_at <= {START + 9 * DAY} and (event_time >= {START} or kind in ('purchase'))"
EVENTS = f"""
create table log as select 'a' || (n % 100) as account, 'impression' as kind, n * 60 + {START} as event_time,
    event_time as arrived_at, (event_time // {DAY})::int as day from range(1000) numbers(n)
"""  # noqa: S608
PEOPLE = {f"p{n}": [f"a{n}"] for n in range(50)}


@pytest.mark.parametrize("window", [past(7), past(30), Window(), outcome(3)], ids=str)
def test_events_are_joined_by_account_first(window: Window) -> None:
    con = duckdb.connect(config={"threads": 1})
    con.execute(EVENTS)
    events = con.table("log").filter(READ)
    spine = spine_of(PEOPLE, [START + DAY // 2])
    plan = Plan([Aggregate(("impression",), "count", window=window)])
    joined = nw.to_native(join_events(events, spine, Owners(events, spine, ()), plan, with_category=False, keys=()))
    assert joined.count("*").fetchall()[0][0] > 0
    # By times alone events and people would be joined piece by piece, all with all.
    assert re.findall(r"─ ([\w ]*(?:Join|Product)) ─", joined.explain()) == ["Hash Join"] * 2
