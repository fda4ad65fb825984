r"""The sender of `bench.serving`: a process of its own that keeps connections busy, or sends at given times.

    echo '{"port": 3000, "path": "/v1/tags", "connections": 16, "seconds": 5}' \
        | python -m bench.serving_sender BODIES

BODIES is a JSON file with a list of texts, which are sent in turn. Without ``rate`` each connection sends its next
request when the answer is there (closed loop). With it requests are due at the instants of a Poisson process,
whatever the server does (open loop); a request that finds no connection free waits for one, and its time counts
from when it was due. Prints a JSON object; ``idle`` is the share of the time in which the sender had nothing to do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

WARM_SHARE = 0.2
"""Of the time, at the start, that does not count."""


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, answered: Callable[[Connection, int], None]) -> None:
        self._answered = answered
        self._buffer = bytearray()
        self._missing = 0
        self._status = 0
        self.due = 0.0

    def connection_made(self, transport: Any) -> None:
        """Keep the way out."""
        self._transport = transport

    def send(self, request: bytes, due: float) -> None:
        """Send a request whose time counts from `due`."""
        self.due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of an answer."""
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self._status = int(head[9:12])
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            self._missing = length - (len(self._buffer) - end - 4)
            self._buffer.clear()
        if self._missing == 0:
            self._answered(self, self._status)

    def connection_lost(self, error: Exception | None) -> None:
        """Note an answer that will not come."""
        if error is not None:
            self._answered(self, 0)


class Sending:
    """What was sent and answered."""

    def __init__(self, order: dict[str, Any], bodies: list[str]) -> None:
        head = f"POST {order['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in order.get("headers", {}).items())
        requests = [f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode() for body in bodies]
        self._requests: Iterator[bytes] = cycle(requests)
        self._order = order
        self._free: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._answers: list[tuple[float, float, int]] = []
        self._until = 0.0

    async def run(self) -> dict[str, Any]:
        """Send for as long as was ordered."""
        loop = asyncio.get_running_loop()
        for _ in range(self._order["connections"]):
            _, one = await loop.create_connection(
                lambda: Connection(self._answered), "127.0.0.1", self._order["port"]
            )
            self._free.append(one)
        seconds = self._order["seconds"]
        started, cpu = time.perf_counter(), time.process_time()
        self._until = started + seconds
        if "rate" in self._order:
            await self._scheduled(started)
        else:
            while self._free:
                self._free.popleft().send(next(self._requests), time.perf_counter())
            await asyncio.sleep(seconds)
        busy = (time.process_time() - cpu) / (time.perf_counter() - started)
        return self._figures(started + WARM_SHARE * seconds) | {"idle": 1 - busy}

    async def _scheduled(self, started: float) -> None:
        rate, seconds = self._order["rate"], self._order["seconds"]
        rng = np.random.default_rng(self._order.get("seed", 1))
        for due in started + np.cumsum(rng.exponential(1 / rate, int(rate * seconds))):
            while (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            if self._free:
                self._free.popleft().send(next(self._requests), due)
            else:
                self._waiting.append(due)

    def _answered(self, one: Connection, status: int) -> None:
        now = time.perf_counter()
        self._answers.append((now, now - one.due, status))
        if status == 0:
            return
        if "rate" not in self._order:
            if now < self._until:
                one.send(next(self._requests), now)
        elif self._waiting:
            one.send(next(self._requests), self._waiting.popleft())
        else:
            self._free.append(one)

    def _figures(self, counted_from: float) -> dict[str, Any]:
        counted = [answer for answer in self._answers if counted_from <= answer[0] <= self._until]
        accepted = np.array([took for _, took, status in counted if status == 200]) * 1e3
        span = self._until - counted_from
        return {
            "per_s": len(accepted) / span,
            "p50_ms": float(np.quantile(accepted, 0.5)) if len(accepted) else float("nan"),
            "p99_ms": float(np.quantile(accepted, 0.99)) if len(accepted) else float("nan"),
            "offered_per_s": len(counted) / span,
            "statuses": dict(Counter(str(status) for *_, status in counted)),
            "answers": sum(status == 200 for *_, status in self._answers),
            "unsent": len(self._waiting),
        }


def main(bodies: Path) -> None:
    """Read an order, send, and print what came of it."""
    order = json.load(sys.stdin)
    if "core" in order:
        os.sched_setaffinity(0, {order["core"]})
    sending = Sending(order, json.loads(bodies.read_text(encoding="utf-8")))
    print(json.dumps(asyncio.run(sending.run())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
