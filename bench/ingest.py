"""Durable live events a second: the ingest function beside plain SQLite with the same durability, and over HTTP.

    python -m bench.ingest --json bench/results/ingest.json

Both write the same tables in files of the same disk (write-ahead log, synchronous=FULL: an fsync per commit),
turn by turn in one process. Plain SQLite gets rows that are ready. The ingest function starts from the bytes of a
body and does everything else as well: parsing, checks, pseudonyms, digests, the hand-over to the writer thread,
verdicts. With several callers it commits their batches together. Over HTTP the whole guarded application runs
under uvicorn in a process of its own, on loopback. With ``--home`` it says as well how long an event takes to show
in an answer, see `bench.event_to_score`.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from bench.event_to_score import event_to_score, show
from bench.harness import report, write_json
from bench.ingest_server import PATH, free_port, opened_ingest
from features.inbox.file import open_file, transaction
from features.inbox.live_content import contents

BATCHES: Final = (1, 10, 100, 1000)
CALLERS: Final = 4
SECONDS: Final = 1.5
TURNS: Final = 5
_numbers = count()


def events(size: int) -> list[dict[str, Any]]:
    """Return events as a shop sends them, with ids that never came before."""
    now = int(time.time()) - 5
    return [
        {
            "event_id": f"order-{number:09d}",
            "kind": "purchase",
            "event_time": now,
            "platform": "taobao",
            "account": f"buyer {number % 50_000}",
            "item": f"item-{number % 5_000}",
            "shop": "flagship",
            "order": f"{number // 3}",
            "amount": 100 + number % 90_000,
            "quantity": 1 + number % 3,
        }
        for number in (next(_numbers) for _ in range(size))
    ]


def body(size: int) -> bytes:
    """Return the body of a request."""
    return orjson.dumps({"events": events(size)})


def rate(step: Callable[[Any], None], made: Callable[[], Any], size: int, seconds: float) -> float:
    """Return events a second of `step`, called again and again on what `made` makes, which is not timed."""
    spent, done = 0.0, 0
    while spent < seconds:
        given = made()
        started = time.perf_counter()
        step(given)
        spent += time.perf_counter() - started
        done += size
    return done / spent


class PlainSqlite:
    """The same tables, written by one caller who has the rows ready."""

    def __init__(self, path: Path) -> None:
        self.connection = open_file(path, 0)
        self._seq = 0

    def rows(self, size: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[str]]:
        """Return rows of both tables, and the columns of the second."""
        sent = events(size)
        columns: dict[str, Sequence[Any]] = {name: [event[name] for event in sent] for name in sent[0]}
        columns["event_id"] = [f"taobao:purchase:{event_id}" for event_id in columns["event_id"]]
        columns["account"] = [f"{number:032x}" for number in range(size)]
        columns |= {"source": ["local"] * size, "arrived_at": columns["event_time"], "currency": ["CNY"] * size}
        seqs = range(self._seq, self._seq + size)
        self._seq += size
        seen = list(zip(columns["event_id"], contents(columns), seqs, strict=True))
        return seen, list(zip(seqs, *columns.values(), strict=True)), ["seq", *columns]

    def write(self, given: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[str]]) -> None:
        """Commit rows."""
        seen, rows, columns = given
        names = ", ".join(f'"{name}"' for name in columns)
        with transaction(self.connection):
            self.connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", seen)
            self.connection.executemany(
                f"INSERT INTO waiting ({names}) VALUES ({', '.join('?' * len(columns))})",
                rows,
            )


def function_part(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Return events a second by batch: of the ingest function, of plain SQLite, and the median of their ratios."""
    results: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        ingest = stack.enter_context(opened_ingest(folder / "ours"))
        plain = PlainSqlite(folder / "plain.sqlite")
        stack.enter_context(closing(plain.connection))

        def take(given: bytes) -> None:
            ingest.take(given, "bench")

        for size in BATCHES:
            turns: list[tuple[float, float, float]] = []
            for _ in range(TURNS):
                ours = rate(take, lambda size=size: body(size), size, seconds)  # type: ignore[misc]
                theirs = rate(plain.write, lambda size=size: plain.rows(size), size, seconds)  # type: ignore[misc]
                turns.append((ours, theirs, together(take, size, seconds)))
            ours, theirs, several = (statistics.median(column) for column in zip(*turns, strict=True))
            results[str(size)] = {
                "vs_sqlite": statistics.median(one / other for one, other, _ in turns),
                "ingest": ours,
                "sqlite": theirs,
                f"ingest_{CALLERS}_callers": several,
            }
    return results


def together(take: Callable[[bytes], None], size: int, seconds: float) -> float:
    """Return events a second of several callers at once, bodies made before."""
    bodies = [[body(size) for _ in range(max(2, 4000 // size))] for _ in range(CALLERS)]
    done = [0] * CALLERS
    started = time.perf_counter()

    def call(caller: int) -> None:
        for given in bodies[caller]:
            if time.perf_counter() - started > seconds:
                return
            take(given)
            done[caller] += size

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - started)


def http_part(folder: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Return events a second over HTTP by batch, from one connection and from several."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "bench.ingest_server", str(folder / "http"), str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{url}/livez")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        results = {}
        with httpx.Client(base_url=url, timeout=30) as http:

            def send(given: bytes) -> None:
                answer = http.post(PATH, content=given, headers={"Content-Type": "application/json"})
                answer.raise_for_status()

            for size in BATCHES:
                results[str(size)] = {
                    "http_1_connection": rate(send, lambda size=size: body(size), size, seconds),  # type: ignore[misc]
                    f"http_{CALLERS}_connections": together(send, size, seconds),
                }
        return results
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    parser.add_argument("--home", type=Path, help="a home with a champion: from an event to a changed score, too")
    given = parser.parse_args()
    # As in a server: what is loaded stays, and is not walked through again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with tempfile.TemporaryDirectory() as folder:
        function = function_part(Path(folder), given.seconds)
        http = http_part(Path(folder), given.seconds)
    rows = {size: function[size] | http[size] for size in function}
    report("durable live events a second, by events a batch", rows, list(next(iter(rows.values()))))
    found = {"batches": rows} | {f"vs_sqlite_{size}": rows[size]["vs_sqlite"] for size in rows}
    if given.home:
        delays = event_to_score(given.home.resolve())
        show("seconds from an event to a changed score", delays["beside"])
        found |= delays
    write_json(given.json, found)


if __name__ == "__main__":
    main()
