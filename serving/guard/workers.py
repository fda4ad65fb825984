"""Where requests are scored: few threads, a queue whose wait is estimated, and short work done at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from serving.guard.deadlines import TIMEOUT_HEADER
from serving.messages.problems import Problem

Answer = TypeVar("Answer")
Made = TypeVar("Made")
Kind = tuple[str, int]
"""Route, and the size of the body to a power of two: what costs about the same."""

_SHORT_SECONDS: Final = 0.003
_NO_WAIT_SECONDS: Final = 0.005
_NEWEST_SHARE: Final = 0.1


@dataclass(eq=False)
class Ticket:
    """One admitted request: what it resembles, and the job that a thread does for it."""

    kind: Kind
    job: Future[Any] | None = None


class Workers:
    """Threads that score, and who may join their queue; the event loop's thread alone may call it.

    A request whose likes take less than 1.5 ms is answered on the event loop: handing it to a thread and back takes
    longer than others wait for it. Anything else goes to the threads. A job that was given up before a thread took
    it is never done; one that a thread is at counts as work until its end.

    Parameters
    ----------
    threads
        Requests scored at the same time.
    wait_seconds
        How long a request may wait for its turn where it does not say itself how long it can.
    """

    def __init__(self, threads: int, wait_seconds: float = math.inf) -> None:
        self._threads = threads
        self._wait_seconds = wait_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
        self._costs: dict[Kind, float] = {}
        self._open: set[Ticket] = set()

    @property
    def open(self) -> int:
        """Admitted requests that are not done."""
        return len(self._open)

    def wait(self) -> float:
        """Return the seconds until a thread is free, as estimated."""
        # A copy, since the thread that shows metrics asks, too.
        costs = [cost for ticket in list(self._open) if (cost := self._costs.get(ticket.kind)) is not None]
        return 0.0 if len(costs) < self._threads else sum(costs) / self._threads

    def admit(self, kind: Kind, waited: float, seconds: float | None) -> Ticket:
        """Let a request join, or refuse it at once rather than answer it and those behind it late.

        Parameters
        ----------
        kind
            What it resembles.
        waited
            Seconds since it came in.
        seconds
            Within which it wants an answer, counted from when it came in; None where it did not say.

        Raises
        ------
        Problem
            It would wait too long.
        """
        ahead = self.wait()
        allowed = self._wait_seconds if seconds is None else seconds - self._costs.get(kind, 0.0)
        # Who waits for nobody is tried whatever its likes took: an estimate that was too high mends itself so.
        if waited + ahead > max(allowed, _NO_WAIT_SECONDS):
            said = f"busier than this request can wait for; try again, or say in {TIMEOUT_HEADER} how long it can"
            again = str(max(1, math.ceil(ahead)))
            raise Problem(503, said, headers={"Retry-After": again}, kind="overloaded")
        ticket = Ticket(kind)
        self._open.add(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Note that a request was answered or given up."""
        job = ticket.job
        if job is None or job.done():
            self._open.discard(ticket)
            return
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._open.discard, ticket))

    async def run(self, ticket: Ticket, job: Callable[[], Answer]) -> Answer:
        """Return what a job returns, and learn from how long it took."""
        if self._costs.get(ticket.kind, math.inf) <= _SHORT_SECONDS:
            answer, seconds = _timed(job)
        else:
            future = self._pool.submit(partial(_timed, job))
            ticket.job = future
            answer, seconds = await asyncio.wrap_future(future)
        self._learn(ticket.kind, seconds)
        return answer

    async def run_beside(
        self, ticket: Ticket, job: Callable[[], Made], then: Callable[[Made], Answer], limiter: CapacityLimiter
    ) -> Answer:
        """Do a job beside the threads that score, then what waits for a disk; return what that returns.

        The job takes processor time from those who score, so it counts as work ahead of others until its end;
        whoever waits for a disk is in nobody's way.
        """
        loop = asyncio.get_running_loop()

        def done(seconds: float) -> None:
            self._learn(ticket.kind, seconds)
            self._open.discard(ticket)

        def both() -> Answer:
            made, seconds = _timed(job, time.thread_time)
            loop.call_soon_threadsafe(done, seconds)
            return then(made)

        return await run_sync(both, limiter=limiter)

    def _learn(self, kind: Kind, seconds: float) -> None:
        before = self._costs.get(kind, seconds)
        self._costs[kind] = before + _NEWEST_SHARE * (seconds - before)

    def close(self) -> None:
        """Do no more jobs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def kind_of(path: str, length: int) -> Kind:
    """Return what a request resembles.

    Examples
    --------
    >>> kind_of("/v1/tags", 60) == kind_of("/v1/tags", 50), kind_of("/v1/tags", 60) == kind_of("/v1/tags", 6_000)
    (True, False)
    """
    return path, length.bit_length()


def _timed(job: Callable[[], Answer], clock: Callable[[], float] = time.perf_counter) -> tuple[Answer, float]:
    started = clock()
    answer = job()
    return answer, clock() - started
