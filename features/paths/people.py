"""Whose touches and conversions are whose: accounts of a person at the time of a conversion.

Whoever refuses to be personalised is not followed from a touch to a conversion.
"""

from __future__ import annotations

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.people.ownership import owners
from features.small_tables import codes_of

Int64 = npt.NDArray[np.int64]

_ACCOUNTS: Final = """
select c.number, k.key
from conversions c join owned who on who.account = c.account and c.time >= who.since and c.time < who.until
        and not who.refuses
    join owned other on other.person = who.person and c.time >= other.since and c.time < other.until
    join keys k on k.account = other.account and k.brand = c.brand
order by c.number, k.key
"""
_PEOPLE: Final = """
select k.key, if(o.refuses, -1, dense_rank() over (order by o.person, k.brand) - 1) as person
from keys k join owned o on o.account = k.account and {instant} >= o.since and {instant} < o.until
order by k.key
"""


class TouchPeople:
    """The persons behind touches and conversions.

    Parameters
    ----------
    con
        Connection to ask on.
    touches, conversions
        Tables with accounts and brands.
    identities, known_at
        As for `features.people.ownership.owners`.

    Attributes
    ----------
    keys
        int64 [touches]: a number per account and brand.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        touches: pa.Table,
        conversions: pa.Table,
        identities: Any | None,
        known_at: int,
    ) -> None:
        accounts, names = codes_of(touches, "account")
        brands, brand_names = codes_of(touches, "brand")
        used, keys = np.unique(accounts * (len(brand_names) + 1) + brands, return_inverse=True)
        account, brand = np.divmod(used, len(brand_names) + 1)
        self.keys: Int64 = keys.astype(np.int64)
        self._con = con
        keyed = {
            "key": np.arange(len(used)),
            "account": names.take(pa.array(account)).cast(pa.string()),
            "brand": brand_names.take(pa.array(brand)).cast(pa.string()),
        }
        numbered = conversions.select(["account", "time", "brand"])
        numbered = numbered.append_column("number", pa.array(np.arange(conversions.num_rows)))
        everybody = pa.chunked_array([keyed["account"], *conversions["account"].chunks], pa.string())
        con.register("keys", pa.table(keyed))
        con.register("conversions", numbered)
        con.register("owned", owners(everybody, identities, known_at, con))

    def at_conversions(self) -> tuple[Int64, Int64]:
        """Return pairs of a conversion's number and a key that was its person's at its time."""
        pairs = self._con.sql(_ACCOUNTS).to_arrow_table()
        return pairs["number"].to_numpy(), pairs["key"].to_numpy()

    def at(self, instant: int) -> Int64:
        """Return a number per touch for the person that its account was of at an instant, and its brand.

        -1 where that person refuses.
        """
        people: Int64 = self._con.sql(_PEOPLE.format(instant=int(instant))).to_arrow_table()["person"].to_numpy()
        return people[self.keys]
