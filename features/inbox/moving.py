"""The thread that moves live events into the log every so often, and goes on whatever fails."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final, Self

from features.inbox.file import LOG_READER
from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.inbox.tries import Tries, said_of

_MOST_COUNTED: Final = 1000
_log = logging.getLogger("zhongcao.inbox")


@dataclass(frozen=True)
class Moving:
    """How the moves into the log go.

    Parameters
    ----------
    waiting
        Events that are not in the log yet, 1,000 for more.
    seconds
        Since the last move, or the beginning, where any wait.
    problem
        Why the last one was not.
    failures
        Moves that failed in a row.
    aside
        Events that the log could not take.
    """

    waiting: int
    seconds: float
    problem: str
    failures: int
    aside: int


class Mover:
    """Moves every so many seconds, in a thread of its own, while it is entered; and once more when it is left.

    Parameters
    ----------
    inbox
        The inbox.
    seconds
        From one move to the next.
    """

    def __init__(self, inbox: Inbox, seconds: float) -> None:
        self._inbox = inbox
        self._seconds = seconds
        self._stop = threading.Event()
        self._tries = Tries()
        self._problem = ""
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="mover", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def state(self) -> Moving:
        """Return how the moves go."""
        problem = self._problem
        if self._thread.ident is not None and not (self._thread.is_alive() or self._stop.is_set()):
            problem = "the thread that moves has ended; start the server again"
        aside = sum(self._inbox.reasons_aside().get(LOG_READER, {}).values())
        waiting = self._inbox.behind(LOG_READER, _MOST_COUNTED)
        seconds = round(time.monotonic() - self._moved_at, 3) if waiting else 0.0
        return Moving(waiting, seconds, problem, self._tries.failed, aside)

    def _work(self) -> None:
        stopped, pause = False, self._seconds
        while not stopped:
            stopped = self._stop.wait(pause)
            try:
                done = move(self._inbox, self._inbox.log)
            except Exception as error:
                # Whatever it is, the next move may do better; while there is none, all of them stay on disk.
                pause = min(self._seconds, self._tries.fail())
                said = said_of(error)
                if said != self._problem:
                    _log.warning("live events stay in the inbox for now: %s", said)
                self._problem = said
                continue
            self._tries.succeed()
            pause, self._problem, self._moved_at = self._seconds, "", time.monotonic()
            if done.events or done.quarantined:
                _log.info("moved %d live events, %d into quarantine", done.events, done.quarantined)
