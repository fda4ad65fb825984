"""How many requests a second each API key may send, and how often each account may look at itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Final

from serving.guard.access import ApiKey
from serving.messages.problems import Problem

OWN_AT_ONCE: Final = 10
"""So often an account may look at itself at once, and within each further minute."""
_OWN_RATE: Final = OWN_AT_ONCE / 60


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
        left = _refilled(self._left.get(key.id, (most, now)), now, key.rate, most)
        self._left[key.id] = left - (left >= 1), now
        if left < 1:
            raise _too_many(f"this API key may send {key.rate:g} requests a second", left, key.rate)


class OwnRates:
    """A bucket of tokens per account: explaining all that is known of somebody costs as much as many predictions.

    What is kept of an account is a number that means nothing outside this process.

    Parameters
    ----------
    clock
        Seconds that only grow.
    most_accounts
        Beyond so many, whoever asked longest ago is forgotten.

    Examples
    --------
    >>> now = [0.0]
    >>> rates = OwnRates(lambda: now[0])
    >>> for _ in range(OWN_AT_ONCE + 1):
    ...     rates.take("shop", "ann")
    Traceback (most recent call last):
        ...
    serving.messages.problems.Problem: this account was asked about 10 times within a minute
    >>> rates.take("shop", "bob")
    >>> now[0] = 6.0
    >>> rates.take("shop", "ann")
    """

    def __init__(self, clock: Callable[[], float] = monotonic, most_accounts: int = 100_000) -> None:
        self._clock, self._most_accounts = clock, most_accounts
        self._left: dict[int, tuple[float, float]] = {}

    def take(self, platform: str, account: str) -> None:
        """Take a token; raises as `Rates.take`."""
        name, now = hash((platform, account)), self._clock()
        left = _refilled(self._left.pop(name, (OWN_AT_ONCE, now)), now, _OWN_RATE, OWN_AT_ONCE)
        self._left[name] = left - (left >= 1), now
        if len(self._left) > self._most_accounts:
            del self._left[next(iter(self._left))]
        if left < 1:
            raise _too_many(f"this account was asked about {OWN_AT_ONCE} times within a minute", left, _OWN_RATE)


def _refilled(bucket: tuple[float, float], now: float, rate: float, most: float) -> float:
    left, at = bucket
    return min(most, left + (now - at) * rate)


def _too_many(said: str, left: float, rate: float) -> Problem:
    return Problem(429, said, headers={"Retry-After": str(max(1, math.ceil((1 - left) / rate)))})
