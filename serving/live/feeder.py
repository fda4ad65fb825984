"""Live events become features: a thread that takes them from the inbox and hands them to what is fed."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from features.errors import InboxError, StoreError, ZhongcaoError
from features.inbox.file import LOG_READER
from features.inbox.hold import holder, no_fill
from features.inbox.inbox import Inbox

_log = logging.getLogger("zhongcao.serving")
_IDLE_SECONDS: Final = 0.5
_AFTER_ERROR_SECONDS: Final = 1.0
_AT_ONCE: Final = 256
"""Events: what is fed shows when all of them are in."""
_MOST_COUNTED: Final = 1000
Rows = Sequence[tuple[Any, ...]]


class FillNeededError(StoreError):
    """What is fed takes no events before it has been filled from the log."""


class Fed(ABC):
    """What live events are fed to, each once.

    Attributes
    ----------
    name
        Reader of the inbox.
    command
        Fills it from the log.
    """

    name: str
    command: str

    @abstractmethod
    def position(self) -> int:
        """Return the `seq` up to which it has taken events.

        Raises
        ------
        FillNeededError
            It takes none before it has been filled.
        ZhongcaoError
            It takes none now.
        """

    @abstractmethod
    def take(self, after: int, rows: Rows) -> None:
        """Take events, and move the position from `after` to the last of them: both or neither.

        Raises
        ------
        ZhongcaoError
            It is elsewhere, or cannot be written.
        """


@dataclass
class Feeding:
    """How far one of the fed is.

    Parameters
    ----------
    behind
        Events that it has not taken yet, 1,000 for more; None where that is not known.
    seconds
        For how long the oldest of them may have waited.
    problem
        Why it takes none.
    """

    behind: int | None = None
    seconds: float = 0.0
    problem: str = ""


def by_person(
    accounts: Sequence[str], resolve: Callable[[Sequence[str]], list[str]], withdrawn: AbstractSet[str]
) -> tuple[dict[str, list[int]], set[str]]:
    """Return person → numbers of the events, ascending, and who of them must not be personalised.

    Parameters
    ----------
    accounts
        Of each event.
    resolve
        From accounts to persons.
    withdrawn
        Keys of persons and accounts.
    """
    each = list(dict.fromkeys(accounts))
    owner = dict(zip(each, resolve(each), strict=True))
    mine: dict[str, list[int]] = {}
    for number, account in enumerate(accounts):
        mine.setdefault(owner[account], []).append(number)
    return mine, {person for account, person in owner.items() if account in withdrawn or person in withdrawn}


class Feeder:
    """Feeds while it is entered.

    Parameters
    ----------
    inbox
        Whose events.
    fed
        Who gets them, each at its own pace.
    """

    def __init__(self, inbox: Inbox, fed: Sequence[Fed]) -> None:
        self._inbox = inbox
        self._fed = fed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feeder", daemon=True)
        self._at: dict[str, int] = {}
        self._current = {one.name: time.monotonic() for one in fed}
        self.states = {one.name: Feeding() for one in fed}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def state(self, name: str) -> Feeding:
        """Return how far one of the fed is."""
        known = self.states[name]
        behind = known.behind
        waited = time.monotonic() - self._current[name] if behind or behind is None else 0.0
        return Feeding(behind, round(waited, 3), known.problem)

    def feed(self) -> bool:
        """Hand on some events to each that takes any; return whether more may be there."""
        more = [self._step(one) for one in self._fed]
        return any(more)

    def _work(self) -> None:
        while not self._stop.is_set():
            if self.feed():
                continue
            failed = [name for name, state in self.states.items() if state.problem]
            if len(failed) == len(self._fed):
                self._stop.wait(_AFTER_ERROR_SECONDS)
            else:
                self._inbox.wait(min(at for name, at in self._at.items() if name not in failed), _IDLE_SECONDS)

    def _step(self, fed: Fed) -> bool:
        known = self.states[fed.name]
        started = time.monotonic()
        try:
            position = self._position(fed)
            newest = self._inbox.last_seq
            rows = self._inbox.after(position, _AT_ONCE)
            if rows:
                fed.take(position, rows)
                position = int(rows[-1][0])
                self._inbox.passed(fed.name, position)
            self._let_go(fed)
        except (ZhongcaoError, OSError, sqlite3.Error) as error:
            said = error.problem if isinstance(error, ZhongcaoError) else type(error).__name__
            if isinstance(error, FillNeededError):
                said = f"{said}; {error.next_step}"
                self._give_up(fed)
            if said != known.problem:
                _log.warning("live events do not reach the %s: %s", fed.name, said)
            self.states[fed.name] = Feeding(None, problem=said)
            return False
        if known.problem:
            _log.info("live events reach the %s again", fed.name)
        # Events behind the position may all have left; to wait for those would be not to wait.
        self._at[fed.name] = position if rows else max(position, newest)
        behind = len(self._inbox.after(position, _MOST_COUNTED)) if position < self._inbox.last_seq else 0
        if not behind:
            self._current[fed.name] = started
        self.states[fed.name] = Feeding(behind)
        return bool(rows)

    def _position(self, fed: Fed) -> int:
        """Return its position, once it is sure that no event behind it has left the inbox."""
        position = fed.position()
        readers = self._inbox.readers()
        if fed.name not in readers:
            self._inbox.passed(fed.name, position)
        elif readers[fed.name] > position and holder(fed.name) not in readers:
            raise FillNeededError(
                f"the {fed.name} are older than what they had been fed, and events between may have left the inbox",
                next_step=f"run `{fed.command}`",
            )
        return position

    def _let_go(self, fed: Fed) -> None:
        """Let the events go that a fill held for it, once it has caught up with where it was before."""
        if holder(fed.name) in self._inbox.readers():
            with suppress(InboxError), no_fill(self._inbox.log.settings, fed.name):
                self._inbox.let_go(fed.name, fed.position())

    def _give_up(self, fed: Fed) -> None:
        """Keep in the inbox nothing that is in the log: what takes no events until it is filled finds it there."""
        with suppress(ZhongcaoError, OSError, sqlite3.Error), no_fill(self._inbox.log.settings, fed.name):
            try:
                self._position(fed)  # a fill may just have ended
            except FillNeededError:
                readers = self._inbox.readers()
                moved = readers.get(LOG_READER, -1)
                if fed.name in readers and readers[fed.name] < moved:
                    self._inbox.passed(fed.name, moved)
                if holder(fed.name) in readers:
                    self._inbox.let_go(fed.name, max(moved, readers.get(fed.name, -1)))
