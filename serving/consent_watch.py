"""Who has withdrawn consent, kept up to date while a server runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Final, Self

from features.errors import StoreError, ZhongcaoError
from features.settings import Settings
from serving.consent import withdrawn_since

_log = logging.getLogger("zhongcao.serving")
_SECONDS: Final = 5.0
_ANYWAY_SECONDS: Final = 60.0
"""A withdrawal may be dated ahead: after so long the log is read again also where nothing was imported."""


class Withdrawn:
    """Tells whose rows in one store must not be used, as of the last look.

    Parameters
    ----------
    as_of
        Returns the instant of the rows: whose accounts were whose is as of then.
    """

    def __init__(self, as_of: Callable[[], int]) -> None:
        self._as_of = as_of
        self._people: frozenset[str] = frozenset()

    def __call__(self) -> frozenset[str]:
        """Return the keys of people who must not be personalised."""
        return self._people

    def look(self, settings: Settings) -> None:
        """Read who has withdrawn consent by now; of a store that was never filled, nobody is answered anyway."""
        try:
            as_of = self._as_of()
        except StoreError:
            self._people = frozenset()
            return
        self._people = frozenset(withdrawn_since(settings, as_of, int(time.time())))


class ConsentWatch:
    """Reads the log's word on consent again and again, in a thread of its own.

    Parameters
    ----------
    settings
        Where the log lies.
    seconds
        Between two looks.
    """

    def __init__(self, settings: Settings, seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._watched: list[Withdrawn] = []
        self._stamp: object = None
        self._stop = Event()
        self._thread = Thread(target=self._run, name="consent", daemon=True)

    def watch(self, as_of: Callable[[], int]) -> Withdrawn:
        """Keep up to date whose rows in a store must not be used; `as_of` returns the instant of its rows."""
        watched = Withdrawn(as_of)
        self._watched.append(watched)
        return watched

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._look()

    def _look(self) -> None:
        commits = self._settings.log_dir / "identities" / "_delta_log"
        imported = commits.stat().st_mtime_ns if commits.exists() else 0
        stamp = (imported, time.monotonic() // _ANYWAY_SECONDS)
        if stamp == self._stamp:
            return
        try:
            for watched in self._watched:
                watched.look(self._settings)
            self._stamp = stamp
        except ZhongcaoError as error:
            # What was known before goes on to hold.
            _log.warning("who has withdrawn consent could not be read: %s", error.problem)
