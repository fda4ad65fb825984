"""Who has withdrawn consent, kept up to date while a server runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Final, Self

from features.errors import StoreError, ZhongcaoError
from features.settings import Settings
from serving.consent import next_word, withdrawn_since

_log = logging.getLogger("zhongcao.serving")
_SECONDS: Final = 5.0
"""Between two looks; a withdrawal is heeded so long after it counts, and as long as the reading takes, at most."""


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

    @property
    def as_of(self) -> int | None:
        """Instant of the rows, None while there are none."""
        try:
            return self._as_of()
        except StoreError:
            return None

    def look(self, settings: Settings) -> None:
        """Read who has withdrawn consent by now; of a store that was never filled, nobody is answered anyway."""
        as_of = self.as_of
        found = [] if as_of is None else withdrawn_since(settings, as_of, int(time.time()))
        self._people = frozenset(found)


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
        self._next: int | None = None
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
        stamp = (imported, [watched.as_of for watched in self._watched])
        now = int(time.time())
        if stamp == self._stamp and (self._next is None or now < self._next):
            return
        try:
            # Read before the people are: what begins to count meanwhile is looked at again.
            self._next = next_word(self._settings, now)
            for watched in self._watched:
                watched.look(self._settings)
            self._stamp = stamp
        except ZhongcaoError as error:
            # What was known before goes on to hold.
            _log.warning("who has withdrawn consent could not be read: %s", error.problem)
