"""The tries of one call: what each sends, how long it may take, and whether there is another."""

from __future__ import annotations

import math
import time
from typing import Any, Final, Generic, TypeVar

import httpx

from serving.client.calls import Call
from serving.client.retries import Retries

Answer = TypeVar("Answer")
TIMEOUT_HEADER: Final = "X-Request-Timeout-Ms"
_MOST_MS: Final = 600_000


class Attempts(Generic[Answer]):
    """Counts the tries of a call and the time that they take together.

    Parameters
    ----------
    call
        What is asked.
    retries
        Which calls are tried again, and when.
    timeout
        Seconds that one try may wait for a connection, and for each part of the answer.
    deadline
        Seconds for all tries together, which the server is told; None for as many as they take.
    """

    def __init__(self, call: Call[Answer], retries: Retries, timeout: float, deadline: float | None) -> None:
        self._call = call
        self._retries = retries
        self._timeout = timeout
        self._deadline = math.inf if deadline is None else deadline
        self._begun = time.monotonic()
        self._tried = 0

    def request(self) -> dict[str, Any]:
        """Return what the next try sends, as httpx takes it."""
        self._tried += 1
        call, left = self._call, self._deadline - (time.monotonic() - self._begun)
        headers = dict(call.headers)
        if left < math.inf:
            headers[TIMEOUT_HEADER] = str(min(max(1, int(left * 1000)), _MOST_MS))
        return {
            "method": call.method,
            "url": call.path,
            "content": call.content,
            "headers": headers,
            "timeout": min(max(left, 0.001), self._timeout),
        }

    def pause(self, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds to wait before the next try; None where there is to be none."""
        passed = time.monotonic() - self._begun
        wait = self._retries.wait(outcome, again=self._call.again, tried=self._tried, passed=passed)
        return None if wait is None or passed + wait >= self._deadline else wait
