"""Where batch scoring takes people's rows from: the online store, or a window of the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving.online.store import OnlineStore, RowBlock, filled_anew


class RowSource(ABC):
    """Everybody's wide rows as of an instant, which do not change while they are read.

    Attributes
    ----------
    people
        How many.
    as_of
        Instant of the rows, epoch seconds.
    schema_hash
        Of the rows' layout.
    facts
        Names the rows: equal facts, equal rows.
    """

    people: int
    as_of: int
    schema_hash: str
    facts: dict[str, object]

    @abstractmethod
    def scan(self, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of the keys from `first` on and before `end` (None: no end), in order, `size` at most."""

    @abstractmethod
    def get(self, persons: Sequence[str]) -> tuple[NDArray[np.int64], RowBlock]:
        """Return whom of the people there are rows of, as ascending positions in what was asked, and those rows."""

    @abstractmethod
    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key; an account without a link is its own person."""


class StoreRows(RowSource):
    """The rows of an online store. Live events may replace single ones meanwhile: each says as of when it is.

    Parameters
    ----------
    store
        Filled.

    Raises
    ------
    StoreError
        The store is missing or was never filled; or, while rows are read, it was filled anew.
    """

    def __init__(self, store: OnlineStore) -> None:
        info = store.describe()
        self._store = store
        self._fill = info.fill
        self.people, self.as_of, self.schema_hash = info.people, info.as_of, info.schema_hash
        live = store.live()
        self.facts = {"from": "online store", "as_of": info.as_of, "fill": info.fill}
        if live is not None:
            self.facts["fed"] = live.seq

    def scan(self, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of a range of keys, see `RowSource.scan`."""
        return self._store.scan(self._fill, first, end, size)

    def get(self, persons: Sequence[str]) -> tuple[NDArray[np.int64], RowBlock]:
        """Return whom of the people there are rows of, and the rows, see `RowSource.get`."""
        found = self._store.get(persons)
        if (now := self._store.describe()).fill != self._fill:
            raise filled_anew(self._fill, now.fill)
        places = [place for place, row in enumerate(found) if row is not None]
        known = [row for row in found if row is not None]
        vectors = np.stack([row.vector for row in known]) if known else np.empty((0, now.width), np.float32)
        instants = np.array([row.as_of for row in known], np.int64)
        return np.array(places, np.int64), RowBlock([persons[place] for place in places], instants, vectors)

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `RowSource.resolve`."""
        return self._store.resolve(accounts)


class WindowRows(RowSource):
    """The rows of one window of the log.

    Parameters
    ----------
    name
        Names the window: data version, layout and code.
    instant
        Of the window.
    persons
        Keys in row order, sorted.
    rows
        Wide rows, float32 [n, width]; may be memory-mapped.
    schema_hash
        Of the rows' layout.
    accounts, owners
        Account keys of the window's people, and the number of each one's row.
    """

    def __init__(
        self,
        *,
        name: str,
        instant: int,
        persons: Sequence[str],
        rows: NDArray[np.float32],
        schema_hash: str,
        accounts: pa.ChunkedArray,
        owners: NDArray[np.int64],
    ) -> None:
        self._persons = persons
        self._rows = rows
        self._accounts = accounts
        self._owners = owners
        self.people, self.as_of, self.schema_hash = len(persons), instant, schema_hash
        self.facts = {"from": "event log", "as_of": instant, "window": name}

    def scan(self, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of a range of keys, see `RowSource.scan`."""
        start = bisect_left(self._persons, first)
        stop = len(self._persons) if end is None else bisect_left(self._persons, end)
        for begin in range(start, stop, size):
            yield self._block(np.arange(begin, min(begin + size, stop)))

    def get(self, persons: Sequence[str]) -> tuple[NDArray[np.int64], RowBlock]:
        """Return whom of the people there are rows of, and the rows, see `RowSource.get`."""
        places = np.array([self._place(person) for person in persons], np.int64)
        known = np.flatnonzero(places >= 0)
        return known, self._block(places[known])

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `RowSource.resolve`."""
        found = pc.index_in(pa.array(accounts, pa.string()), value_set=self._accounts).to_pylist()
        return [
            account if place is None else self._persons[self._owners[place]]
            for account, place in zip(accounts, found, strict=True)
        ]

    def _place(self, person: str) -> int:
        place = bisect_left(self._persons, person)
        return place if place < len(self._persons) and self._persons[place] == person else -1

    def _block(self, places: NDArray[np.int64]) -> RowBlock:
        instants = np.full(len(places), self.as_of, np.int64)
        return RowBlock([self._persons[place] for place in places], instants, np.asarray(self._rows[places]))
