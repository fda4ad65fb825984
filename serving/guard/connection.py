"""One connection: what a caller may send before there is a request that the guard can judge."""

from __future__ import annotations

from time import monotonic
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.guard.deadlines import ARRIVED

MOST_HEAD_BYTES: Final = 65_536
"""Of request line and headers; uvicorn itself would keep as many as are sent."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with an end to request lines, headers and whatever else leads to no request."""

    _idle_bytes = 0
    _moved = False

    def on_headers_complete(self) -> None:
        """Note that the head of a request is there, and when: it may wait for others on the event loop."""
        self._moved = True
        self.scope[ARRIVED] = monotonic()  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a part of a body is there; the guard bounds bodies."""
        self._moved = True
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """Take bytes, up to a limit of those that bring nothing about."""
        self._moved = False
        super().data_received(data)
        self._idle_bytes = 0 if self._moved else self._idle_bytes + len(data)
        if self._idle_bytes > MOST_HEAD_BYTES:
            self.send_400_response(f"The head of a request may have {MOST_HEAD_BYTES} bytes at most.")
