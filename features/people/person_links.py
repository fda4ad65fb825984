"""Whose an account is as of instants, many of both at once; see `features.people.population`."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NEVER, Int64, packed
from features.events import IDENTITIES
from features.people.population import LINK_COLUMNS

_SCHEMA: Final = pa.schema([IDENTITIES.schema.field(name) for name in LINK_COLUMNS])
_ALWAYS: Final = (1 << 33) - 1
HOLDINGS_SCHEMA: Final = pa.schema(
    [
        pa.field("account", pa.string()),
        pa.field("person", pa.string()),
        pa.field("version", pa.int64()),  # how many times an account had left the person before
        pa.field("since", pa.int64()),  # from when the account is the person's
    ]
)


class _Latest:
    """The latest word about each key as of any instant.

    Parameters
    ----------
    keys
        Number of the key that each statement is about.
    moments
        From when it is known and holds.
    values
        What it says; statements stand in the order in which a later one wins.
    """

    def __init__(self, keys: Int64, moments: Int64, values: Int64) -> None:
        ranks = np.arange(len(keys))
        order = np.lexsort((ranks, moments, keys))
        keys, moments, many = keys[order], moments[order], len(keys)
        best = np.maximum.accumulate(keys * many + order) - keys * many if many else order
        last = np.ones(many, bool)
        last[:-1] = (keys[1:] != keys[:-1]) | (moments[1:] != moments[:-1])
        self.keys, self.moments, self.values = keys[last], moments[last], values[best[last]]
        self._at = packed(self.keys, self.moments)

    def at(self, keys: Int64, instants: Int64) -> Int64:
        """Return the value per key and instant, `NEVER` where nothing was said by then; keys may be -1."""
        place = np.searchsorted(self._at, packed(keys, instants), side="right") - 1
        found = np.full(len(keys), NEVER, np.int64)
        some = place >= 0
        some[some] = self.keys[place[some]] == keys[some]
        found[some] = self.values[place[some]]
        return found


class PersonLinks:
    """Links of accounts to persons, and what persons said about consent.

    Parameters
    ----------
    identities
        Canonical rows of the identities table (relation, frame or Arrow table), or None without any.
    known_at
        Only what had arrived by then counts; all by default.

    Examples
    --------
    >>> link = {"row_id": "1", "account": "a", "person": "ann", "valid_from": 10, "arrived_at": 20, "consent": None}
    >>> links = PersonLinks(pa.Table.from_pylist([link], schema=_SCHEMA))
    >>> links.persons(pa.array(["a", "a", "b"]), np.array([19, 20, 20])).to_pylist()
    ['a', 'ann', 'b']
    """

    def __init__(self, identities: Any | None, known_at: int | None = None) -> None:
        table = link_table(identities)
        # A link from a day beyond all time (9999, say) never holds, and would not fit into packed integers.
        table = table.filter(pc.less(table["valid_from"], _ALWAYS))
        if known_at is not None:
            table = table.filter(pc.less_equal(table["arrived_at"], known_at))
        # Of two links the one that holds from later on wins, then the one that arrived later, then the higher key.
        table = table.take(
            pc.sort_indices(table, [(c, "ascending") for c in ("valid_from", "arrived_at", "row_id")])
        )
        moments = np.maximum(numbers_of(table["valid_from"]), numbers_of(table["arrived_at"]))
        accounts = table["account"].combine_chunks().dictionary_encode()
        names = pa.concat_arrays([accounts.dictionary, table["person"].combine_chunks()]).dictionary_encode()
        self._accounts, self._names = accounts.dictionary, names.dictionary
        owners = numbers_of(names.indices)[len(self._accounts) :]
        self._own = numbers_of(names.indices)[: len(self._accounts)]
        self._links = _Latest(numbers_of(accounts.indices), moments, owners)
        said = table["consent"].combine_chunks()
        spoken = np.flatnonzero(~said.is_null().to_numpy(zero_copy_only=False))
        agrees = said.take(pa.array(spoken)).to_numpy(zero_copy_only=False).astype(np.int64)
        # Where yes and no are said for the same moment, no wins.
        order = np.lexsort((1 - agrees, numbers_of(table["valid_from"])[spoken]))
        spoken, agrees = spoken[order], agrees[order]
        self._consents = _Latest(owners[spoken], moments[spoken], agrees)
        self._lost, self._intervals = self._resolved()

    def persons(self, accounts: pa.Array, instants: Int64) -> pa.Array:
        """Return the person of each account as of each instant; without a link, the account itself."""
        places = pc.index_in(accounts, self._accounts)
        owner = self._links.at(numbers_of(pc.fill_null(places, -1)), instants)
        found = self._names.take(pa.array(owner, pa.int32(), mask=owner == NEVER))
        return pc.coalesce(found, accounts)

    def present(self, accounts: pa.Array, at: int) -> tuple[pa.Array, Int64]:
        """Return the person of each account as of one instant, and since when the account is that person's."""
        places = numbers_of(pc.fill_null(pc.index_in(accounts, self._accounts), -1))
        account, owner, start, _ = self._intervals
        place = np.searchsorted(packed(account, start), packed(places, np.full(len(places), at)), side="right") - 1
        listed = places >= 0
        since = np.zeros(len(places), np.int64)
        since[listed] = start[place[listed]]
        names = np.zeros(len(places), np.int32)
        names[listed] = owner[place[listed]]
        return pc.coalesce(self._names.take(pa.array(names, mask=~listed)), accounts), since

    def refused(self, persons: pa.Array, instants: Int64) -> npt.NDArray[np.bool_]:
        """Return whether each person's latest word on consent as of the instant is no."""
        places = pc.index_in(persons, self._names)
        no: npt.NDArray[np.bool_] = self._consents.at(numbers_of(pc.fill_null(places, -1)), instants) == 0
        return no

    def versions(self, persons: pa.Array, instants: Int64) -> Int64:
        """Return how many times an account had left each person by the instant: see `holdings`."""
        places = numbers_of(pc.fill_null(pc.index_in(persons, self._names), -1))
        return np.where(places < 0, 0, self._version(places, instants))

    def holdings(self) -> pa.Table:
        """Return which linked account was whose and from when, schema `HOLDINGS_SCHEMA`.

        A person from whom an account is taken goes on as another *version*, which holds the accounts that are
        left: so within a version accounts are only added, and what is known only grows. An account that never had
        a link is not listed.
        """
        account, owner, start, end = self._intervals
        first, last = self._version(owner, start), self._version(owner, end - 1)
        many = last - first + 1
        version = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first, many)
        taken = np.repeat(np.arange(len(account)), many)
        columns = [
            self._accounts.take(pa.array(account[taken])),
            self._names.take(pa.array(owner[taken])),
            version,
            start[taken],
        ]
        return pa.table(columns, schema=HOLDINGS_SCHEMA)

    @cached_property
    def _holdings(self) -> pa.Table:
        return self.holdings()

    def accounts_of(self, persons: pa.Array) -> pa.Table:
        """Return all accounts that some persons ever had, as `holdings`; a key without links is an account, too."""
        own = persons.filter(pc.invert(pc.is_in(persons, self._accounts)))
        zeros = np.zeros(len(own), np.int64)
        alone = pa.table([own, own, zeros, zeros], schema=HOLDINGS_SCHEMA)
        return pa.concat_tables([self._holdings.filter(pc.is_in(self._holdings["person"], persons)), alone])

    def _version(self, owners: Int64, instants: Int64) -> Int64:
        by = np.searchsorted(self._lost, packed(owners, instants), side="right")
        found: Int64 = by - np.searchsorted(self._lost, packed(owners, np.zeros_like(owners)))
        return found

    def _resolved(self) -> tuple[Int64, tuple[Int64, Int64, Int64, Int64]]:
        """Sorted (person, moment of losing an account), and intervals (account, owner, start, end)."""
        own = np.arange(len(self._accounts))
        account = np.concatenate([own, self._links.keys])
        start = np.concatenate([np.zeros(len(own), np.int64), self._links.moments])
        owner = np.concatenate([self._own, self._links.values])
        order = np.argsort(packed(account, start), kind="stable")
        account, start, owner = account[order], start[order], owner[order]
        changed = np.ones(len(account), bool)
        changed[1:] = (account[1:] != account[:-1]) | (owner[1:] != owner[:-1])
        account, start, owner = account[changed], start[changed], owner[changed]
        end = np.full(len(account), _ALWAYS)
        goes_on = np.flatnonzero(account[1:] == account[:-1])
        end[goes_on] = start[goes_on + 1]
        return np.unique(packed(owner, end)[end < _ALWAYS]), (account, owner, start, end)


def link_table(identities: Any | None) -> pa.Table:
    """Return the columns of identities that say whose accounts are, in memory."""
    if identities is None:
        return _SCHEMA.empty_table()
    if isinstance(identities, duckdb.DuckDBPyRelation):
        return identities.select(*LINK_COLUMNS).to_arrow_table().cast(_SCHEMA)
    return nw.from_native(identities, eager_only=True).select(*LINK_COLUMNS).to_arrow().cast(_SCHEMA)


def numbers_of(column: Any) -> Int64:
    """Return an integer column of Arrow without nulls as int64."""
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    ).astype(np.int64)
