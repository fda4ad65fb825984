"""A clock that is put forward and back: nothing lost, nothing twice, rows never go back, and the batch agrees."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from features.inbox.mover import move
from features.log.quarantine import names
from features.settings import Settings
from serving.live.parity import check_rows
from tests.serving.live_homes import DAY, KINDS, NOW, event, filled, live_home, live_shop

HOUR = 3_600
JUMPS = (0, 3 * DAY, -2 * DAY, 400 * DAY, -30 * DAY, 5, -5, HOUR, 0)
"""Of the server's clock, from the true time."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = live_home(tmp_path_factory.mktemp("skewed"))
    filled(settings)
    return settings


def test_jumps_of_the_clock_lose_nothing_and_put_nothing_back(home: Settings) -> None:
    dice, sent, verdicts = np.random.default_rng(5), 0, Counter[str]()
    accepted: list[str] = []
    as_of, arrived, seqs = dict[str, int](), dict[str, int](), [0]
    with live_shop(home) as shop:
        for number, jump in enumerate(JUMPS):
            true = NOW + number * HOUR
            shop.now = true + jump
            # From long ago until just now by true clocks, and one from a sender whose own is a year ahead.
            times = [*(true - dice.integers(0, 300 * DAY, 10)).tolist(), true, true, true + 365 * DAY]
            batch = [
                event(1000 + sent + place, f"a{dice.integers(3, 20)}", int(at), KINDS[place % 4])
                for place, at in enumerate(times)
            ]
            sent += len(batch)
            told = shop.inbox.accept(shop.reader.read(batch, "till"))
            expected = ["quarantined" if at > shop.now + 300 else "accepted" for at in times]
            assert [verdict.outcome for verdict in told] == expected
            assert {r.column for verdict in told for r in verdict.reasons} <= {"event_time"}
            verdicts.update(expected)
            accepted += [
                f"shop:{one['kind']}:{one['event_id']}"
                for one, v in zip(batch, expected, strict=True)
                if v == "accepted"
            ]
            # Again, by the next clock: what is there stays there.
            good = [one for one, verdict in zip(batch, expected, strict=True) if verdict == "accepted"]
            again = shop.inbox.accept(shop.reader.read(good, "till"))
            assert all(v.outcome in {"duplicate", "quarantined"} for v in again)
            shop.feed()
            if number % 2:
                move(shop.inbox, shop.inbox.log)
            live = shop.store.live()
            assert live is not None
            seqs.append(live.seq)
            persons = [shop.person(f"a{n}") for n in range(20)]
            for person, row in zip(persons, shop.store.get(persons), strict=True):
                if row is not None:
                    assert row.as_of >= as_of.get(person, 0)
                    assert row.arrived_at >= arrived.get(person, 0), "a watermark went back"
                    as_of[person], arrived[person] = row.as_of, row.arrived_at
        assert seqs == sorted(seqs)
        move(shop.inbox, shop.inbox.log)
        shop.feed()
        found = check_rows(home, shop.store, shop.bundle, 500, 0)
        con = shop.inbox.log.connect()
        ids = Counter(row[0] for row in shop.inbox.log.events(con).project("event_id").fetchall())
        con.close()
    assert verdicts["quarantined"] > len(JUMPS)
    assert verdicts.total() == sent
    assert {name: ids[name] for name in accepted} == dict.fromkeys(accepted, 1)
    assert (found.differences, found.fed > 10) == ([], True)
    assert names(home) != []
