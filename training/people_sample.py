"""The people that models learn from where a log has more than they need: drawn whole, by a hash of who they are."""

from __future__ import annotations

from typing import Final

import duckdb

from features.log.person_parts import related_accounts

_SHARES: Final = 1_000_000
_NUMBERED: Final = """
select account, coalesce(related, hash(account)) as related from seen_accounts left join related_ using (account)
"""
_CHOSEN: Final = "select account from numbered_people where related % {shares} < {kept}"


def sampled_accounts(
    con: duckdb.DuckDBPyConnection,
    events: duckdb.DuckDBPyRelation,
    identities: duckdb.DuckDBPyRelation,
    most: int,
) -> duckdb.DuckDBPyRelation | None:
    """Choose people with all their accounts.

    Accounts that were ever one person's, directly or through others, are chosen together, so that whoever is chosen
    has at every instant all that they did. Nothing but their keys and how many they are decides who is chosen.

    Parameters
    ----------
    con
        Connection of the others.
    events, identities
        Canonical tables.
    most
        About how many people.

    Returns
    -------
    duckdb.DuckDBPyRelation | None
        ``account`` of everybody who is chosen; None where there are no more people than that.
    """
    events.project("account").distinct().create("seen_accounts")
    seen = con.table("seen_accounts")
    if len(seen) <= most:
        return None
    related_ = related_accounts(identities)  # noqa: F841  (DuckDB finds it by its name)
    con.sql(_NUMBERED).create("numbered_people")
    numbered = con.table("numbered_people")
    (people,) = numbered.aggregate("count(distinct related)").fetchall()[0]
    if people <= most:
        return None
    return con.sql(_CHOSEN.format(shares=_SHARES, kept=round(_SHARES * most / people)))
