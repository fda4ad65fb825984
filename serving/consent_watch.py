"""Who has withdrawn consent, kept up to date while a server runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Final, Self

from features.errors import ZhongcaoError
from features.settings import Settings
from serving.consent import withdrawn_since

_log = logging.getLogger("zhongcao.serving")
_SECONDS: Final = 10.0


class ConsentWatch:
    """Reads the log's word on consent again and again, in a thread of its own.

    Parameters
    ----------
    settings
        Where the log lies.
    as_of
        Returns the earliest instant of the rows that are served: whose accounts were whose is as of then.
    seconds
        Between two looks.
    """

    def __init__(self, settings: Settings, as_of: Callable[[], int], seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._as_of = as_of
        self._seconds = seconds
        self._withdrawn: frozenset[str] = frozenset()
        self._stop = Event()
        self._thread = Thread(target=self._run, name="consent", daemon=True)

    def __call__(self) -> frozenset[str]:
        """Return the keys of people who must not be personalised, as of the last look."""
        return self._withdrawn

    def look(self) -> None:
        """Read who has withdrawn consent by now."""
        self._withdrawn = frozenset(withdrawn_since(self._settings, self._as_of(), int(time.time())))

    def __enter__(self) -> Self:
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self.look()
            except ZhongcaoError as error:
                # What was known before goes on to hold.
                _log.warning("who has withdrawn consent could not be read: %s", error.problem)
