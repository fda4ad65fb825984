"""The one thread that writes the inbox: what has gathered since its last commit goes to disk together."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from features.errors import InboxError
from features.inbox.batch import LiveBatch, Verdict
from features.inbox.file import held, last_seq, put, transaction
from features.inbox.ids import LogIds
from features.rights.tombstones import Tombstones

_GROUP_ROWS: Final = 20_000
_log = logging.getLogger("zhongcao.inbox")
Answer = TypeVar("Answer")
Job = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True)
class InboxLimits:
    """When callers are sent away, so that neither memory nor the disk fills up.

    Parameters
    ----------
    queued
        Events between a request and the disk.
    waiting
        Events that some reader, such as the mover into the log, has not taken yet.
    refused_bytes
        Text of events on their way into quarantine.
    """

    queued: int = 50_000
    waiting: int = 2_000_000
    refused_bytes: int = 256_000_000


class InboxWriter:
    """Commits batches in the order in which they come, several at once where several wait.

    Parameters
    ----------
    connection
        Of the inbox; used by the thread alone, and closed by it.
    ids
        Ids of the log, taken in before a commit that could meet them.
    tombstones
        Who was erased, perhaps since a batch was read.
    limits
        When callers are sent away.
    """

    def __init__(
        self, connection: sqlite3.Connection, ids: LogIds, tombstones: Tombstones, limits: InboxLimits
    ) -> None:
        self._connection = connection
        self._ids = ids
        self._tombstones = tombstones
        self._limits = limits
        self._queue: SimpleQueue[tuple[LiveBatch | Job, Future[Any]] | None] = SimpleQueue()
        self._admission = threading.Lock()
        self._queued = 0
        self._closed = False
        self._changed = threading.Condition()
        self._last_seq = last_seq(connection)
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self._thread.start()

    def submit(self, batch: LiveBatch) -> Future[list[Verdict]]:
        """Queue a batch; its verdicts are there when it is on disk.

        Raises
        ------
        InboxError
            Too much is queued, or the inbox is being closed.
        """
        size = len(batch.verdicts)
        with self._admission:
            if self._queued and self._queued + size > self._limits.queued:
                raise InboxError("events arrive faster than the disk takes them", retry_after=1, busy=True)
            future = self._enqueue(batch)
            self._queued += size
        return future

    def run(self, job: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Let the thread do something to the file between two commits, and wait for it.

        Raises
        ------
        InboxError
            The disk does not take it, or the inbox is being closed.
        """
        with self._admission:
            future = self._enqueue(job)
        answer: Answer = future.result()
        return answer

    def begin(self, job: Job) -> None:
        """Let the thread do something to the file before all else, and do not wait for it."""
        with self._admission:
            self._enqueue(job)

    def wait(self, seq: int, timeout: float) -> bool:
        """Wait until an event behind `seq` has been committed; return whether there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._last_seq > seq or self._closed, timeout)
            return self._last_seq > seq

    @property
    def last_seq(self) -> int:
        """Of the newest event that was committed."""
        return self._last_seq

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._admission:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _enqueue(self, task: LiveBatch | Job) -> Future[Any]:
        if self._closed:
            raise InboxError("the inbox is being closed", retry_after=5)
        future: Future[Any] = Future()
        self._queue.put((task, future))
        return future

    def _work(self) -> None:
        ended = False
        while not ended:
            batches: list[LiveBatch] = []
            futures: list[Future[Any]] = []
            rows, job = 0, None
            while job is None and rows < _GROUP_ROWS and not ended:
                try:
                    entry = self._queue.get(block=not batches)
                except Empty:
                    break
                if entry is None:
                    ended = True
                elif isinstance(entry[0], LiveBatch):
                    batches.append(entry[0])
                    futures.append(entry[1])
                    rows += len(entry[0].verdicts)
                else:
                    job = entry
            if batches:
                self._answer(futures, lambda batches=batches: self._commit(batches))  # type: ignore[misc]
                with self._admission:
                    self._queued -= rows
            if job is not None:
                task, future = job
                self._answer([future], lambda task=task: [task(self._connection)])  # type: ignore[misc]
        with self._changed:
            self._changed.notify_all()
        self._connection.close()
        self._tombstones.close()

    def _answer(self, futures: Sequence[Future[Any]], work: Callable[[], Sequence[Any]]) -> None:
        """Give each waiting caller its answer, or all of them the reason why there is none."""
        try:
            answers = work()
        except Exception as error:
            failure: Exception = error
            if isinstance(error, sqlite3.Error | OSError):
                _log.warning("the inbox cannot be written: %s", error)
                failure = InboxError("the disk does not take events now", retry_after=30)
            for future in futures:
                future.set_exception(failure)
            return
        for future, answer in zip(futures, answers, strict=True):
            future.set_result(answer)

    def _commit(self, batches: Sequence[LiveBatch]) -> list[list[Verdict]]:
        self._ids.load(self._connection, sure=False)
        waiting, refused_bytes = held(self._connection)
        if waiting >= self._limits.waiting or refused_bytes >= self._limits.refused_bytes:
            raise InboxError("too many events wait to be moved into the log", retry_after=60)
        with transaction(self._connection):
            # An erasure is known before the inbox is cleared of the person: what is committed later must see it.
            accounts = {account for batch in batches if batch.places for account in batch.columns["account"]}
            if self._tombstones.erased(accounts):
                raise InboxError("somebody was erased while their event was on its way", retry_after=1)
            answers = [put(self._connection, batch) for batch in batches]
        with self._changed:
            self._last_seq = last_seq(self._connection)
            self._changed.notify_all()
        return answers
