"""How many requests a second each API key may send."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

from serving.guard.access import ApiKey
from serving.messages.problems import Problem


class Rates:
    """A bucket of tokens per key: one second's worth at most, so that a burst of that size passes at once.

    Parameters
    ----------
    clock
        Seconds that only grow.

    Examples
    --------
    >>> now = [0.0]
    >>> rates = Rates(lambda: now[0])
    >>> key = ApiKey("1c9f", "", "shop", ("ingest",), None, 0, None, rate=2)
    >>> for _ in range(3):
    ...     rates.take(key)
    Traceback (most recent call last):
        ...
    serving.messages.problems.Problem: this API key may send 2 requests a second
    >>> now[0] = 0.5
    >>> rates.take(key)
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: ApiKey) -> None:
        """Take a token.

        Raises
        ------
        Problem
            The key has sent as many as it may; 429, and after how many seconds the next one is taken.
        """
        if key.rate is None:
            return
        now, most = self._clock(), max(1.0, key.rate)
        left, at = self._left.get(key.id, (most, now))
        left = min(most, left + (now - at) * key.rate)
        if left < 1:
            self._left[key.id] = left, now
            again = str(max(1, math.ceil((1 - left) / key.rate)))
            said = f"this API key may send {key.rate:g} requests a second"
            raise Problem(429, said, headers={"Retry-After": again})
        self._left[key.id] = left - 1, now
