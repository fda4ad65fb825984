"""A log cut by person: each part holds everything that its people's accounts ever did, and is read by itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from features.log.cut import Cut, write_cut
from features.people.person_links import PersonLinks, link_table, numbers_of

_PART: Final = "person_part"
_GROUPS: Final = "select name as account, min(hash(name)) over (partition by related) as related from names_"
_CUT: Final = """
select e.*, coalesce(o.{part}, hash(e.account) % {parts})::integer as {part}
from events_ e left join owned_ o using (account)
where coalesce(o.{part}, hash(e.account) % {parts}) < {first}
"""


class PersonParts:
    """Events in parts, made once, in one pass over the log.

    Accounts that were ever one person's, directly or through others, lie in the same part, so that whatever is
    asked about a person is answered alike from the part and from the whole log.

    Parameters
    ----------
    events
        Canonical events, a DuckDB relation.
    identities
        As for `features.people.person_links.PersonLinks`.
    known_at
        Links that had arrived by then count.
    number
        How many parts; a single one is the events themselves, and nothing is written.
    folder
        Where the parts are kept. Those that are there are used as they are: who names the folder sees to it that
        it is of the same events.
    first
        Only so many of the parts are made, a sample of the people; all by default.
    """

    def __init__(
        self,
        events: duckdb.DuckDBPyRelation,
        identities: Any | None,
        *,
        known_at: int,
        number: int,
        folder: Path,
        first: int | None = None,
    ) -> None:
        self._events, self._identities, self._number = events, identities, number
        self._first = number if first is None else first
        if number == 1:
            return
        related_ = related_accounts(identities, known_at)  # noqa: F841  (DuckDB finds it by its name)
        cut_ = f"select account, (related % {number})::integer as {_PART} from related_"  # noqa: S608
        owned_ = duckdb.sql(cut_).to_arrow_table()
        links = link_table(identities)
        of_link = pc.index_in(links["account"], owned_["account"])
        self._links, self._part = links, pc.fill_null(owned_[_PART].take(of_link), -1)
        if not folder.exists():
            draft = folder.with_name(f".{folder.name}")
            shutil.rmtree(draft, ignore_errors=True)
            cut = events.query("events_", _CUT.format(part=_PART, parts=number, first=self._first))
            write_cut(cut, _PART, draft)
            draft.rename(folder)
        self._cut = Cut(folder)

    def __len__(self) -> int:
        return self._first

    def read(self, number: int, con: duckdb.DuckDBPyConnection) -> tuple[duckdb.DuckDBPyRelation, Any | None]:
        """Return the events of a part, and the links of its accounts, in the columns that tell whose they are.

        The events of several parts come on the given connection, so that threads with one each may read them.
        """
        if self._number == 1:
            return self._events, self._identities
        return con.from_arrow(self._cut[number]), self._links.filter(pc.equal(self._part, number))


def related_accounts(identities: Any | None, known_at: int | None = None) -> pa.Table:
    """Return a number for each set of accounts that were ever one person's, directly or through others.

    Parameters
    ----------
    identities, known_at
        As for `features.people.person_links.PersonLinks`.

    Returns
    -------
    pa.Table
        ``account`` (every account that was ever linked, and every person's key, which may be one) and ``related``,
        uint64. An account that is not there is alone; ``hash(account)`` is its number.
    """
    held = PersonLinks(identities, known_at).holdings()
    both = pa.chunked_array([*held["account"].chunks, *held["person"].chunks], pa.string()).combine_chunks()
    names = both.dictionary_encode()
    account, person = np.split(numbers_of(names.indices), 2)
    many = len(names.dictionary)
    links = coo_array((np.ones(len(account), np.int8), (account, person)), shape=(many, many))
    _, related = connected_components(links, directed=False)
    names_ = pa.table({"name": names.dictionary, "related": related})  # noqa: F841  (as above)
    return duckdb.sql(_GROUPS).to_arrow_table()
