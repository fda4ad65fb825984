"""The online store: each person's wide feature row, and which account is whose."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.errors import StoreError


@dataclass(frozen=True)
class StoredRow:
    """What the store knows of a person.

    Parameters
    ----------
    as_of
        Instant that the row was computed for, epoch seconds.
    vector
        Wide feature row, float32 [width]; NaN where a value is missing.
    schema_hash
        Of the row layout that the vector follows.
    fill, filled_at
        Name of what the store held when the row was read, see `StoreInfo`, and instant of that fill.
    seq, arrived_at
        Of the last live event in the row; None, and `as_of`, for a row as the fill wrote it.
    """

    as_of: int
    vector: NDArray[np.float32]
    schema_hash: str
    fill: str
    filled_at: int
    seq: int | None
    arrived_at: int


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds as a whole.

    Parameters
    ----------
    schema_hash
        Of the row layout that the vectors follow.
    width
        Columns of a vector.
    as_of
        Instant of the latest fill, epoch seconds.
    people, accounts
        How many rows, and how many accounts lead to a person under another key.
    fill
        Names what the store holds: equal fills in equal order have equal names, every other one another. Begins
        with what the fill said it was made of.
    """

    schema_hash: str
    width: int
    as_of: int
    people: int
    accounts: int
    fill: str


@dataclass(frozen=True)
class StoredState:
    """What a person's live rows are computed from.

    Parameters
    ----------
    content
        `features.incremental.state.PersonState.pack`; empty where it cannot be used until the next fill.
    seq, arrived_at
        Of the person's last event in it; of a fill, the fill's and its instant, epoch seconds.
    """

    content: bytes
    seq: int
    arrived_at: int


@dataclass(frozen=True)
class Live:
    """How far the store is in the live events, and how its states are read.

    Parameters
    ----------
    fill
        As in `StoreInfo`.
    seq
        Every event accepted up to it is in the states.
    state_hash
        Of what the states hold.
    facts
        What else must be known to make rows of them, as whoever filled the store wrote it down.
    """

    fill: str
    seq: int
    state_hash: str
    facts: str


@dataclass(frozen=True)
class Update:
    """What live events made of a person.

    Parameters
    ----------
    person, state
        Key, and new state.
    as_of
        Instant of the row, epoch seconds.
    vector
        New row, float32 [width]; None leaves the row, or that there is none, as it is.
    """

    person: str
    state: StoredState
    as_of: int
    vector: NDArray[np.float32] | None


@dataclass(frozen=True)
class RowBlock:
    """Rows of some people.

    Parameters
    ----------
    persons
        Person keys.
    as_of
        Instant of each row, epoch seconds, int64 [n].
    matrix
        Wide feature rows, float32 [n, width].
    """

    persons: list[str]
    as_of: NDArray[np.int64]
    matrix: NDArray[np.float32]


class Fill(ABC):
    """Rows on their way into the store; readers see all of them at once, on commit, or none."""

    @abstractmethod
    def add(self, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Add rows; a person who is there already gets the new row.

        Parameters
        ----------
        persons
            Person keys, one per row.
        matrix
            float32 [len(persons), width].
        """

    @abstractmethod
    def link(self, accounts: Sequence[str], persons: Sequence[str]) -> None:
        """Say which person each account key belongs to."""

    @abstractmethod
    def keep(self, persons: Sequence[str], states: Sequence[StoredState]) -> None:
        """Add the states of people, also of those without a row; a person who has one already gets the new one."""

    @abstractmethod
    def live(self, seq: int, state_hash: str, facts: str) -> None:
        """Say how far the states are, see `Live`; of a fill that does not say it, a replacing one takes no updates.

        A fill that adds to what is there leaves it at what was said before.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make everything that was added visible, at once."""

    @abstractmethod
    def abandon(self) -> None:
        """Forget everything that was added."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.abandon()


class OnlineStore(ABC):
    """Contract of every backend; the suite in ``tests/serving/test_store.py`` is run on each.

    Reads may come from any thread while a fill is under way in another thread or process, and so may updates.
    Requests read rows alone: states lie apart.
    """

    @abstractmethod
    def fill(self, schema_hash: str, width: int, as_of: int, *, replace: bool = True, source: str = "") -> Fill:
        """Begin to fill the store.

        Parameters
        ----------
        schema_hash, width
            Of the row layout.
        as_of
            Instant of the rows, epoch seconds.
        replace
            Whether the fill takes the place of all that was there. Else its rows are added to it, or take the
            place of the same people's rows.
        source
            Names the data that the rows were computed from.

        Raises
        ------
        StoreError
            Rows are to be added to rows of another layout, or another fill is under way.
        """

    @abstractmethod
    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, None where there is none, in the order asked.

        Raises
        ------
        StoreError
            The store is missing or cannot be read.
        """

    @abstractmethod
    def scan(self, fill: str, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of everybody whose key lies in a range, in the order of keys.

        Parameters
        ----------
        fill
            What the store must hold, as `describe` said.
        first, end
            Keys from `first` on and before `end`; None for no end.
        size
            Most rows of a block.

        Raises
        ------
        StoreError
            The store was filled anew since, or cannot be read.
        """

    @abstractmethod
    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key; an account without a link is its own person."""

    @abstractmethod
    def live(self) -> Live | None:
        """Return how far the store is in the live events; None where its fill has no states.

        Raises
        ------
        StoreError
            The store is missing or was never filled.
        """

    @abstractmethod
    def states(self, persons: Sequence[str]) -> list[StoredState | None]:
        """Return each person's state, None where there is none, in the order asked."""

    @abstractmethod
    def update(self, now: Live, seq: int, updates: Sequence[Update]) -> None:
        """Put in what live events made of people: rows, states and position at once, or nothing.

        Every event is in the states once and no more, however often a process dies and however many feed the
        store: who comes second is refused.

        Parameters
        ----------
        now
            What the updates were made from.
        seq
            How far the states are then.
        updates
            At most one per person.

        Raises
        ------
        StoreError
            The store is elsewhere than `now` says, because it was filled anew or somebody else has updated it; or a
            row does not fit.
        """

    @abstractmethod
    def describe(self) -> StoreInfo:
        """Return what the store holds.

        Raises
        ------
        StoreError
            The store is missing or was never filled.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back connections; the store must not be used afterwards."""

    def replace(self, schema_hash: str, as_of: int, persons: Sequence[str], matrix: NDArray[np.float32]) -> None:
        """Fill the store with one matrix, in place of all that was there."""
        with self.fill(schema_hash, matrix.shape[1], as_of) as fill:
            fill.add(persons, matrix)


def check_block(persons: Sequence[str], matrix: NDArray[np.float32], width: int) -> None:
    """Refuse a block of rows that does not fit the fill.

    Raises
    ------
    StoreError
        Its shape or type is another.
    """
    if matrix.shape != (len(persons), width) or matrix.dtype != np.float32:
        raise StoreError(
            "rows do not fit the layout of the fill",
            value=f"{matrix.dtype} {list(matrix.shape)}",
            valid=[f"float32 [{len(persons)}, {width}]"],
        )


def filled_anew(wanted: str, found: str) -> StoreError:
    """Return the error for a store that was filled while its rows were read block by block."""
    return StoreError(
        "the online store was filled anew while it was read", value=found, valid=[wanted], next_step="begin again"
    )


def moved_on(wanted: Live, found: Live | None) -> StoreError:
    """Return the error for an update of a store that is elsewhere than the update was made from."""
    return StoreError(
        "the online store was filled or updated meanwhile",
        value=found and [found.fill, found.seq],
        valid=[[wanted.fill, wanted.seq]],
        next_step="begin again from where it is now",
    )
