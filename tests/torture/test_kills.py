"""200 times kill -9 under load: nothing that was acknowledged is lost, nothing counts twice, anywhere."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from features.log.quarantine import load, names
from tests.serving.live_homes import live_home, past_events
from tests.serving.servers import free_port
from tests.torture.load import Load
from tests.torture.nursery import AT, nursery
from tests.torture.truth import caught_up, counted, filled_now, in_rows, logged, moved, parity, persons_of

KILLS = int(os.environ.get("KILLS", "200"))
LONGEST_LOAD = 1.0
SILENT = "a2"
"""Has withdrawn: nothing is kept of it but events in the log."""


def test_what_was_acknowledged_counts_once_everywhere(tmp_path: Path) -> None:
    home, moments, at = live_home(tmp_path), random.Random(7), Counter[str]()
    filled_now(home)
    begun = time.monotonic()
    with nursery(home, free_port(), tmp_path / "said", PREDICTIONS_SHARE="1") as servers:
        with Load(servers.url) as load_:
            for number in range(KILLS):
                servers.start()
                if number % 10 == 9:  # in the middle of starting
                    time.sleep(moments.uniform(0.0, 2.0))
                else:
                    servers.answers()
                    time.sleep(moments.uniform(0.05, LONGEST_LOAD))
                at.update(servers.kill() or ["nothing of these"])
            servers.start()
            servers.answers()
        caught_up(servers.url)
        found = parity(home)
        assert servers.stop() == 0
    last = moved(home)
    sys.stdout.write(
        f"{KILLS} kills in {time.monotonic() - begun:.0f} s, at {dict(at)}; {load_.sent:,} events in answered "
        f"requests: {dict(load_.outcomes)}; {load_.broken} requests cut off; tags: {dict(load_.asked)}; "
        f"parity: {found.rows} rows, {found.fed} fed, {found.histories} histories, {found.different} differ; "
        f"{last.events} left to move\n"
    )
    assert load_.strange == []
    assert all(at[name] for name in AT)
    assert sum(load_.outcomes.values()) == load_.sent
    assert load_.outcomes["refused"] == 0
    assert load_.acked == load_.events.keys()
    assert set(load_.accepted.values()) <= {0, 1}

    in_log = logged(home)
    assert load_.acked - in_log.keys() == set(), "acknowledged and lost"
    assert {name: times for name, times in in_log.items() if times != 1} == {}
    assert in_log.keys() == load_.events.keys()

    sent = [*past_events(), *load_.events.values()]
    for kind in ("purchase", "click", "impression", "cart"):
        assert counted(home, kind) == sum(one["kind"] == kind for one in sent)
    assert (found.different, found.differences) == (0, [])
    assert found.fed > 30
    accounts = sorted({one["account"] for one in sent} - {SILENT})
    person = persons_of(home, accounts)
    bought = Counter(person[o["account"]] for o in sent if o["kind"] == "purchase" and o["account"] != SILENT)
    assert in_rows(home, "purchase_count_all", accounts) == bought

    kept = [row.raw for name in names(home) for file in load(home, name) for row in file.rows]
    assert len(kept) == len(set(kept))
    assert sum('"bad"' in raw for raw in kept) > 0
