"""Who must not be scored although a row of theirs is stored."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings

from features.people.population import population
from features.rights.withdrawals import withdrawn
from tests.features.logs import DAY, START, event, table_of
from tests.features.test_population import Link, expected, identities, link, links_of

AS_OF = START + 10 * DAY
NOW = START + 20 * DAY


def refused(*links: Link) -> list[str]:
    return withdrawn(duckdb.connect().from_arrow(links_of(list(links))), AS_OF, NOW)


@pytest.mark.parametrize(
    ("links", "keys"),
    [
        ([], []),
        ([link("1", "a", "P", START)], []),
        # a: the row may have been computed before the link was known
        ([link("1", "a", "P", START, consent=False)], ["P", "a"]),
        ([link("1", "a", "P", AS_OF + DAY, consent=False)], ["P", "a"]),
        ([link("1", "a", "P", NOW + DAY, consent=False)], []),
        ([link("1", "a", "P", START, consent=False), link("2", "a", "P", AS_OF, consent=True)], []),
        # said for the same moment, no wins
        ([link("1", "a", "P", START, consent=True), link("2", "a", "P", START, consent=False)], ["P", "a"]),
        ([link("1", "a", "P", START, consent=False), link("2", "a", "P", START, consent=True)], ["P", "a"]),
        # the account moved to P after the rows were computed: its events are in the row of Q
        ([link("1", "a", "Q", START), link("2", "a", "P", AS_OF + DAY, consent=False)], ["P", "Q", "a"]),
        # it moved before, so the row of Q has nothing of P
        ([link("1", "a", "Q", START), link("2", "a", "P", START + DAY, consent=False)], ["P", "a"]),
    ],
)
def test_keys_of_people_who_said_no(links: list[Link], keys: list[str]) -> None:
    assert refused(*links) == keys


def test_whoever_is_in_a_table_of_now_has_not_withdrawn() -> None:
    links = [
        link("1", "a", "P", START, consent=False),
        link("2", "b", "Q", START, consent=True),
        link("3", "c", "P", AS_OF + DAY),
    ]
    log = table_of([event(account, "purchase", START, category="tea") for account in "abcd"])
    now = population(log, links_of(links), [NOW], "UTC")
    assert now.persons == ["Q", "d"]
    assert set(now.persons) & set(refused(*links)) == set()
    assert refused(*links) == ["P", "a", "c"]


@settings(max_examples=25)
@given(links=identities())
def test_no_row_holds_events_of_somebody_who_said_no_since(links: list[Link]) -> None:
    links = [one for one in links if one["valid_from"] <= NOW]
    arrived = [one | {"arrived_at": min(one["arrived_at"], NOW)} for one in links]
    log = [event(account, "purchase", START, category="tea") for account in "abcd"]
    stored = expected(log, arrived, AS_OF, AS_OF)
    allowed = {account for accounts in expected(log, arrived, NOW, NOW).values() for account in accounts}
    gone = refused(*arrived)
    for person, accounts in stored.items():
        assert person in gone or set(accounts) <= allowed
