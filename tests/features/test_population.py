"""Who is in a table as of an instant, against a literal reading of links and consents."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.events import IDENTITIES
from features.people.population import population
from features.spine import Spine
from tests.features.logs import DAY, START, Event, event, logs, table_of

Link = dict[str, Any]


def link(
    row_id: str, account: str, person: str, valid_from: int, *, late: int = 0, consent: bool | None = None
) -> Link:
    return {
        "row_id": row_id, "source": "test", "arrived_at": valid_from + late, "platform": "p", "account": account,
        "person": person, "valid_from": valid_from, "consent": consent,
    }  # fmt: skip


def links_of(links: list[Link]) -> pa.Table:
    return pa.Table.from_pylist(links, schema=IDENTITIES.schema)


def identities() -> st.SearchStrategy[list[Link]]:
    one = st.builds(
        link,
        st.uuids().map(str),
        st.sampled_from("abcd"),
        st.sampled_from(("P", "Q", "R")),
        st.integers(0, 50).map(lambda day: START + day * DAY),
        late=st.sampled_from((0, 1, 10 * DAY)),
        consent=st.sampled_from((None, True, False)),
    )
    return st.lists(one, max_size=8)


def expected(log: list[Event], links: list[Link], instant: int, known_at: int) -> dict[str, list[str]]:
    known = sorted(
        (e for e in links if e["valid_from"] <= instant and e["arrived_at"] <= known_at),
        key=lambda e: (e["valid_from"], e["arrived_at"], e["row_id"]),
    )
    owner = {e["account"]: e["person"] for e in known}
    active = {e["account"] for e in log if e["event_time"] < instant and e["arrived_at"] <= known_at}
    people: dict[str, list[str]] = {}
    for account in sorted(active | set(owner)):
        people.setdefault(owner.get(account, account), []).append(account)
    agreed = {}
    for e in sorted(known, key=lambda e: (e["valid_from"], not e["consent"])):
        if e["consent"] is not None:
            agreed[e["person"]] = e["consent"]
    return {p: people[p] for p in sorted(people) if active & set(people[p]) and agreed.get(p, True)}


def found(spine: Spine) -> list[tuple[int, str, list[str]]]:
    accounts: dict[int, list[str]] = {}
    for pair in spine.accounts.to_pylist():
        accounts.setdefault(pair["row"], []).append(pair["account"])
    return [(r["instant"], r["person"], accounts[r["row"]]) for r in spine.rows.to_pylist()]


@settings(max_examples=40, deadline=None)
@given(log=logs(largest=12), links=identities(), known_at=st.sampled_from((None, START + 60 * DAY)))
def test_equal_to_the_literal_reading(log: list[Event], links: list[Link], known_at: int | None) -> None:
    instants = [START + 20 * DAY, START + 40 * DAY + 1]
    spine = population(table_of(log), links_of(links), instants, "UTC", known_at=known_at)
    truth = [
        (instant, person, accounts)
        for instant in instants
        for person, accounts in expected(log, links, instant, known_at or instant).items()
    ]
    assert found(spine) == truth
    assert spine.rows["row"].to_pylist() == list(range(len(truth)))
    assert spine.rows["known_at"].to_pylist() == [known_at or instant for instant, *_ in truth]


def test_one_person_from_the_link_on_and_two_before_it() -> None:
    log = table_of([event("a", "purchase", START), event("b", "click", START)])
    links = links_of([link("1", "a", "P", START), link("2", "b", "P", START + 10 * DAY)])
    before, after = START + 10 * DAY - 1, START + 10 * DAY
    assert found(population(log, links, [before, after], "UTC")) == [
        (before, "P", ["a"]),
        (before, "b", ["b"]),
        (after, "P", ["a", "b"]),
    ]


def test_who_says_no_is_out_from_then_on() -> None:
    log = table_of([event("a", "purchase", START)])
    links = links_of([link("1", "a", "P", START), link("2", "a", "P", START + DAY, consent=False)])
    spine = population(log, links, [START + 1, START + DAY, START + 2 * DAY], "UTC")
    assert found(spine) == [(START + 1, "P", ["a"])]


def test_only_the_kinds_asked_for_bring_a_person_in() -> None:
    log = table_of([event("a", "click", START), event("b", "purchase", START)])
    spine = population(log, None, [START + 1], "UTC", kinds=("purchase",))
    assert spine.persons == ["b"]
    with pytest.raises(FeatureError, match="unknown event kind: 'buy'; valid: impression"):
        population(log, None, [START + 1], "UTC", kinds=("buy",))


def test_links_and_events_of_one_connection() -> None:
    connection = duckdb.connect()
    log = connection.from_arrow(table_of([event("a", "purchase", START)]))
    links = connection.from_arrow(links_of([link("1", "a", "P", START)]))
    assert population(log, links, [START + 1], "UTC").persons == ["P"]


def test_nobody_yet() -> None:
    assert len(population(table_of([]), None, [START], "UTC")) == 0
    assert len(population(table_of([]), None, [], "UTC")) == 0
