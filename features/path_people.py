"""Whose touches and conversions are whose: accounts of a person at the time of a conversion."""

from __future__ import annotations

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.ownership import owners
from features.small_tables import codes_of

Int64 = npt.NDArray[np.int64]

_ACCOUNTS: Final = """
select c.number, k.key
from conversions c join owned who on who.account = c.account and c.time >= who.since and c.time < who.until
    join owned other on other.person = who.person and c.time >= other.since and c.time < other.until
    join keys k on k.account = other.account and k.brand = c.brand
order by c.number, k.key
"""
_PEOPLE: Final = """
select k.key, dense_rank() over (order by o.person, k.brand) - 1 as person
from keys k join owned o on o.account = k.account and {instant} >= o.since and {instant} < o.until
order by k.key
"""


def accounts_at(
    touches: pa.Table, conversions: pa.Table, identities: Any | None, known_at: int
) -> tuple[Int64, tuple[Int64, Int64]]:
    """Return a key per touch (its account and brand), and the keys that were each conversion's person's.

    Returns
    -------
    tuple
        int64 [touches]: key per touch; and pair by pair the number of a conversion and a key of its person.
    """
    keys, table = _keys(touches)
    accounts = pa.chunked_array([*table["account"].chunks, *conversions["account"].chunks], pa.string())
    with duckdb.connect() as con:
        con.register("keys", table)
        con.register("owned", owners(accounts, identities, known_at))
        numbers = pa.array(np.arange(conversions.num_rows))
        con.register(
            "conversions", conversions.select(["account", "time", "brand"]).append_column("number", numbers)
        )
        pairs = con.sql(_ACCOUNTS).to_arrow_table()
    return keys, (pairs["number"].to_numpy(), pairs["key"].to_numpy())


def person_at(touches: pa.Table, identities: Any | None, instant: int, known_at: int) -> Int64:
    """Return a number per touch: its person at an instant, as was known at `known_at`, and its brand."""
    keys, table = _keys(touches)
    with duckdb.connect() as con:
        con.register("keys", table)
        con.register("owned", owners(table["account"], identities, known_at))
        people: Int64 = con.sql(_PEOPLE.format(instant=int(instant))).to_arrow_table()["person"].to_numpy()
    return people[keys]


def _keys(touches: pa.Table) -> tuple[Int64, pa.Table]:
    accounts, account_names = codes_of(touches, "account")
    brands, brand_names = codes_of(touches, "brand")
    used, keys = np.unique(accounts * (len(brand_names) + 1) + brands, return_inverse=True)
    account, brand = np.divmod(used, len(brand_names) + 1)
    return keys.astype(np.int64), pa.table(
        {
            "key": np.arange(len(used)),
            "account": account_names.take(pa.array(account)).cast(pa.string()),
            "brand": brand_names.take(pa.array(brand)).cast(pa.string()),
        }
    )
