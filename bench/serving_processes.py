"""Servers and senders of `bench.serving`: each a process on a core of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.ingest_server import free_port
from bench.serving_home import environment

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE, SENDER_CORE = CORES[0], CORES[-1]
_START_SECONDS: Final = 120


@contextmanager
def running(command: Sequence[str], home: Path, port: int) -> Iterator[int]:
    """Run a server that listens on the port, pinned to the first core; yield its process id."""
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(SERVER_CORE), sys.executable, "-m", *command],
        env={**os.environ, **environment(home), "ZHONGCAO_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def ours(home: Path) -> Iterator[tuple[int, int]]:
    """Run the server as its command starts it; yield process id and port."""
    port = free_port()
    with running(["serving.cli.main", "serve", "--port", str(port)], home, port) as pid:
        yield pid, port


@contextmanager
def peer(name: str, home: Path, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a peer, which may read and write in a folder; yield process id and port."""
    port = free_port()
    with running(["bench.serving_peers", name, str(home), str(folder), str(port)], home, port) as pid:
        yield pid, port


def sent(pid: int, order: Mapping[str, Any], bodies: Path) -> dict[str, Any]:
    """Run the sender, pinned to the last core; return its figures, and the CPU of the server per answer."""
    before = cpu_seconds(pid)
    done = subprocess.run(
        [sys.executable, "-m", "bench.serving_sender", str(bodies)],
        input=json.dumps({**order, "core": SENDER_CORE}),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    if not figures["per_s"]:
        raise SystemExit(f"no answer with status 200 in time ({figures['statuses']}): give more --seconds")
    cpu_ms = 1e3 * (cpu_seconds(pid) - before) / max(figures["answers"], 1)
    return {**figures, "cpu_ms": cpu_ms}


def cpu_seconds(pid: int) -> float:
    """Return what all threads of a process have used, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
