"""A disk that is really full: events are sent away, predictions stay up, nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.live_homes import event, live_home
from tests.serving.servers import free_port
from tests.torture.nursery import nursery
from tests.torture.truth import caught_up, filled_now, logged, moved, parity

SIZE, PIECE = 64_000_000, 64_000
TIMES = 5
ASKED = {"people": [{"platform": "shop", "account": f"a{n}"} for n in range(5)], "top": 3}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs more rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_leaves_predictions_up(disk: Path, tmp_path: Path) -> None:
    home = live_home(disk)
    filled_now(home)
    ballast, number = disk / "ballast", 0
    verdicts, refusals, statuses, acked = Counter[str](), Counter[int](), Counter[int](), set[str]()
    with nursery(home, free_port(), tmp_path / "said", PREDICTIONS_SHARE="1") as servers:
        servers.start()
        servers.answers()
        with httpx.Client(base_url=servers.url, timeout=60) as http:

            def send() -> httpx.Response:
                nonlocal number
                now = int(time.time())
                batch = [
                    event(n, f"a{n % 20}", now, shop="s" * 400) | {"event_id": f"live-{n}"}
                    for n in range(number, number + 100)
                ]
                answer = http.post("/v1/events", json={"events": batch})
                statuses[http.post("/v1/tags", json=ASKED).status_code] += 1
                if answer.status_code == 200:
                    verdicts.update(
                        {name: answer.json()[name] for name in ("accepted", "duplicate", "quarantined")}
                    )
                    acked.update(one["event_id"] for one in batch)
                    number += 100
                else:
                    refusals[answer.status_code] += 1
                    assert int(answer.headers["retry-after"]) > 0
                    assert answer.headers["content-type"] == "application/problem+json"
                return answer

            for _ in range(TIMES):
                assert send().status_code == 200
                fill_up(ballast)
                until = time.monotonic() + 60
                while send().status_code == 200:
                    assert time.monotonic() < until
                assert [send().status_code for _ in range(5)] == [503] * 5
                ballast.unlink()
                until = time.monotonic() + 60
                while send().status_code != 200:
                    assert time.monotonic() < until
                    time.sleep(0.2)
        caught_up(servers.url)
        found = parity(home)
        assert servers.stop() == 0
    moved(home)
    sys.stdout.write(
        f"full {TIMES} times: {dict(verdicts)}, sent away {dict(refusals)}; tags {dict(statuses)}; "
        f"parity: {found.rows} rows, {found.fed} fed, {found.different} differ\n"
    )
    assert set(statuses) == {200}
    assert set(refusals) == {503}
    in_log = logged(home)
    assert acked - in_log.keys() == set()
    assert {name: times for name, times in in_log.items() if times != 1} == {}
    # What was sent away was not taken all the same.
    assert verdicts == {"accepted": len(acked), "duplicate": 0, "quarantined": 0}
    assert in_log.keys() == acked
    assert found.differences == []


def fill_up(ballast: Path) -> None:
    """Write until there is no room for anything."""
    with ballast.open("ab", buffering=0) as file:
        for size in (PIECE, 512):
            try:
                while file.write(os.urandom(size)) == size:
                    pass
            except OSError:
                continue
