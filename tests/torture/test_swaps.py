"""200 swaps under load without a failed request, and every kind of corrupt bundle in many ways."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from features.people.identity import load_key
from features.settings import Settings
from serving.champions.open_scorers import Champions, open_scorers
from serving.champions.running_servers import await_servers
from serving.consent.watch import ConsentWatch
from serving.messages.schemas import AccountRef
from serving.online.sqlite_store import SqliteStore
from serving.scoring.scorer import Scorer
from tests.serving.bundle_variants import another
from tests.serving.corrupt_bundles import KINDS
from tests.serving.homes import tiny_home
from tests.serving.servers import free_port, running
from training.bundles.champion import champion_path, roll_back, verify_named
from training.bundles.manifest import TAGS
from training.bundles.pointer import Promotion, move_pointer
from training.tags.bundle import load_bundle

SWAPS = int(os.environ.get("SWAPS", "200"))
SEEDS = 20
ASKED = [{"platform": "shop", "account": f"a{i}"} for i in range(5)]
Said = list[list[tuple[str, float]]]


def said_by(home: Settings, folder: Path) -> Said:
    """Return what a bundle says of the people asked for."""
    store = SqliteStore(home.store_file)
    scorer = Scorer(load_bundle(folder), store, load_key(home))
    answers = scorer.tags([AccountRef(**one) for one in ASKED], top=5)
    store.close()
    return [[(tag.id, tag.probability) for tag in person.tags] for person in answers]


def resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_swaps_and_rollbacks_under_load_fail_no_request(tmp_path: Path) -> None:
    home = tiny_home(tmp_path)
    bundles = [another(champion_path(home), number) for number in range(10)]
    expected = {folder.name: said_by(home, folder) for folder in [champion_path(home), *bundles]}
    stop, seen = Event(), Counter[str]()

    def ask(url: str) -> Counter[str]:
        told = Counter[str]()
        # A swap takes processor time, too: callers without patience would be told to come again, on a busy machine.
        with httpx.Client(base_url=url, timeout=30, headers={"X-Request-Timeout-Ms": "10000"}) as http:
            while not stop.is_set():
                response = http.post("/v1/tags", json={"people": ASKED, "top": 5})
                answer: dict[str, Any] = response.json()
                said = [[(t["id"], t["probability"]) for t in p["tags"]] for p in answer.get("people", [])]
                good = response.status_code == 200 and said == expected[answer["model"]]
                told[answer["model"] if good else f"{response.status_code} {response.text[:200]}"] += 1
        return told

    def serves(url: str, name: str) -> None:
        until = time.monotonic() + 60
        while httpx.get(f"{url}/readyz", timeout=30).json().get("model") != name:
            assert time.monotonic() < until, name
            time.sleep(0.02)

    with running(home, free_port(), seconds=3600) as (process, url), ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, url) for _ in range(4)]
        try:
            sizes, rollbacks = [], []
            for number in range(SWAPS):
                begun = time.monotonic()
                if number % 10 == 9:
                    _, name = roll_back(home)
                    serves(url, name)
                    rollbacks.append(time.monotonic() - begun)
                else:
                    name = bundles[number % 10].name
                    move_pointer(home, TAGS, Promotion(name, number))
                    serves(url, name)
                if number >= 20:
                    sizes.append(resident_mb(process.pid))
        finally:
            stop.set()
        for one in asking:
            seen += one.result()
        assert "answers with it" in await_servers(home, TAGS, name)[0]
    failed = {said: count for said, count in seen.items() if said not in expected}
    sys.stdout.write(
        f"{SWAPS} swaps, {seen.total():,} requests, {sum(failed.values())} failed; rollbacks took "
        f"{max(rollbacks):.1f} s at most; memory {sizes[0]:.0f} MB after 20 swaps, {sizes[-1]:.0f} MB at the end\n"
    )
    assert not failed
    assert set(seen) >= {folder.name for folder in bundles[:9]}
    assert max(rollbacks) < 5
    assert sizes[-1] < 1.2 * sizes[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def champions(home: Settings) -> Iterator[tuple[Champions, Path]]:
    with ExitStack() as opened:
        yield open_scorers(home, ConsentWatch(home), opened), champion_path(home)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", KINDS)
def test_corrupt_bundles_are_refused_by_name(
    home: Settings, champions: tuple[Champions, Path], kind: str, seed: int
) -> None:
    (opened, good), corrupt = champions, KINDS[kind]
    folder, old, follower = corrupt.make(good, seed), opened.tags.now, opened.followers[0]
    follower._verify = partial(verify_named, seconds=10.0)
    move_pointer(home, TAGS, Promotion(folder.name, seed))
    follower.look()
    assert opened.tags.now is old
    assert opened.tags.next is not None
    assert (opened.tags.next.bundle, opened.tags.next.state) == (folder.name, "refused")
    assert folder.name in str(opened.tags.next.problem)
