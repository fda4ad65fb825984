"""What answers for one kind of bundle: a single reference, replaced in one step by a better one that is ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Any, Generic, Literal, Protocol, TypeVar

from features.errors import StoreError, ZhongcaoError
from serving.messages.problems import Problem


class Answering(Protocol):
    """A scorer, of tags or of conversions."""

    bundle: Any

    def check(self) -> Any:
        """Raise a `StoreError` where the store does not hold what the bundle reads."""


S = TypeVar("S", bound=Answering)
A = TypeVar("A")


@dataclass(frozen=True)
class Next:
    """The bundle that the champion pointer names, while it does not answer.

    Parameters
    ----------
    bundle
        Its name.
    state
        It loads; it waits for a fill of the store; or it was refused, until the pointer is written again.
    problem
        Why it waits, or was refused.
    """

    bundle: str
    state: Literal["loads", "waits", "refused"]
    problem: ZhongcaoError | None = None


class Served(Generic[S]):
    """Holds the scorer that answers; any number of threads may ask, and one of them may replace it.

    A request takes the scorer once and is answered by it alone, whatever takes its place meanwhile. The old one's
    memory is given back when its last request has ended.

    Parameters
    ----------
    now
        The scorer; or why there is none.
    """

    def __init__(self, now: S | ZhongcaoError) -> None:
        self.now = now
        self.since = int(time.time())
        self.next: Next | None = None
        self.told: Callable[[], None] = lambda: None
        """Called after each change."""
        self._make: Callable[[], S] | None = None
        self._lock = RLock()

    def ready(self) -> S:
        """Return the scorer that answers now.

        Raises
        ------
        Problem
            There is none; it says why.
        """
        now = self.now
        if isinstance(now, ZhongcaoError):
            now = self.settle()
        if isinstance(now, ZhongcaoError):
            raise Problem(503, f"not ready: {plainly(now)}")
        return now

    def answer(self, ask: Callable[[S], A]) -> A:
        """Return what the scorer answers; one that just lost its rows to a new fill hands over to the fill's own.

        Raises
        ------
        Problem
            Nothing answers.
        StoreError
            The store does not hold what the scorer reads, and no other scorer waits for what it holds.
        """
        scorer = self.ready()
        try:
            return ask(scorer)
        except StoreError:
            after = self.settle()
            if after is scorer or isinstance(after, ZhongcaoError):
                raise
            return ask(after)

    def loads(self, bundle: str) -> None:
        """Say that a bundle is being checked; one that waited until now does not any more."""
        with self._lock:
            self._make = None
            self._tell(Next(bundle, "loads"))

    def refuse(self, bundle: str, problem: ZhongcaoError) -> None:
        """Leave everything as it is, and say why."""
        with self._lock:
            if isinstance(self.now, ZhongcaoError):
                self.now = problem
            self._tell(Next(bundle, "refused", problem))

    def offer(self, bundle: str, make: Callable[[], S]) -> None:
        """Let a loaded bundle answer as soon as the store holds what it reads.

        Parameters
        ----------
        bundle
            Its name.
        make
            Makes its scorer, warm; raises a `StoreError` where the store does not hold its rows.
        """
        with self._lock:
            self._make = make
            self._tell(Next(bundle, "loads"))
            self.settle()

    def settle(self) -> S | ZhongcaoError:
        """Try to replace the scorer by the one that waits, and return which answers now."""
        if self._make is None:
            return self.now
        with self._lock:
            make, waiting = self._make, self.next
            if make is None or waiting is None:
                return self.now
            try:
                scorer = make()
                if not isinstance(self.now, ZhongcaoError) and _answers(self.now):
                    scorer.check()
            except StoreError as error:
                if waiting.state != "waits":
                    if isinstance(self.now, ZhongcaoError):
                        self.now = error
                    self._tell(Next(waiting.bundle, "waits", error))
                return self.now
            except ZhongcaoError as error:
                self._make = None
                self.refuse(waiting.bundle, error)
                return self.now
            self.now, self.since, self._make = scorer, int(time.time()), None
            self._tell(None)
            return scorer

    def _tell(self, state: Next | None) -> None:
        self.next = state
        self.told()


def plainly(error: ZhongcaoError) -> str:
    """Say what is wrong and what to do; the value at fault may be a path, which is nobody's business outside."""
    return f"{error.problem}; {error.next_step}" if error.next_step else error.problem


def _answers(scorer: Answering) -> bool:
    try:
        scorer.check()
    except StoreError:
        return False
    return True
