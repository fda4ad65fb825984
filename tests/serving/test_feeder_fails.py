"""Whatever fails, live events go on: the thread lives, one bad event holds nobody up, and it is told."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.inbox import mover, tries
from features.inbox.inbox import Inbox
from features.inbox.mover import bring_back, move
from features.inbox.moving import Mover
from features.settings import Settings
from serving.live import feeder as feeding
from serving.live.fed import Rows
from serving.messages.metrics import Metrics
from serving.server.live_metrics import watch_live
from tests.features.live_shop import sent
from tests.features.live_shop import shop as till_of
from tests.serving.live_homes import NOW, LiveShop, event, filled, live_home, live_shop


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = live_home(tmp_path_factory.mktemp("fails"))
    filled(settings)
    return settings


@pytest.fixture
def shop(made: Settings, tmp_path: Path) -> Iterator[LiveShop]:
    shutil.copytree(made.home, tmp_path / "home")
    home = made.model_copy(update={"home": tmp_path / "home", "mlruns": tmp_path / "mlruns"})
    with live_shop(home) as shop:
        yield shop


def poisoned(patch: pytest.MonkeyPatch, shop: LiveShop, bad: Callable[[Any], bool]) -> None:
    """Let the tags fail at any batch with a bad event."""
    take = shop.fed.take

    def failing(after: int, rows: Rows) -> None:
        if any(bad(row) for row in rows):
            raise KeyError("account of somebody")
        take(after, rows)

    patch.setattr(shop.fed, "take", failing)


def bought(shop: LiveShop, account: str) -> float:
    [row] = shop.store.get([shop.person(account)])
    assert row is not None
    return float(row.vector[shop.bundle.layout.columns.index("purchase_count_all")])


def test_an_event_that_cannot_be_taken_is_set_aside_and_the_others_go_on(
    shop: LiveShop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = [bought(shop, account) for account in ("a5", "a6", "a7")]
    poisoned(monkeypatch, shop, lambda row: "e9020" in row[1])
    accounts = ["a5"] * 20 + ["a6"] + ["a7"] * 20
    shop.send(*(event(9000 + n, account, NOW) for n, account in enumerate(accounts)))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            shop.feed()
    assert [bought(shop, account) for account in ("a5", "a6", "a7")] == [before[0] + 20, before[1], before[2] + 20]
    assert shop.inbox.reasons_aside() == {"tags": {"KeyError": 1}}
    [(_, event_id, *_)] = shop.inbox.aside("tags")
    assert event_id == "shop:purchase:e9020"
    state = shop.feeder.state("tags")
    assert (state.behind, state.problem, state.failures, state.aside) == (0, "", 0, 1)
    assert "somebody" not in caplog.text
    assert "KeyError" in caplog.text
    # What the person's row lacks, the next fill reads from the log.
    monkeypatch.undo()
    move(shop.inbox, shop.inbox.log)
    filled(shop.settings, NOW + 1)
    shop.feed()
    assert bought(shop, "a6") == before[1] + 1
    assert shop.inbox.reasons_aside() == {}


def test_where_all_events_fail_none_is_given_up(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, shop, lambda row: True)
    shop.send(*(event(9000 + n, "a5", NOW) for n in range(30)))
    for _ in range(100):
        shop.feeder.feed()
    assert shop.inbox.reasons_aside() == {"tags": {"KeyError": 10}}
    state = shop.feeder.state("tags")
    assert state.problem == "KeyError, again and again"
    assert state.failures > 50


def test_the_thread_outlives_what_nobody_foresaw(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics([])
    watch_live(metrics, lambda: {"tags": shop.feeder.state("tags")})
    monkeypatch.setattr(tries, "_FIRST_SECONDS", 0.05)
    monkeypatch.setattr(feeding, "_AFTER_ERROR_SECONDS", 0.05)
    position, failed = shop.fed.position, [0]

    def failing() -> int:
        failed[0] += 1
        if failed[0] < 3:
            raise pa.ArrowInvalid("of somebody")
        return position()

    monkeypatch.setattr(shop.fed, "position", failing)
    before = bought(shop, "a5")
    shop.send(event(9000, "a5", NOW))
    with shop.feeder:
        until = time.monotonic() + 10
        while bought(shop, "a5") == before and time.monotonic() < until:
            if problem := shop.feeder.state("tags").problem:
                assert problem.startswith("ArrowInvalid")
                assert 'zhongcao_live_failing{reader="tags"} 1' in metrics.text()
            time.sleep(0.02)
    assert bought(shop, "a5") == before + 1
    assert 'zhongcao_live_failing{reader="tags"} 0' in metrics.text()


def test_a_thread_that_ended_is_told(shop: LiveShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop.feeder, "_work", lambda: None)
    monkeypatch.setattr(shop.feeder, "_thread", feeding.threading.Thread(target=lambda: None))
    shop.feeder._thread.start()
    shop.feeder._thread.join()
    assert shop.feeder.state("tags").problem == "the thread that feeds has ended; start the server again"


def test_a_mover_that_failed_moves_again_and_says_so_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, failing = till_of(tmp_path / "home"), True

    def may_fail(*_: object) -> Any:
        if failing:
            raise KeyError("account of somebody")
        return mover.Moved()

    monkeypatch.setattr("features.inbox.moving.move", may_fail)
    with Inbox(till.log) as inbox, Mover(inbox, 0.01) as moving:
        for holds in (True, False):
            failing = holds
            until = time.monotonic() + 10
            while bool(moving.state().problem) != holds and time.monotonic() < until:
                time.sleep(0.01)
            assert moving.state().problem == ("KeyError" if holds else "")


def test_what_the_log_cannot_take_is_set_aside_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = till_of(tmp_path / "home")
    whole = mover.as_table

    def poisonous(rows: Any, timezone: str) -> pa.Table:
        if any("o-3" in row[1] for row in rows):
            raise OverflowError("of somebody")
        return whole(rows, timezone)

    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(9)])
        monkeypatch.setattr(mover, "as_table", poisonous)
        done = move(inbox, till.log)
        assert (done.events, done.aside, inbox.describe().waiting) == (8, 1, 0)
        assert inbox.reasons_aside() == {"log": {"OverflowError": 1}}
        assert bring_back(inbox, till.log) == 0
        monkeypatch.undo()
        assert bring_back(inbox, till.log) == 1
        assert bring_back(inbox, till.log) == 0
        assert inbox.reasons_aside() == {}
        assert move(inbox, till.log).events == 0
    assert till.logged() == {f"shop:purchase:o-{n}": 1 for n in range(9)}


def test_a_move_sets_few_events_aside_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    till = till_of(tmp_path / "home")

    def broken(rows: Any, timezone: str) -> pa.Table:
        raise OverflowError("of everybody")

    with Inbox(till.log) as inbox:
        till.send(inbox, [sent(n) for n in range(300)])
        monkeypatch.setattr(mover, "as_table", broken)
        with pytest.raises(OverflowError):
            move(inbox, till.log)
        assert inbox.reasons_aside() == {}
        assert inbox.describe().waiting == 300


def test_a_reader_that_takes_nothing_for_long_pins_the_inbox_no_more(
    shop: LiveShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "_MOST_HELD", 4)
    shop.feed()

    def gone() -> Any:
        raise feeding.InboxError("tags are not answered", retry_after=1)

    monkeypatch.setattr(shop.fed, "_bundle", gone)
    for first in (0, 3):
        shop.send(*(event(9000 + n, "a5", NOW) for n in range(first, first + 3)))
        move(shop.inbox, shop.inbox.log)
        shop.feed()
    state = shop.inbox.describe()
    assert (state.held, state.retired, state.behind["tags"]) == (0, {"tags"}, 0)
    # It comes back: what left is read from the log.
    monkeypatch.undo()
    shop.feed()
    assert "run `zhongcao backfill`" in shop.feeder.state("tags").problem
    before = bought(shop, "a5")
    filled(shop.settings, NOW + 1)
    shop.send(event(9009, "a5", NOW))
    shop.feed()
    assert bought(shop, "a5") == before + 7
    assert shop.inbox.describe().retired == set()


def test_a_retired_reader_whose_store_is_whole_goes_on(shop: LiveShop) -> None:
    shop.feed()
    before = bought(shop, "a5")
    shop.inbox.retire("tags")
    shop.send(event(9000, "a5", NOW))
    shop.feed()
    assert bought(shop, "a5") == before + 1
    assert shop.inbox.describe().retired == set()
