"""Live events into the store of histories, from which conversions are predicted."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from features.errors import StoreError
from features.inbox.live_acts import acts_of_events
from features.inbox.mover import as_table
from features.people.acts import code_of
from serving.histories.fill import HISTORIES_READER
from serving.histories.packed import ACTS_SCHEMA, person_batches
from serving.histories.store import HistoryLive, HistoryStore
from serving.histories.told import FOLD_AT, folded, told_events
from serving.live.fed import ARRIVED_AT, Fed, FillNeededError, Rows, by_person

_FILL = "run `zhongcao fill`"


class FedHistories(Fed):
    """Histories of persons.

    Parameters
    ----------
    store
        Of histories.
    timezone
        The log's.
    withdrawn
        Tells who must not be personalised: of them nothing is kept.
    """

    name = HISTORIES_READER
    command = "zhongcao fill"

    def __init__(
        self, store: HistoryStore, timezone: str, withdrawn: Callable[[], AbstractSet[str]] = frozenset
    ) -> None:
        self._store = store
        self._timezone = timezone
        self._withdrawn = withdrawn
        self._parts = FOLD_AT

    def position(self) -> int:
        """Return how far the store is, see `Fed.position`."""
        return self._look().seq

    def take(self, after: int, rows: Rows) -> None:
        """Append events, see `Fed.take`."""
        live = self._look()
        if live.seq != after:
            raise StoreError("the store of histories was filled or updated meanwhile", value=live.seq)
        table = as_table(rows, self._timezone)
        mine, silent = by_person(table["account"].to_pylist(), self._store.resolve, self._withdrawn())
        codes = {person: code_of(person) for person in mine}
        of_event = [0] * len(rows)
        for person, events in mine.items():
            for event in events:
                of_event[event] = codes[person]
        agreeing = {code: person for person, code in codes.items() if person not in silent}
        histories = dict(person_batches(acts_of_events(table, of_event), agreeing))
        arrived_at = max(table["arrived_at"].to_pylist())
        told = told_events(table)
        self._store.append(live, int(rows[-1][0]), arrived_at, histories, sorted(silent), told=told)
        self._fold()

    def _fold(self) -> None:
        """Let what was told of notes not grow without end; after a start, nobody knows how much there is."""
        self._parts += 1
        if self._parts > FOLD_AT:
            told = self._store.told()
            if len(told.events) > FOLD_AT:
                self._store.fold(told, folded(told, self._timezone))
                told = self._store.told()
            self._parts = len(told.events)

    def skip(self, after: int, row: tuple[Any, ...]) -> None:
        """Leave an event out, see `Fed.skip`."""
        live = self._look()
        if live.seq != after:
            raise StoreError("the store of histories was filled or updated meanwhile", value=live.seq)
        self._store.append(live, int(row[0]), int(row[ARRIVED_AT]), {}, [])

    def _look(self) -> HistoryLive:
        live = self._store.live()
        if live is None:
            raise FillNeededError("the histories are as of an earlier day than the log's last", next_step=_FILL)
        if not self._store.describe().schema.equals(ACTS_SCHEMA, check_metadata=True):
            raise FillNeededError("the histories were filled by another version of zhongcao", next_step=_FILL)
        return live
