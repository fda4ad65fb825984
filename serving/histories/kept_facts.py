"""The shared facts of the fill that serves, read beside the requests: only the very first fill is waited for."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final, TypeAlias

from features.errors import StoreError
from features.impressions.features import ImpressionFeatures
from features.impressions.moment import MomentRows
from features.impressions.note_tallies import HOUR
from serving.histories.packed import ACTS_SCHEMA
from serving.histories.shared_facts import SharedFacts
from serving.histories.store import Found, HistoryInfo, HistoryStore

_SETTLED_SECONDS: Final = 5
_log = logging.getLogger("zhongcao.serving")
Kept: TypeAlias = tuple[SharedFacts, MomentRows]


class KeptFacts:
    """Keeps what every answer needs; any number of threads may ask.

    Parameters
    ----------
    store
        Histories.
    features
        What rows are made of.
    """

    def __init__(self, store: HistoryStore, features: ImpressionFeatures) -> None:
        self._store, self._features = store, features
        self._kept: Kept | None = None
        self._reading: Future[Kept] | None = None
        self._hour = 0
        self._lock = Lock()

    def check(self) -> HistoryInfo:
        """Return what the store holds, once it is sure that it can be read.

        Raises
        ------
        StoreError
            The store is missing, empty, or was filled by another version.
        """
        info = self._store.describe()
        if not info.schema.equals(ACTS_SCHEMA, check_metadata=True):
            raise _of_another_version()
        return info

    def read(self) -> None:
        """Wait until the facts of the fill that serves are kept; raises as `check`."""
        self.of(self._store.get([]), wait=True)

    def of(self, found: Found, now: int = 0, *, wait: bool = False) -> Kept:
        """Return the facts of the fill of some histories, or of the fill before while its own are being read.

        Soon after each full hour, what live events told of notes is read anew: by then all that was known at the
        hour has been fed.

        Parameters
        ----------
        found
            Histories.
        now
            Epoch seconds; 0 reads nothing anew.
        wait
            Whether to wait for the facts of that fill.

        Raises
        ------
        StoreError
            The facts could not be read; the next call tries again.
        """
        kept = self._kept
        if kept is not None and kept[0].fill == found.fill and not self._late(kept[0], found, now):
            return kept
        with self._lock:
            reading = self._reading
            if reading is None:
                reading = self._reading = Future()
                Thread(target=self._read, args=(reading, now // HOUR), name="facts", daemon=True).start()
        if kept is None or wait or reading.done():
            return reading.result()
        if any(not one.schema.equals(ACTS_SCHEMA, check_metadata=True) for one in found.events if one is not None):
            raise _of_another_version()
        return kept

    def _late(self, facts: SharedFacts, found: Found, now: int) -> bool:
        if now // HOUR <= self._hour or now % HOUR < _SETTLED_SECONDS or found.live is None:
            return False
        return facts.told is None or found.live.seq > facts.told

    def _read(self, reading: Future[Kept], hour: int) -> None:
        try:
            self.check()
            told = self._store.told()
            shared = self._store.shared()
            facts = SharedFacts.of(shared, told if told.fill == shared.fill else None)
            kept = facts, MomentRows(self._features, facts.tallies)
            kept[1].warm(facts.as_of)
        except Exception as error:  # whoever waits is told, whatever it is
            _log.warning("what answers need beside the person could not be read: %s", type(error).__name__)
            self._end()
            reading.set_exception(error)
        else:
            self._kept, self._hour = kept, hour
            self._end()
            reading.set_result(kept)

    def _end(self) -> None:
        """Let the next call read anew; before those who wait are told, so that none of them finds this reading."""
        with self._lock:
            self._reading = None


def _of_another_version() -> StoreError:
    return StoreError(
        "the store of histories was filled by another version of zhongcao",
        next_step="run `zhongcao fill` to fill it anew",
    )
