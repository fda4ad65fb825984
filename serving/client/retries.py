"""Which calls are tried again, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import httpx

from serving.client.errors import retry_after

_BUSY: Final = frozenset({429, 503})


@dataclass(frozen=True)
class Retries:
    """How often and how long a call is tried.

    Tried again is what got no answer, where the call may be repeated, and what was answered 429 or 503 with a
    ``Retry-After``. Waiting times grow twofold and are drawn at random, so that many clients do not come back
    at once.

    Parameters
    ----------
    tries
        Most tries, the first included.
    first, most
        Longest wait after the first try, and after any, s; a server that asks for longer is not waited for.
    within
        No try is begun later than so many seconds after the first.

    Examples
    --------
    >>> busy = httpx.Response(503, headers={"Retry-After": "1"})
    >>> 1 <= Retries().wait(busy, again=True, tried=1, passed=0.2) <= 1.1
    True
    >>> Retries().wait(httpx.Response(503), again=True, tried=1, passed=0.2) is None
    True
    """

    tries: int = 3
    first: float = 0.1
    most: float = 5.0
    within: float = 30.0

    def wait(
        self, outcome: httpx.Response | httpx.RequestError, *, again: bool, tried: int, passed: float
    ) -> float | None:
        """Return the seconds to wait before the next try; None where there is to be none.

        Parameters
        ----------
        outcome
            Of the last try.
        again
            Whether the call may be repeated though a try may have succeeded unseen.
        tried
            Tries so far.
        passed
            Seconds since the first began.
        """
        asked: float | None = 0.0 if again else None
        if isinstance(outcome, httpx.Response):
            asked = retry_after(outcome) if again and outcome.status_code in _BUSY else None
        if asked is None or asked > self.most or tried >= self.tries:
            return None
        spread = min(self.first * 2 ** (tried - 1), self.most)
        wait = asked + random.uniform(0, spread)  # noqa: S311
        return wait if passed + wait <= self.within else None
