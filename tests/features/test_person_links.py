"""Whose an account is, where statements hold from odd moments on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.days import instant_of
from features.people.person_links import PersonLinks
from tests.features.test_population import Link, links_of

NEVER_TO_COME = instant_of("9999-12-31")


def link(account: int, person: str, since: int) -> Link:
    return {
        "row_id": f"{account} {since}", "platform": "shop", "account": f"a{account:03}", "person": person,
        "valid_from": since, "arrived_at": 20, "consent": None,
    }  # fmt: skip


def test_a_link_that_never_comes_to_hold_changes_nobody() -> None:
    links = [link(number, f"p{number:03}", 10) for number in range(200)]
    later = [link(number, "zoe", NEVER_TO_COME) for number in range(0, 200, 3)]
    accounts, at = pa.array([f"a{number:03}" for number in range(200)]), np.full(200, 100)
    plain, known = PersonLinks(links_of(links)), PersonLinks(links_of(links + later))
    assert known.persons(accounts, at).equals(plain.persons(accounts, at))
    assert known.present(accounts, 100)[0].equals(plain.present(accounts, 100)[0])
    assert known.holdings().equals(plain.holdings())
