"""Until when a caller wants an answer."""

from __future__ import annotations

from time import monotonic
from typing import Any, Final

from serving.messages.problems import Problem

TIMEOUT_HEADER: Final = "X-Request-Timeout-Ms"
"""Milliseconds that the caller waits for an answer, counted from when the request came in."""

MOST_MS: Final = 600_000
ARRIVED: Final = "zhongcao.arrived"
"""Where the connection notes in the ASGI scope when a request came in, in seconds of `monotonic`."""


def waited(scope: Any) -> float:
    """Return the seconds since a request came in; it may have waited behind others on the event loop."""
    arrived = scope.get(ARRIVED)
    return 0.0 if arrived is None else monotonic() - arrived


def asked_seconds(value: str | None) -> float | None:
    """Read the header; None where it was not sent.

    Raises
    ------
    Problem
        It is no whole number of milliseconds.

    Examples
    --------
    >>> asked_seconds("80"), asked_seconds(None)
    (0.08, None)
    """
    if value is None:
        return None
    # As ASCII: other scripts' digits are decimal, too.
    if not (value.isascii() and value.isdecimal() and len(value) < 8 and 0 < int(value) <= MOST_MS):
        raise Problem(422, f"{TIMEOUT_HEADER} must be a whole number of milliseconds from 1 to {MOST_MS}")
    return int(value) / 1000
