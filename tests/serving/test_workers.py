from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

from serving.guard.workers import Ticket, Workers, kind_of
from serving.messages.problems import Problem

LARGE = kind_of("/v1/conversions", 20_000)
SMALL = kind_of("/v1/tags", 60)


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2, wait_seconds=0.1)
    yield made
    made.close()


def done(workers: Workers, work: Callable[[], Awaitable[object]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))  # type: ignore[arg-type]


async def learn(workers: Workers, kind: tuple[str, int], seconds: float) -> None:
    """Let the workers see one such request; time stands for work, as far as they know."""
    ticket = workers.admit(kind, 0, None)
    await workers.run(ticket, lambda: time.sleep(seconds))
    workers.leave(ticket)


def test_who_would_wait_too_long_is_refused_and_told_when_to_come_again(workers: Workers) -> None:
    async def work() -> None:
        await learn(workers, LARGE, 0.15)
        assert workers.wait() == 0
        tickets = [workers.admit(LARGE, 0, None), workers.admit(LARGE, 0, None)]
        # Two threads, two requests of 0.15 s or a little more: the next one waits about 0.15 s.
        assert 0.15 <= workers.wait() < 1
        with pytest.raises(Problem, match="busier") as refused:
            workers.admit(LARGE, 0, None)
        assert refused.value.status == 503
        assert refused.value.kind.name == "overloaded"
        assert refused.value.headers == {"Retry-After": "1"}
        # Who says that it has the time may wait, the others not even with a small request.
        tickets.append(workers.admit(LARGE, 0, 5.0))
        with pytest.raises(Problem, match="busier"):
            workers.admit(SMALL, 0, 0.01)
        for ticket in tickets:
            workers.leave(ticket)
        assert workers.open == 0
        workers.leave(workers.admit(LARGE, 0, None))

    done(workers, work)


def test_a_request_that_waits_for_nobody_is_tried_whatever_its_likes_took(workers: Workers) -> None:
    async def work() -> None:
        await learn(workers, LARGE, 0.05)
        workers.leave(workers.admit(LARGE, 0, 0.001))
        with pytest.raises(Problem, match="busier"):
            workers.admit(LARGE, 0.2, None)

    done(workers, work)


def test_what_was_never_measured_counts_for_nothing(workers: Workers) -> None:
    async def work() -> None:
        tickets = [workers.admit(("/v1/events", 5), 0, None) for _ in range(50)]
        assert workers.wait() == 0
        for ticket in tickets:
            workers.leave(ticket)

    done(workers, work)


def test_short_work_is_done_on_the_event_loop_and_long_work_in_threads(workers: Workers) -> None:
    async def where(kind: tuple[str, int]) -> int:
        ticket = workers.admit(kind, 0, None)
        try:
            return await workers.run(ticket, threading.get_ident)
        finally:
            workers.leave(ticket)

    async def work() -> None:
        here = threading.get_ident()
        assert await where(SMALL) != here
        assert await where(SMALL) == here
        await learn(workers, LARGE, 0.05)
        assert await where(LARGE) != here

    done(workers, work)


def test_what_a_job_raises_is_raised(workers: Workers) -> None:
    def fail() -> None:
        raise Problem(422, "no such thing")

    async def work() -> None:
        ticket = workers.admit(SMALL, 0, None)
        with pytest.raises(Problem, match="no such thing"):
            await workers.run(ticket, fail)
        workers.leave(ticket)
        assert workers.open == 0

    done(workers, work)


def test_a_job_that_was_given_up_counts_until_its_thread_is_free_and_is_not_begun_after_that() -> None:
    workers, gate, begun = Workers(1, wait_seconds=0.1), threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        begun.set()
        gate.wait(10)

    async def ask(job: Callable[[], object], seconds: float | None) -> Ticket:
        ticket = workers.admit(LARGE, 0, seconds)
        try:
            async with asyncio.timeout(seconds):
                await workers.run(ticket, job)
        except TimeoutError:
            pass
        finally:
            workers.leave(ticket)
        return ticket

    async def work() -> None:
        running = asyncio.create_task(ask(first, 0.2))
        waiting = asyncio.create_task(ask(lambda: ran.append("waiting"), 0.2))
        await running
        await waiting
        assert begun.is_set()
        # The one in the thread is still work; the other one will never be.
        assert workers.open == 1
        gate.set()
        while workers.open:
            await asyncio.sleep(0.001)
        await ask(lambda: ran.append("later"), None)

    asyncio.run(asyncio.wait_for(work(), 20))
    workers.close()
    assert ran == ["later"]


def test_what_writes_counts_as_work_until_it_waits_for_the_disk(workers: Workers) -> None:
    def compute() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    async def work() -> None:
        limiter, waits, go_on = anyio.CapacityLimiter(4), threading.Event(), threading.Event()
        events = kind_of("/v1/events", 20_000)

        def store(_: None) -> str:
            waits.set()
            return "stored" if go_on.wait(10) else "never"

        ticket = workers.admit(events, 0, None)
        asked = asyncio.create_task(workers.run_beside(ticket, compute, store, limiter))
        await asyncio.to_thread(waits.wait, 10)
        await asyncio.sleep(0)
        assert workers.open == 0  # It waits, and nobody for it.
        go_on.set()
        assert await asked == "stored"
        workers.leave(ticket)
        # Two that compute are ahead of whoever comes next, by 0.02 s of processor time each or a little more.
        computing = [workers.admit(events, 0, None) for _ in range(2)]
        assert 0.02 <= workers.wait() < 0.2
        for one in computing:
            workers.leave(one)

    done(workers, work)
