"""Work over processes and threads: the same as in one, in order, and nothing is left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from features.processes import in_processes, in_threads

_SLEEPS = """
from features.processes import in_processes
from tests.features.test_processes import pid_and_wait

if __name__ == "__main__":
    for pid in in_processes(pid_and_wait, [0, 60], 2):
        print(pid, flush=True)
"""


def pid_and_wait(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_parts(processes: int) -> None:
    assert list(in_processes(math.sqrt, (number * number for number in range(20)), processes)) == list(range(20))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_results_in_order_and_what_work_raises_at_its_part(threads: int) -> None:
    assert list(in_threads(math.sqrt, (number * number for number in range(20)), threads)) == list(range(20))
    made = in_threads(math.sqrt, [4, -1, 9], threads)
    assert next(made) == 2
    with pytest.raises(ValueError, match="math domain error"):
        next(made)


def test_threads_hold_no_more_results_than_they_are() -> None:
    begun: list[int] = []
    made = in_threads(begun.append, range(100), 3)
    next(made)
    assert sorted(begun) == list(range(len(begun)))
    assert len(begun) <= 3
    made.close()  # type: ignore[attr-defined]


def test_parts_are_read_no_further_ahead_than_processes_need() -> None:
    read: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    made = in_processes(abs, parts(), 2)
    assert next(made) == 0
    assert len(read) == 5
    made.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_work_raises_comes_at_its_part(processes: int) -> None:
    made = in_processes(math.sqrt, [4, -1, 9], processes)
    assert next(made) == 2
    with pytest.raises(ValueError, match="math domain error"):
        next(made)


def test_a_process_that_ends_is_told_of() -> None:
    with pytest.raises(BrokenProcessPool):
        list(in_processes(os._exit, [3], 2))


def test_processes_end_with_the_one_that_began_them(tmp_path: Path) -> None:
    script = tmp_path / "sleeps.py"
    script.write_text(_SLEEPS, encoding="utf-8")
    first = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout is not None
    other = int(first.stdout.readline())
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()
    until = time.monotonic() + 20
    while Path(f"/proc/{other}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{other}").exists()
