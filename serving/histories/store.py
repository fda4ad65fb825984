"""Person histories: everybody's visible events as of a fill; features of later instants are computed from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Final, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.errors import StoreError
from serving.histories.told import Told

Scores: TypeAlias = NDArray[np.float32]
ORDER: Final = ("time", "since", "kind", "note")
"""Columns that a history is sorted by."""
NO_SCORES: Final[Mapping[str, Scores]] = MappingProxyType({})


@dataclass(frozen=True)
class HistoryLive:
    """How far the histories are in the live events.

    Parameters
    ----------
    fill
        As in `Found`.
    seq
        Every event accepted up to it is in the histories.
    arrived_at
        When the last of them arrived; of a fill, its instant. Epoch seconds.
    """

    fill: str
    seq: int
    arrived_at: int


@dataclass(frozen=True)
class Found:
    """What the store knows of some people, all of one fill.

    Parameters
    ----------
    fill
        Names the fill; the shared parts of the same fill belong to it.
    as_of
        Instant of the fill: but for live events, nothing that happened or arrived later is in it, epoch seconds.
    events
        Each person's events, one row per event, columns as the fill declared them; None where there is nothing.
    scores
        Each person's scores of tags, float32; None where there are none.
    scored_by
        Names the models that the scores are of; empty for none.
    live
        How far the histories were in the live events; None where the fill takes none.
    """

    fill: str
    as_of: int
    events: list[pa.RecordBatch | None]
    scores: list[Scores | None]
    scored_by: str = ""
    live: HistoryLive | None = None

    @property
    def fresh(self) -> int:
        """Everything that had arrived by then is in the histories, live events included, epoch seconds."""
        return self.as_of if self.live is None else max(self.as_of, self.live.arrived_at)


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
    scored_by
        Names the models that the persons' scores are of; empty where there are no scores.
    """

    schema: pa.Schema
    as_of: int
    source: str
    people: int
    accounts: int
    scored_by: str = ""


class HistoryFill(ABC):
    """Histories on their way into the store, part by part; readers see all of them at once, on commit, or none.

    Attributes
    ----------
    done
        Name of the last part that an earlier, interrupted fill of the same source had added; empty for none.
    """

    done: str

    @abstractmethod
    def add(
        self,
        part: str,
        histories: Mapping[str, pa.RecordBatch],
        links: Mapping[str, str],
        scores: Mapping[str, Scores] = NO_SCORES,
    ) -> None:
        """Add the histories of some people, to stay also if the process dies before the commit.

        Parameters
        ----------
        part
            Name of the part, not empty.
        histories
            Person key → events, one row per event.
        links
            Account key → person key, of accounts whose person has another key.
        scores
            Person key → scores of tags, float32, of people with a history.

        Raises
        ------
        StoreError
            Events have other columns than the fill's.
        """

    @abstractmethod
    def share(self, name: str, content: bytes) -> None:
        """Add something that every answer needs; what has the name already is replaced."""

    @abstractmethod
    def live(self, seq: int, left_out: Sequence[str]) -> None:
        """Say how far the histories are, see `HistoryLive`, and of whom none is kept though there may be events.

        Without it, a fill takes no live events.
        """

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
    def fill(self, schema: pa.Schema, as_of: int, source: str, scored_by: str = "") -> HistoryFill:
        """Begin to fill the store, or go on where a fill of the same was interrupted.

        Parameters
        ----------
        schema
            Columns of every history.
        as_of
            Instant of the histories, epoch seconds.
        source
            Names what they are made of: equal sources, equal histories.
        scored_by
            Names the models that scores of tags are of; empty for none.

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
    def live(self) -> HistoryLive | None:
        """Return how far the histories are in the live events; None where the fill did not say it.

        Raises
        ------
        StoreError
            The store is missing or was never filled.
        """

    @abstractmethod
    def append(
        self,
        now: HistoryLive,
        seq: int,
        arrived_at: int,
        histories: Mapping[str, pa.RecordBatch],
        left_out: Sequence[str],
        *,
        told: bytes = b"",
    ) -> None:
        """Add events to histories and move the position: at once, or nothing.

        Parameters
        ----------
        now
            Where the store is.
        seq, arrived_at
            Where it is then, and when the latest of the events arrived, epoch seconds.
        histories
            Person key → new events, oldest first. They are put among the old ones by the columns that order a
            history; of whom was left out before, none are.
        left_out
            Persons of whom nothing is kept until the next fill.
        told
            What the events tell of notes, see `serving.histories.told.told_events`; nothing by default.

        Raises
        ------
        StoreError
            The store is elsewhere than `now` says, or events have other columns.
        """

    @abstractmethod
    def told(self) -> Told:
        """Return what live events told of notes since the fill; raises as `live`."""

    @abstractmethod
    def fold(self, told: Told, parts: Mapping[str, bytes]) -> None:
        """Replace what was told by parts that say as much; nothing happens where another fill serves by now."""

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


def merged(before: pa.RecordBatch, after: pa.RecordBatch) -> pa.RecordBatch:
    """Put events among those that were there, in the order of a history: by time, and the columns that decide then.

    Examples
    --------
    >>> one, two = (pa.record_batch({"time": times}) for times in ([10, 30], [20]))
    >>> merged(one, two)["time"].to_pylist()
    [10, 20, 30]
    """
    both = pa.concat_batches([before, after])
    order = [(name, "ascending") for name in ORDER if name in both.schema.names]
    return both.take(pc.sort_indices(both, order)) if order else both
