"""Live events become features: a thread that takes them from the inbox and hands them to what is fed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from features.errors import InboxError
from features.inbox.file import LOG_READER
from features.inbox.hold import holder, no_fill
from features.inbox.inbox import Inbox
from features.inbox.tries import EXPECTED, Tries, said_of
from serving.live.fed import Fed, FillNeededError, Rows

_log = logging.getLogger("zhongcao.serving")
_IDLE_SECONDS: Final = 0.5
_AFTER_ERROR_SECONDS: Final = 1.0
_AT_ONCE: Final = 256
"""Events: what is fed shows when all of them are in."""
_NARROWER: Final = 16
_TRIES_ALONE: Final = 3
_ASIDE_IN_A_ROW: Final = 10
"""Events: where more cannot be taken one after another, it is not the events' fault."""
_MOST_HELD: Final = 200_000
"""Events of the log that stay in the inbox for what takes none now: a tenth of what it may hold."""
_MOST_COUNTED: Final = 1000


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
    failures
        Tries that failed in a row.
    aside
        Events that it could not take, and is without.
    lacks
        What came into the log by file and is not in it, and what to do.
    """

    behind: int | None = None
    seconds: float = 0.0
    problem: str = ""
    failures: int = 0
    aside: int = 0
    lacks: str = ""


@dataclass
class _Alone:
    """The event that is tried by itself, and how many in a row were set aside."""

    seq: int = -1
    tries: int = 0
    aside: int = 0


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
        self._tries = {one.name: Tries() for one in fed}
        self._not_before = {one.name: 0.0 for one in fed}
        self._alone = {one.name: _Alone() for one in fed}
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
        behind, problem = known.behind, known.problem
        if self._thread.ident is not None and not (self._thread.is_alive() or self._stop.is_set()):
            behind, problem = None, "the thread that feeds has ended; start the server again"
        waited = time.monotonic() - self._current[name] if behind or behind is None else 0.0
        aside = sum(self._inbox.reasons_aside().get(name, {}).values())
        return Feeding(behind, round(waited, 3), problem, self._tries[name].failed, aside)

    def feed(self) -> bool:
        """Hand on some events to each that takes any; return whether more may be there."""
        more = [self._step(one) for one in self._fed]
        return any(more)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except Exception as error:
                # Of the inbox itself: each step tells of its own.
                _log.warning("live events are not fed for now: %s", said_of(error))
                self._stop.wait(_AFTER_ERROR_SECONDS)

    def _round(self) -> None:
        now = time.monotonic()
        more = [self._step(one) for one in self._fed if self._not_before[one.name] <= now]
        if any(more):
            return
        going = [at for name, at in self._at.items() if not self.states[name].problem]
        if going:
            self._inbox.wait(min(going), _IDLE_SECONDS)
        else:
            self._stop.wait(_AFTER_ERROR_SECONDS)

    def _step(self, fed: Fed) -> bool:
        name, started = fed.name, time.monotonic()
        try:
            more = self._some(fed, started)
        except Exception as error:
            self._failed(fed, error)
            return False
        if self.states[name].problem:
            _log.info("live events reach the %s again", name)
        self._tries[name].succeed()
        return more

    def _some(self, fed: Fed, started: float) -> bool:
        position = self._position(fed)
        newest = self._inbox.last_seq
        rows: Rows = self._inbox.after(position, _AT_ONCE)
        # Whoever was retired between the two may lack some.
        self._require_all(fed, position)
        if rows:
            position = self._take(fed, position, rows)
            self._inbox.passed(fed.name, position)
        self._let_go(fed)
        # Events behind the position may all have left; to wait for those would be not to wait.
        self._at[fed.name] = position if rows else max(position, newest)
        behind = len(self._inbox.after(position, _MOST_COUNTED)) if position < self._inbox.last_seq else 0
        if not behind:
            self._current[fed.name] = started
        self.states[fed.name] = Feeding(behind)
        return bool(rows)

    def _take(self, fed: Fed, position: int, rows: Rows) -> int:
        """Hand on events, fewer where one of them cannot be taken; return the position behind them."""
        while True:
            try:
                fed.take(position, rows)
            except EXPECTED:
                raise
            except Exception as error:
                if len(rows) == 1:
                    self._leave_out(fed, position, rows[0], error)
                    break
                rows = rows[: max(1, len(rows) // _NARROWER)]
            else:
                self._alone[fed.name] = _Alone()
                break
        return int(rows[-1][0])

    def _leave_out(self, fed: Fed, position: int, row: tuple[Any, ...], error: Exception) -> None:
        """Set an event aside after some tries; raise the error before, and where too many failed in a row."""
        alone, seq = self._alone[fed.name], int(row[0])
        alone.tries = alone.tries + 1 if alone.seq == seq else 1
        alone.seq = seq
        if alone.tries < _TRIES_ALONE or alone.aside >= _ASIDE_IN_A_ROW:
            raise error
        self._inbox.set_aside(fed.name, seq, type(error).__name__)
        fed.skip(position, row)
        alone.aside += 1
        _log.warning("an event that the %s could not take was set aside: %s", fed.name, type(error).__name__)

    def _failed(self, fed: Fed, error: Exception) -> None:
        name, said = fed.name, said_of(error)
        pause = self._tries[name].fail()
        if isinstance(error, FillNeededError):
            said = f"{said}; {error.next_step}"
        if not isinstance(error, EXPECTED):
            said = f"{said}, again and again" if self._tries[name].failed > 1 else said
            self._not_before[name] = time.monotonic() + pause
        if said != self.states[name].problem:
            _log.warning("live events do not reach the %s: %s", name, said)
        self.states[name] = Feeding(None, problem=said)
        with suppress(*EXPECTED):
            self._give_up(fed, needs_fill=isinstance(error, FillNeededError))

    def _position(self, fed: Fed) -> int:
        """Return its position, once it is sure that no event behind it has left the inbox."""
        position = fed.position()
        self._require_all(fed, position)
        if fed.name not in self._inbox.readers() or fed.name in self._inbox.retired():
            self._inbox.passed(fed.name, position)
        return position

    def _require_all(self, fed: Fed, position: int) -> None:
        readers = self._inbox.readers()
        if readers.get(fed.name, position) > position and holder(fed.name) not in readers:
            raise FillNeededError(
                f"the {fed.name} are older than what they had been fed, and events between may have left the inbox",
                next_step=f"run `{fed.command}`",
            )

    def _let_go(self, fed: Fed) -> None:
        """Let the events go that a fill held for it, once it has caught up with where it was before."""
        if holder(fed.name) in self._inbox.readers():
            with suppress(InboxError), no_fill(self._inbox.log.settings, fed.name):
                self._inbox.let_go(fed.name, fed.position())

    def _give_up(self, fed: Fed, *, needs_fill: bool) -> None:
        """Retire what takes no events until it is filled, or takes none for long: the log has them for the fill."""
        readers = self._inbox.readers()
        known = min((readers[name] for name in (fed.name, holder(fed.name)) if name in readers), default=None)
        if known is None:
            return
        pinned = holder(fed.name) in readers or fed.name not in self._inbox.retired()
        moved = readers.get(LOG_READER, -1)
        if not pinned or not (needs_fill or self._inbox.holds(known, moved, _MOST_HELD)):
            return
        with no_fill(self._inbox.log.settings, fed.name):
            if needs_fill:
                with suppress(FillNeededError):
                    self._position(fed)  # a fill may just have ended
                    return
            self._inbox.retire(fed.name)
        if not needs_fill:
            _log.warning("events wait for the %s no longer: `%s` reads them from the log", fed.name, fed.command)
