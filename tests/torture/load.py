"""Shops that send events, ad servers that ask for tags, whatever happens to the server, and what they were told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from tests.serving.live_homes import KINDS, event

NEW, AGAIN = 12, 3
_NUMBERS_OF_A_THREAD = 10_000_000
_WAITS = {429, 503}


class Load:
    """Threads that send and ask while it is entered, and note each answer.

    What was sent without an answer is sent again until there is one, as shops do.

    Parameters
    ----------
    url
        Of the server, which may come and go.
    senders, askers
        How many threads send and ask.
    moment
        The time of the next event.
    """

    def __init__(
        self, url: str, senders: int = 3, askers: int = 2, moment: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self.url = url
        self.events: dict[str, dict[str, Any]] = {}
        self.accepted = Counter[str]()
        self.acked: set[str] = set()
        self.outcomes = Counter[str]()
        self.sent = 0
        self.asked = Counter[int]()
        self.strange: list[str] = []
        self.broken = 0
        self._moment = moment
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._given_up = False
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(senders)]
        self._threads += [threading.Thread(target=self._ask) for _ in range(askers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._stop.set()
        self._given_up = failed is not None
        for thread in self._threads:
            thread.join()

    def _send(self, thread: int) -> None:
        number = first = thread * _NUMBERS_OF_A_THREAD
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self._stop.is_set():
                batch = [
                    event(n, f"a{n % 37}", self._moment(), KINDS[n % len(KINDS)]) | {"event_id": f"live-{n}"}
                    for n in range(number, number + NEW)
                ]
                old = [self.events[f"live-{n}"] for n in range(max(number - AGAIN, first), number) if n % 2]
                other = [old[0] | {"event_time": old[0]["event_time"] - 1}] if old else []
                with self._lock:
                    self.events |= {one["event_id"]: one for one in batch}
                items = [*batch, *old, *other, {"bad": number}]
                # To the very end: what was sent is answered by the server that comes next.
                while not self._taken(http, items) and not self._given_up:
                    time.sleep(0.1)
                number += NEW

    def _taken(self, http: httpx.Client, items: list[dict[str, Any]]) -> bool:
        try:
            answer = http.post("/v1/events", json={"events": items})
        except httpx.TransportError:
            self.broken += 1
            return False
        if answer.status_code != 200:
            self._refused(answer)
            return False
        said = answer.json()
        verdicts = [verdict["verdict"] for verdict in said["verdicts"]]
        with self._lock:
            self.sent += len(items)
            self.outcomes.update({name: said[name] for name in ("accepted", "duplicate", "quarantined", "refused")})
            for item, verdict in zip(items, verdicts, strict=True):
                if verdict in {"accepted", "duplicate"}:
                    self.acked.add(item["event_id"])
                    self.accepted[item["event_id"]] += verdict == "accepted"
        return True

    def _ask(self) -> None:
        body = {"people": [{"platform": "shop", "account": f"a{n}"} for n in range(5)], "top": 3}
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self._stop.is_set():
                with suppress(httpx.TransportError):
                    answer = http.post("/v1/tags", json=body, headers={"X-Request-Timeout-Ms": "10000"})
                    self.asked[answer.status_code] += 1
                    if answer.status_code != 200:
                        self._refused(answer)
                time.sleep(0.02)

    def _refused(self, answer: httpx.Response) -> None:
        if answer.status_code in _WAITS and "retry-after" in answer.headers:
            time.sleep(0.05)
        else:
            self.strange.append(f"{answer.status_code} {answer.text[:300]}")
