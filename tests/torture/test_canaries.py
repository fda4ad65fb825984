"""Ids that requests name, on every route: neither in what a server says, nor in its metrics, nor in its files."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from serving.api.route_examples import EXAMPLES
from serving.api.route_table import ROUTES
from tests.serving.canaries import CANARY, NAMED, found
from tests.serving.live_homes import event, live_home
from tests.serving.servers import free_port
from tests.torture.nursery import nursery
from tests.torture.truth import caught_up, filled_now

NEEDLES = [CANARY, NAMED]
RAW_KEPT = {"inbox.sqlite", "inbox.sqlite-wal", "inbox.sqlite-shm", "quarantine"}
"""Keep what was refused as it was sent, until it is replayed or erased."""


def with_canaries(value: Any) -> Any:
    """Return an example with the canary for every account, id and person in it."""
    if isinstance(value, dict):
        named = {"account": CANARY, "buyeruid": CANARY, "id": NAMED, "person": NAMED}
        return {
            key: named[key] if key in named and isinstance(one, str) else with_canaries(one)
            for key, one in value.items()
        }
    return [with_canaries(one) for one in value] if isinstance(value, list) else value


def test_no_id_of_a_request_is_said_anywhere(tmp_path: Path) -> None:
    home, said, metrics = live_home(tmp_path), tmp_path / "said", free_port()
    filled_now(home)
    now, statuses = int(time.time()), list[int]()
    with nursery(
        home, free_port(), said, METRICS_PORT=str(metrics), PREDICTIONS_SHARE="1", OPENRTB_IDS="user.buyeruid=shop"
    ) as servers:
        servers.start()
        servers.answers()
        about = {"Zhongcao-Platform": "shop", "Zhongcao-Account": CANARY}
        with httpx.Client(base_url=servers.url, timeout=60, headers=about) as http:
            bad = [event(1, CANARY, now, kind="no kind"), event(2, CANARY, 5), {CANARY: NAMED}, CANARY]
            sent = http.post("/v1/events", json={"events": [event(70_001, CANARY, now), *bad]})
            assert (sent.json()["accepted"], sent.json()["quarantined"]) == (1, 4)
            caught_up(servers.url)
            for route in ROUTES:
                body = with_canaries(EXAMPLES.get(route.name, (None, None))[0])
                path = route.path.replace("{", "").replace("}", "")
                for url in (route.path.split("{")[0] + CANARY if "{" in route.path else path, f"{path}?q={CANARY}"):
                    for content in (json.dumps(body), f'{{"{CANARY}": "{NAMED}"}}', f'{{"{CANARY}'):
                        given = None if route.request is None else content
                        answer = http.request(
                            route.method, url, content=given, headers={"Content-Type": "application/json"}
                        )
                        statuses.append(answer.status_code)
                http.request("TRACE", f"{path}/{CANARY}", headers={"Authorization": f"Bearer {CANARY}"})
        shown = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
        assert servers.stop() == 0
    sys.stdout.write(f"{len(statuses)} requests over {len(ROUTES)} routes: {sorted(set(statuses))}\n")
    assert 200 in statuses
    assert 500 not in statuses
    assert [needle for needle in NEEDLES if needle in shown] == []
    assert [needle for needle in NEEDLES if needle in said.read_text()] == []
    left = {Path(hit).parts[0] for hit in found(home.home, NEEDLES)}
    assert left <= RAW_KEPT, left
    assert not home.mlruns.exists() or found(home.mlruns, NEEDLES) == []
