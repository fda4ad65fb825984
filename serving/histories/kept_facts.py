"""The shared facts of the fill that serves, read beside the requests: only the very first fill is waited for."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TypeAlias

from features.errors import StoreError
from features.impressions.features import ImpressionFeatures
from features.impressions.moment import MomentRows
from serving.histories.packed import ACTS_SCHEMA
from serving.histories.shared_facts import SharedFacts
from serving.histories.store import Found, HistoryInfo, HistoryStore

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

    def of(self, found: Found, *, wait: bool = False) -> Kept:
        """Return the facts of the fill of some histories, or of the fill before while its own are being read.

        Raises
        ------
        StoreError
            The facts could not be read; the next call tries again.
        """
        kept = self._kept
        if kept is not None and kept[0].fill == found.fill:
            return kept
        with self._lock:
            reading = self._reading
            if reading is None:
                reading = self._reading = Future()
                Thread(target=self._read, args=(reading,), name="facts", daemon=True).start()
        if kept is None or wait or reading.done():
            return reading.result()
        if any(not one.schema.equals(ACTS_SCHEMA, check_metadata=True) for one in found.events if one is not None):
            raise _of_another_version()
        return kept

    def _read(self, reading: Future[Kept]) -> None:
        try:
            self.check()
            facts = SharedFacts.of(self._store.shared())
            kept = facts, MomentRows(self._features, facts.tallies)
            kept[1].warm(facts.as_of)
        except Exception as error:  # whoever waits is told, whatever it is
            _log.warning("what answers need beside the person could not be read: %s", type(error).__name__)
            self._end()
            reading.set_exception(error)
        else:
            self._kept = kept
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
