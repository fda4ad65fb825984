"""Whose account it was, and when: links of accounts to persons as stretches of time."""

from __future__ import annotations

from typing import Any, Final

import duckdb
import pyarrow as pa

from features.events import IDENTITIES
from features.small_tables import columns_of

EVER: Final = 1 << 40
"""Later than any instant."""
_COLUMNS: Final = ("row_id", "account", "person", "valid_from", "arrived_at", "consent")

# Of links that hold from the same moment on the one that arrived last wins, as in features.people.population; of
# words on consent the latest, and no where both were said for the same moment.
_OWNERS: Final = """
with refusing as (
    select person from links
    where arrived_at <= $known_at and valid_from <= $known_at and consent is not null
    group by person having not max_by(consent, (valid_from, not consent))
), latest as (
    select account, valid_from, max_by(person, (arrived_at, row_id)) as person
    from links where arrived_at <= $known_at group by account, valid_from
), linked as (
    select account, person, valid_from as since,
        lead(valid_from, 1, $ever) over (partition by account order by valid_from) as until
    from latest
), before as (
    select account, min(since) as first from linked group by account
), stretches as (
    select * from linked
    union all
    select accounts.account, accounts.account, 0, coalesce(first, $ever)
    from accounts left join before using (account)
), judged as (
    select *, coalesce(person in (select person from refusing), false) as no from stretches
)
select account, person, since, until, no or max_by(no, since) over (partition by account) as refuses
from judged order by account, since
"""


def owners(
    accounts: pa.Array, identities: Any | None, known_at: int, con: duckdb.DuckDBPyConnection | None = None
) -> pa.Table:
    """Return who owned each account from when to when.

    Parameters
    ----------
    accounts
        The accounts that are asked for, as text; accounts that only the links name come back too.
    identities
        Links in the canonical columns of the identities table (relation, frame or Arrow table), or None.
    known_at
        Only links that had arrived by then count.
    con
        Connection to ask on; one of its own by default.

    Returns
    -------
    pa.Table
        ``account``, ``person``, ``since`` (closed) and ``until`` (open), epoch seconds; the stretches of an account
        that was asked for cover all time. Before its first link it is a person of its own under its own key.
        ``refuses``: the latest word on consent of that person, or of the account's last one, is no by `known_at`.

    Examples
    --------
    >>> link = {"row_id": "1", "account": "a", "person": "P", "valid_from": 50, "arrived_at": 70}
    >>> owners(pa.array(["a"]), pa.Table.from_pylist([link]), 70).to_pylist()[1]["person"]
    'P'
    >>> owners(pa.array(["a"]), pa.Table.from_pylist([link]), 69)["person"].to_pylist()
    ['a']
    """
    with con.cursor() if con else duckdb.connect() as own:
        own.register("accounts", pa.table({"account": accounts.unique()}))
        own.register("links", columns_of(identities, IDENTITIES, _COLUMNS))
        answer: pa.Table = own.sql(_OWNERS, params={"known_at": int(known_at), "ever": EVER}).to_arrow_table()
    return answer
