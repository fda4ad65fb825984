"""Person histories: everybody's visible events as of a fill; features of later instants are computed from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from features.errors import StoreError


@dataclass(frozen=True)
class Found:
    """What the store knows of some people, all of one fill.

    Parameters
    ----------
    fill
        Names the fill; the shared parts of the same fill belong to it.
    as_of
        Instant of the fill: nothing that happened or arrived later is in it, epoch seconds.
    events
        Each person's events, one row per event, columns as the fill declared them; None where there is nothing.
    """

    fill: str
    as_of: int
    events: list[pa.RecordBatch | None]


@dataclass(frozen=True)
class Shared:
    """What a fill knows beside the histories, which every answer needs.

    Parameters
    ----------
    fill, as_of
        As in `Found`.
    parts
        Name → content.
    """

    fill: str
    as_of: int
    parts: dict[str, bytes]


@dataclass(frozen=True)
class HistoryInfo:
    """What a store of histories holds as a whole.

    Parameters
    ----------
    schema
        Columns of every history.
    as_of
        Instant of the fill, epoch seconds.
    source
        Names what the fill was made of.
    people, accounts
        How many histories, and how many accounts lead to a person under another key.
    """

    schema: pa.Schema
    as_of: int
    source: str
    people: int
    accounts: int


class HistoryFill(ABC):
    """Histories on their way into the store, part by part; readers see all of them at once, on commit, or none.

    Attributes
    ----------
    done
        Name of the last part that an earlier, interrupted fill of the same source had added; empty for none.
    """

    done: str

    @abstractmethod
    def add(self, part: str, histories: Mapping[str, pa.RecordBatch], links: Mapping[str, str]) -> None:
        """Add the histories of some people, to stay also if the process dies before the commit.

        Parameters
        ----------
        part
            Name of the part, not empty.
        histories
            Person key → events, one row per event.
        links
            Account key → person key, of accounts whose person has another key.

        Raises
        ------
        StoreError
            Events have other columns than the fill's.
        """

    @abstractmethod
    def share(self, name: str, content: bytes) -> None:
        """Add something that every answer needs; what has the name already is replaced."""

    @abstractmethod
    def commit(self) -> None:
        """Make everything that was added visible, in place of what was there."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the store; what was added waits for a fill of the same source, or is dropped by another."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.close()


class HistoryStore(ABC):
    """Contract of every backend; the suite in ``tests/serving/test_histories.py`` is run on each.

    Reads may come from any thread while a fill is under way in another thread or process.
    """

    @abstractmethod
    def fill(self, schema: pa.Schema, as_of: int, source: str) -> HistoryFill:
        """Begin to fill the store, or go on where a fill of the same schema, instant and source was interrupted.

        Parameters
        ----------
        schema
            Columns of every history.
        as_of
            Instant of the histories, epoch seconds.
        source
            Names what they are made of: equal sources, equal histories.

        Raises
        ------
        StoreError
            Another fill is under way.
        """

    @abstractmethod
    def get(self, persons: Sequence[str]) -> Found:
        """Return each person's history, in the order asked.

        Raises
        ------
        StoreError
            The store is missing or cannot be read.
        """

    @abstractmethod
    def shared(self) -> Shared:
        """Return what the fill knows beside the histories.

        Raises
        ------
        StoreError
            The store is missing or cannot be read.
        """

    @abstractmethod
    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key; an account without a link is its own person."""

    @abstractmethod
    def describe(self) -> HistoryInfo:
        """Return what the store holds.

        Raises
        ------
        StoreError
            The store is missing or was never filled.
        """

    @abstractmethod
    def erase(self, persons: Sequence[str]) -> int:
        """Delete people's histories and links for good, also from a fill under way that was interrupted.

        Returns
        -------
        int
            How many of them had a history.

        Raises
        ------
        StoreError
            A fill is under way, or the store is missing.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back connections; the store must not be used afterwards."""


def check_columns(events: pa.RecordBatch, schema: pa.Schema) -> None:
    """Refuse events with other columns than the fill's.

    Raises
    ------
    StoreError
        Names or types differ.
    """
    if not events.schema.equals(schema):
        raise StoreError(
            "a history has other columns than the fill",
            value=[f"{field.name} {field.type}" for field in events.schema],
            valid=[f"{field.name} {field.type}" for field in schema],
        )
