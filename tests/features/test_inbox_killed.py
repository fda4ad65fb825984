"""kill -9 at any moment: what was acknowledged is in the log, once; what was quarantined is in quarantine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.log.quarantine import load, names
from tests.features.live_shop import shop
from tests.source_tree import ROOT

ROUNDS = 4


def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.features.killed_inbox", str(tmp_path), str(ROUNDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = [line.split(" ", 1) for line in done.stdout.splitlines() if line]
    acked = {f"shop:purchase:{said}" for outcome, said in told if outcome in ("accepted", "duplicate")}
    refused = {f'{{"bad":{said}}}' for outcome, said in told if outcome == "quarantined"}
    assert len(acked) > ROUNDS * 5
    till = shop(tmp_path)
    with Inbox(till.log) as inbox:
        move(inbox, till.log)
        state = inbox.describe()
    logged = till.logged()
    assert acked - logged.keys() == set()
    assert set(logged.values()) == {1}
    assert (state.waiting, state.refused, state.seen) == (0, 0, len(logged))
    kept = [row.raw for name in names(till.settings) for file in load(till.settings, name) for row in file.rows]
    assert refused - set(kept) == set()
    assert len(kept) == len(set(kept))
