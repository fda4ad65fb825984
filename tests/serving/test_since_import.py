"""After an import live rows lack it, and say so; people of whom events came are read again, and nobody else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from features.inbox.mover import move
from features.settings import Settings
from serving.cli.imported import tell_lacking
from serving.histories.fill import fill_histories
from serving.histories.sqlite_store import SqliteHistories
from serving.live.feed_histories import FedHistories
from serving.live.feeder import Feeder
from serving.live.imports import ImportWatch, lacking
from serving.live.parity import check_rows
from serving.live.parity_histories import check_histories
from serving.live.since_import import rebuild_histories, rebuild_rows
from tests.serving.conversion_homes import bring_in
from tests.serving.live_homes import DAY, NOW, LiveShop, event, filled, link, live_home, live_shop
from training.steps import Steps

LACKS = "lacks what was imported since it was filled (events); run `zhongcao backfill --since-import`"


def steps() -> Steps:
    return Steps(Console(quiet=True))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = live_home(tmp_path_factory.mktemp("imports"))
    filled(settings)
    fill_histories(settings, "now", NOW, steps())
    return settings


@pytest.fixture
def shop(made: Settings, tmp_path: Path) -> Iterator[LiveShop]:
    shutil.copytree(made.home, tmp_path / "home")
    home = made.model_copy(update={"home": tmp_path / "home", "mlruns": tmp_path / "mlruns"})
    with live_shop(home) as shop:
        yield shop


def imported(shop: LiveShop, folder: Path, *events: dict[str, Any]) -> None:
    bring_in(shop.settings, "events", [one | {"arrived_at": NOW - DAY} for one in events], folder)


def different(shop: LiveShop) -> tuple[int, int]:
    histories = SqliteHistories(shop.settings.histories_file)
    rows = check_rows(shop.settings, shop.store, shop.bundle, 500, 0)
    acts = check_histories(shop.settings, histories, 500, 0)
    histories.close()
    return rows.different, acts.different


def feed_all(shop: LiveShop) -> None:
    histories = SqliteHistories(shop.settings.histories_file)
    feeder = Feeder(shop.inbox, [shop.fed, FedHistories(histories, "UTC")])
    while feeder.feed():
        pass
    histories.close()


def test_people_with_imported_events_are_read_again_and_nobody_else(
    shop: LiveShop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.send(event(9000, "a3", NOW), event(9001, "a0", NOW), event(9002, "new", NOW))
    feed_all(shop)
    move(shop.inbox, shop.inbox.log)
    shop.send(event(9003, "a4", NOW), event(9004, "a5", NOW))
    feed_all(shop)
    assert set(lacking(shop.settings).values()) == {""}
    imported(
        shop,
        tmp_path,
        event(9100, "a0", NOW - 9 * DAY),
        event(9101, "a4", NOW - 9 * DAY),
        event(9102, "late", NOW - 9 * DAY),
        # What came live and waits came by file, too.
        event(9004, "a5", NOW),
    )
    assert lacking(shop.settings) == {"tags": LACKS, "histories": LACKS}
    assert ImportWatch(shop.settings).look() == lacking(shop.settings)
    tell_lacking(shop.settings)
    assert capsys.readouterr().out.splitlines() == [
        f"live events, {name}: {LACKS}" for name in ("tags", "histories")
    ]
    shop.send(event(9005, "a4", NOW), event(9006, "a6", NOW))
    assert min(different(shop)) >= 2
    others = [shop.person(account) for account in ("a7", "a8", "a9")]
    before = shop.store.get(others), shop.store.states(others)
    # a0 and a1 are one person; a5 is told of by the file, though it told nothing new.
    assert rebuild_rows(shop.settings, shop.bundle, steps()) in {3, 4}
    assert rebuild_histories(shop.settings, steps()) in {3, 4}
    assert different(shop) == (0, 0)
    feed_all(shop)
    assert different(shop) == (0, 0)
    assert str((shop.store.get(others), shop.store.states(others))) == str(before)
    late = shop.store.get([shop.person("late")])[0]
    assert late is not None
    assert late.vector[shop.bundle.layout.columns.index("purchase_count_all")] == 1
    assert set(lacking(shop.settings).values()) == {""}
    assert rebuild_rows(shop.settings, shop.bundle, steps()) == 0
    # They go on live.
    shop.send(event(9200, "a0", NOW), event(9201, "late", NOW), event(9202, "a5", NOW))
    feed_all(shop)
    move(shop.inbox, shop.inbox.log)
    assert different(shop) == (0, 0)


def test_what_could_not_be_taken_live_is_read_from_the_log(shop: LiveShop) -> None:
    shop.feed()
    shop.send(event(9000, "a5", NOW))
    [row] = shop.inbox.after(shop.fed.position(), 1)
    shop.inbox.set_aside("tags", row[0], "KeyError")
    shop.fed.skip(shop.fed.position(), row)
    assert shop.store.states([shop.person("a5")])[0].content == b""  # type: ignore[union-attr]
    assert rebuild_rows(shop.settings, shop.bundle, steps()) == 1
    assert shop.inbox.reasons_aside() == {}
    assert different(shop)[0] == 0
    assert shop.store.states([shop.person("a5")])[0].content  # type: ignore[union-attr]


def test_links_need_a_whole_fill(shop: LiveShop, tmp_path: Path) -> None:
    bring_in(shop.settings, "identities", [link("a7", "ann")], tmp_path)
    assert "(identities)" in lacking(shop.settings)["tags"]
    assert rebuild_rows(shop.settings, shop.bundle, steps()) is None
    assert rebuild_histories(shop.settings, steps()) is None
    filled(shop.settings)
    assert lacking(shop.settings)["tags"] == ""


def test_there_is_nothing_to_lack_without_a_store(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert lacking(settings) == {}
