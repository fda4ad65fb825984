"""Servers that start fast, with a clock that can be put forward and back: ``python -m tests.torture.nursery PORT``.

A process that has imported everything waits for words on standard input. ``start`` forks a child in which the
command line runs ``zhongcao serve`` with the environment's settings: the same code as ever, but the champion's
golden rows are not scored in a process of its own again, and events are moved and fed in small steps, so that a
kill finds them in the middle of it. ``kill`` ends it with SIGKILL and says what it was at, ``stop`` ends it with
SIGTERM, ``clock N`` sets its clock N seconds ahead.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from features.settings import Settings
from tests.source_tree import ROOT

AT_ONCE, MOVE_SECONDS = 64, 0.25
AT = ("committing", "moving", "feeding")
START_SECONDS = 60
_CLOCK = len(AT)


class Nursery:
    """Starts and ends servers of a home, one at a time.

    Parameters
    ----------
    process
        The process that forks them.
    port
        Theirs.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> int:
        """Fork a server and return its process id; its port opens later."""
        return int(self._told("start"))

    def kill(self) -> list[str]:
        """End the server with SIGKILL; return what it was at."""
        return self._told("kill").split()

    def stop(self) -> int:
        """End the server with SIGTERM; return its exit code."""
        return int(self._told("stop"))

    def clock(self, ahead: int) -> None:
        """Set the clock of the servers so many seconds ahead of the true one."""
        self._told(f"clock {ahead}")

    def answers(self) -> None:
        """Wait until the server answers."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(f"{self.url}/livez")
            except httpx.TransportError:
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.02)
            else:
                return

    def _told(self, word: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, "the nursery has ended"
        return said.strip()


@contextmanager
def nursery(home: Settings, port: int, log: Path, **more: str) -> Iterator[Nursery]:
    """Open a nursery for a home; what its servers say goes into a file."""
    given = {"HOME": str(home.home), "MLRUNS": str(home.mlruns), "CONFIG": os.devnull, "THREADS": "2", **more}
    # A child that is forked beside threads of OpenMP would wait for them.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment |= {f"ZHONGCAO_{name}": value for name, value in given.items()}
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.nursery", str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        try:
            yield Nursery(process, port)
        finally:
            process.terminate()
            process.communicate()


def main(port: int) -> None:
    shared = mmap.mmap(-1, len(AT) + 8)
    true = time.time
    time.time = lambda: true() + struct.unpack_from("q", shared, _CLOCK)[0]
    _prepare(shared)
    child = 0
    try:
        for line in sys.stdin:
            word, *more = line.split()
            said: object = ""
            if word == "start":
                shared[: len(AT)] = bytes(len(AT))
                said = child = os.fork()
                if not child:
                    _serve(port)
            elif word == "clock":
                struct.pack_into("q", shared, _CLOCK, int(more[0]))
            else:
                os.kill(child, signal.SIGKILL if word == "kill" else signal.SIGTERM)
                code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                child = 0
                at = " ".join(name for place, name in enumerate(AT) if shared[place])
                said = at if word == "kill" else code
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()
    finally:
        if child:
            os.kill(child, signal.SIGKILL)


def _prepare(shared: mmap.mmap) -> None:
    """Import everything, after the clock was set that default arguments take, and mark what a server is at."""
    champions, events = import_module("serving.champions.open_scorers"), import_module("serving.api.events")
    moving, writer = import_module("features.inbox.moving"), import_module("features.inbox.writer")
    feeder, check = import_module("serving.live.feeder"), import_module("training.bundles.champion").check_whole
    import_module("serving.server.serve")

    def marked(place: int, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **more: Any) -> Any:
            shared[place] = 1
            try:
                return work(*given, **more)
            finally:
                shared[place] = 0

        return run

    _compile()
    champions.verify_named = check
    events.Mover = lambda inbox, _: moving.Mover(inbox, MOVE_SECONDS)
    feeder._AT_ONCE = AT_ONCE
    writer.InboxWriter._commit = marked(0, writer.InboxWriter._commit)
    moving.move = marked(1, moving.move)
    feeder.Feeder._step = marked(2, feeder.Feeder._step)


def _compile() -> None:
    """Compile what each server would read from the folder of compiled code, and start no thread: none is forked."""
    settings = import_module("serving.cli.settings").scoring_settings()
    bundle = import_module("tests.serving.live_homes").champion(settings)
    bundle.model.warm()
    store = import_module("serving.online.sqlite_store").SqliteStore(settings.store_file)
    live = store.live()
    store.close()
    import_module("serving.online.live_rows").RowFacts.of_json(live.facts).layout(bundle).warm()


def _serve(port: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.argv = ["zhongcao", "serve", "--port", str(port)]
    code = 1
    try:
        import_module("serving.cli.main").main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def terminated(*_: object) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    main(int(sys.argv[1]))
