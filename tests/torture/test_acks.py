"""Every acknowledgement follows a sync of the inbox's file: seen from outside, in the server's system calls."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from tests.serving.live_homes import event, filled, live_home
from tests.serving.servers import free_port, running

REQUESTS = 100
_ASKED = '"POST /v1/events'
_WRITE, _SYNC, _ACK = "write", "sync", "ack"
_CALLS = {"pwrite64": _WRITE, "fdatasync": _SYNC, "fsync": _SYNC}
_BEGUN = re.compile(r"^(\d+) +(\w+)\(\d+<([^>]*)>(.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>.*= (-?\d+)")


def test_each_acknowledgement_follows_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    home, trace = live_home(tmp_path), tmp_path / "trace"
    filled(home)
    monkeypatch.setenv("ZHONGCAO_MOVE_SECONDS", "86400")
    with running(home, free_port(), seconds=600) as (process, url), httpx.Client(base_url=url, timeout=30) as http:
        http.post("/v1/events", json={"events": [event(999, "a1", int(time.time()))]})
        calls = "trace=pwrite64,fsync,fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
        command = ["strace", "-f", "-y", "-qq", "-e", calls, "-o", str(trace), "-p", str(process.pid)]
        with subprocess.Popen(command) as tracer:
            until = time.monotonic() + 30
            while not trace.exists() or not Path(f"/proc/{process.pid}/status").read_text().count(
                f"TracerPid:\t{tracer.pid}"
            ):
                assert time.monotonic() < until
                time.sleep(0.05)
            for number in range(REQUESTS):
                # By then the feeder has noted how far it is, which writes and syncs the file, too.
                time.sleep(0.1)
                said = http.post("/v1/events", json={"events": [event(1000 + number, "a1", int(time.time()))]})
                assert said.json()["accepted"] == 1
            tracer.terminate()
    lines = trace.read_text().splitlines()
    acks, early = early_acks(lines)
    assert sum(_ASKED in line for line in lines) == REQUESTS
    sys.stdout.write(f"{acks} acknowledgements, {early} of them before the inbox was synced\n")
    assert (acks, early) == (REQUESTS, 0)


def early_acks(lines: Iterable[str]) -> tuple[int, int]:
    """Return how many answers were sent, and how many when no write and sync had come since their request."""
    done, unfinished, acks, early = "", dict[str, str](), 0, 0
    for line in lines:
        if _ASKED in line:
            done = ""
            continue
        if (resumed := _RESUMED.match(line)) is not None:
            thread, call, code = resumed.groups()
            what = unfinished.pop(thread, "")
            happened = what if code == "0" or what != _SYNC else ""
        elif (begun := _BEGUN.match(line)) is not None:
            thread, call, file, rest = begun.groups()
            if file.endswith("inbox.sqlite-wal"):
                happened = _CALLS.get(call, "")
                if "<unfinished" in rest:
                    unfinished[thread], happened = happened, ""
                elif happened == _SYNC and not rest.endswith("= 0"):
                    happened = ""
            else:
                happened = _ACK if '"HTTP/1.1 200' in rest else ""
        else:
            continue
        if happened == _ACK:
            acks, early, done = acks + 1, early + (done != _SYNC), ""
        elif happened == _WRITE:
            # What is written behind the sync is the feeder's, which the commit has woken.
            done = done or _WRITE
        elif happened == _SYNC and done == _WRITE:
            done = _SYNC
    return acks, early


WAL, SOCKET = "9</home/inbox.sqlite-wal>", "12<TCP:[127.0.0.1:80->127.0.0.1:9]>"
ASKED = f'8 read({SOCKET}, "POST /v1/events HTTP/1.1\\r\\n"..., 65536) = 300'
WRITTEN = f'7 pwrite64({WAL}, "x", 1, 0) = 1'
SYNCED = f"7 fdatasync({WAL}) = 0"
ANSWERED = f'8 write({SOCKET}, "HTTP/1.1 200 OK\\r\\n"..., 300) = 300'


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([ASKED, WRITTEN, SYNCED, ANSWERED], (1, 0)),
        ([WRITTEN, SYNCED, ASKED, ANSWERED], (1, 1)),
        ([WRITTEN, ANSWERED, SYNCED], (1, 1)),
        ([WRITTEN, SYNCED, ANSWERED, ANSWERED], (2, 1)),
        ([ASKED, WRITTEN, SYNCED, WRITTEN, ANSWERED], (1, 0)),
        ([WRITTEN, SYNCED, ASKED, WRITTEN, ANSWERED], (1, 1)),
        ([WRITTEN, f"7 fdatasync({WAL} <unfinished ...>", ANSWERED, "7 <... fdatasync resumed>) = 0"], (1, 1)),
        ([WRITTEN, f"7 fdatasync({WAL} <unfinished ...>", "7 <... fdatasync resumed>) = 0", ANSWERED], (1, 0)),
        ([WRITTEN, f"7 fdatasync({WAL}) = -1 EIO", ANSWERED], (1, 1)),
        ([WRITTEN, f"7 fdatasync({SOCKET}) = 0", ANSWERED], (1, 1)),
    ],
)
def test_an_early_acknowledgement_is_seen(lines: list[str], found: tuple[int, int]) -> None:
    assert early_acks(lines) == found
