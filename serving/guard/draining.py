"""Stopping a server without an error for anybody: say so, wait, take no new connection, finish what is in work."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

import uvicorn


class Draining:
    """Whether the server is about to stop; `/readyz` says so, that a load balancer may send requests elsewhere."""

    def __init__(self) -> None:
        self.begun = False


class DrainingServer(uvicorn.Server):
    """A server that still answers for some seconds after SIGTERM, then takes no connection and finishes its work.

    SIGINT, or a second SIGTERM, ends the wait.

    Parameters
    ----------
    config
        Of uvicorn.
    draining
        Set by the signal.
    seconds
        How long new requests are still answered.
    """

    def __init__(self, config: uvicorn.Config, draining: Draining, seconds: float) -> None:
        super().__init__(config)
        self.draining = draining
        self._seconds = seconds
        self._stop_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or stop."""
        first = not self.draining.begun
        self.draining.begun = True
        if sig != signal.SIGTERM or not first or self._seconds == 0:
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self._stop_at = time.monotonic() + self._seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop, asked ten times a second."""
        if time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)
