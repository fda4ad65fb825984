"""Work that is spread over processes: for what Python itself computes, which threads of one process do in turn."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Final, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")
_WAITING: Final = 2
"""Parts that are given to each process at once: one to work on, one to go on with."""


def in_processes(work: Callable[[Given], Made], given: Iterable[Given], processes: int) -> Iterator[Made]:
    """Yield what work makes of each part, in the order of the parts, in bounded memory.

    Parameters
    ----------
    work
        Sent along with each part; must be importable where it arrives.
    given
        Parts, read as far ahead as processes need. They are made in this process.
    processes
        How many; 1 works in this one.

    Yields
    ------
    Made
        What `work` returned.

    Raises
    ------
    Exception
        What `work` raised, at the part that it was raised by.

    Notes
    -----
    Processes are started anew and not forked: the libraries used here hold threads, whose locks a fork would copy
    as they are. They end with this one, however it ends. `work` is not given to them as they start: the start waits
    for ever for a process that ends before it has read more than a pipe holds.

    Examples
    --------
    >>> list(in_processes(abs, [-1, 2], 1))
    [1, 2]
    """
    if processes <= 1:
        yield from map(work, given)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
        yield from _in_order(pool, work, given, _WAITING * processes)


def in_threads(work: Callable[[Given], Made], given: Iterable[Given], threads: int) -> Iterator[Made]:
    """Yield what work makes of each part, as `in_processes` does: for work that libraries do beside Python.

    No more parts are begun than there are threads, so that so many results are held at most.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2], 2))
    [1, 2]
    """
    if threads <= 1:
        yield from map(work, given)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from _in_order(pool, work, given, threads - 1)


def _in_order(pool: Executor, work: Callable[[Given], Made], given: Iterable[Given], ahead: int) -> Iterator[Made]:
    waiting: deque[Future[Made]] = deque()
    try:
        for part in given:
            waiting.append(pool.submit(work, part))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _begin() -> None:
    # Ctrl-C is the first process's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
