"""From an event to a changed score: how long until an answer of `POST /v1/tags` shows what was sent.

    python -m bench.event_to_score --home HOME --json bench/results/event_to_score.json

Works on a copy of a home with a champion, such as `bench.serving` makes: `zhongcao backfill` fills it, and a server
runs in a process of its own on loopback. Each event is of a person who is known already; the clock runs from before
`POST /v1/events` to the first answer with a later `as_of`, asked for every few milliseconds. Rows are as of whole
seconds, so events of a person are seconds apart. Other events come beside them, ten a request, at a rate that
does not wait for answers. The sender says how much of its time it was idle.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from bench.harness import report, write_json
from bench.serving_home import environment, made_home
from bench.serving_processes import ours

PERSONS: Final = 40
ROUNDS: Final = 4
EVERY_SECONDS: Final = 0.1
POLL_SECONDS: Final = 0.005
WAIT_SECONDS: Final = 10.0
BESIDE_BATCH: Final = 10
_numbers = count()


def event(person: str) -> dict[str, Any]:
    """Return an event of somebody, now."""
    number = next(_numbers)
    return {
        "event_id": f"bench-{os.getpid()}-{number}",
        "kind": "purchase",
        "event_time": int(time.time()),
        "platform": "bench",
        "account": person,
        "item": f"item-{number % 500}",
        "amount": 100 + number % 9_000,
    }


class Shop:
    """Sends events and asks for answers over one connection."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def send(self, *events: dict[str, Any]) -> None:
        """Send events; all must be accepted."""
        answer = self._http.post("/v1/events", json={"events": events})
        answer.raise_for_status()
        if answer.json()["accepted"] != len(events):
            raise RuntimeError(answer.text)

    def shown(self, person: str) -> tuple[int, list[float]]:
        """Return as of when the person's tags are, 0 for unknown, and the strongest probabilities."""
        answer = self._http.post("/v1/tags", json={"people": [{"platform": "bench", "account": person}], "top": 50})
        answer.raise_for_status()
        [one] = answer.json()["people"]
        return one["as_of"] or 0, [tag["probability"] for tag in one["tags"]]

    def delay(self, person: str) -> tuple[float, bool, float]:
        """Send an event of a person; return the seconds until it showed, whether scores changed, idle ones."""
        before, scores = self.shown(person)
        idle, started = 0.0, time.perf_counter()
        self.send(event(person))
        while time.perf_counter() - started < WAIT_SECONDS:
            after, now = self.shown(person)
            if after > before:
                return time.perf_counter() - started, now != scores, idle
            asleep = time.perf_counter()
            time.sleep(POLL_SECONDS)
            idle += time.perf_counter() - asleep
        raise RuntimeError("the event did not show")


def beside(port: int, rate: float, stop: threading.Event) -> None:
    """Send events of other people at a rate, whatever becomes of them."""
    shop = Shop(port)
    due = time.perf_counter()
    while rate and not stop.wait(max(0.0, due - time.perf_counter())):
        shop.send(*(event(f"other-{next(_numbers) % 2_000}") for _ in range(BESIDE_BATCH)))
        due += BESIDE_BATCH / rate


def measured(port: int, rate: float) -> dict[str, float]:
    """Return the delays beside other events at a rate."""
    shop, stop = Shop(port), threading.Event()
    people = [f"buyer-{rate:g}-{number}" for number in range(PERSONS)]
    noise = threading.Thread(target=beside, args=(port, rate, stop))
    noise.start()
    delays, changed, idle = [], 0, 0.0
    started = time.perf_counter()
    try:
        for person in people:
            shop.delay(person)
        for _ in range(ROUNDS):
            for person in people:
                due = time.perf_counter() + EVERY_SECONDS
                delay, other, asleep = shop.delay(person)
                delays.append(delay)
                changed += other
                rest = max(0.0, due - time.perf_counter())
                time.sleep(rest)
                idle += asleep + rest
    finally:
        stop.set()
        noise.join()
    p50, p99 = np.quantile(delays, [0.5, 0.99])
    return {
        "p50_s": float(p50),
        "p99_s": float(p99),
        "most_s": max(delays),
        "scores_changed": changed / len(delays),
        "sender_idle": idle / (time.perf_counter() - started),
        "events": float(len(delays)),
    }


def event_to_score(home: Path, rates: tuple[float, ...] = (0.0, 100.0)) -> dict[str, Any]:
    """Measure on a copy of a home.

    Parameters
    ----------
    home
        With a champion.
    rates
        Events a second beside those that are measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "home"
        shutil.copytree(home, copy, ignore=shutil.ignore_patterns("work", "bentoml-*"))
        subprocess.run(
            [sys.executable, "-m", "serving.cli.main", "backfill"],
            check=True,
            env={**os.environ, **environment(copy), "ZHONGCAO_THREADS": "2"},
        )
        with ours(copy) as (_, port):
            rows = {f"{rate:g} events/s beside": measured(port, rate) for rate in rates}
    last = list(rows.values())[-1]
    return {"beside": rows, "event_to_score_p50_s": last["p50_s"], "event_to_score_p99_s": last["p99_s"]}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    report(title, rows, list(next(iter(rows.values()))))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--home", type=Path, help="a home with a champion; made in --folder by default")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-serving"), help="where a made home is kept")
    given = parser.parse_args()
    found = event_to_score((given.home or made_home(given.folder)).resolve())
    show("seconds from an event to a changed score", found["beside"])
    write_json(given.json, found)


if __name__ == "__main__":
    main()
