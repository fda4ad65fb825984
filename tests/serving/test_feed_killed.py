"""Whatever is cut off while live events are fed, each is in rows, states and histories once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.inbox.inbox import Inbox
from features.inbox.mover import move
from features.settings import Settings
from serving.live.fed import FillNeededError
from serving.online.sqlite_store import SqliteStore
from serving.online.store import Live, Update
from tests.serving.live_homes import NOW, event, filled, live_home, live_shop

NOTHING = np.zeros((0, 1), np.float32)


class Cut(BaseException):
    """The process dies here."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = live_home(tmp_path_factory.mktemp("killed"))
    filled(settings)
    return settings


def copied(settings: Settings, folder: Path) -> Settings:
    """Take the files as they are, which is what a killed process leaves."""
    shutil.copytree(settings.home, folder / "home")
    return settings.model_copy(update={"home": folder / "home", "mlruns": folder / "mlruns"})


def before_the_update(patch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise Cut

    patch.setattr(SqliteStore, "update", cut)


def within_the_update(patch: pytest.MonkeyPatch) -> None:
    def update(self: SqliteStore, now: Live, seq: int, updates: list[Update]) -> None:
        connection = self._file.writer()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("UPDATE rows SET vector = x'00' WHERE person = ?", [(u.person,) for u in updates])
        connection.execute("UPDATE live SET seq = ?", (seq,))
        connection.execute("PRAGMA cache_spill = 1")
        OPEN.append(connection)
        raise Cut

    patch.setattr(SqliteStore, "update", update)


OPEN: list[Any] = []


def after_the_update(patch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise Cut

    patch.setattr(Inbox, "passed", cut)


def before_letting_go(patch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise Cut

    patch.setattr(Inbox, "let_go", cut)


@pytest.mark.parametrize("cut", [before_the_update, within_the_update, after_the_update, before_letting_go])
def test_each_event_counts_once(made: Settings, tmp_path: Path, cut: Callable[[pytest.MonkeyPatch], None]) -> None:
    home = copied(made, tmp_path / "first")
    with live_shop(home) as shop:
        column = shop.bundle.layout.columns.index("purchase_count_all")
        [before] = shop.store.get([shop.person("a5")])
        shop.feed()
        filled(home)  # events are held for the feeder until it has gone on from there
        shop.send(event(9000, "a5", NOW), event(9001, "a5", NOW), event(9002, "new", NOW))
        with pytest.MonkeyPatch.context() as patch:
            cut(patch)
            with pytest.raises(Cut):
                shop.feed()
        left = copied(home, tmp_path / "left")
        while OPEN:
            OPEN.pop().close()
    with live_shop(left) as shop:
        move(shop.inbox, shop.inbox.log)
        shop.feed()
        shop.send(event(9003, "a5", NOW))
        shop.feed()
        rows = shop.store.get([shop.person("a5"), shop.person("new")])
        assert before is not None
        assert [row and row.vector[column] for row in rows] == [before.vector[column] + 3, 1.0]
        assert shop.inbox.readers().keys() == {"log", "tags"}


def test_a_store_that_was_put_back_is_filled_anew(made: Settings, tmp_path: Path) -> None:
    home = copied(made, tmp_path)
    kept = {file.name: file.read_bytes() for file in home.home.glob("online.sqlite*")}
    with live_shop(home) as shop:
        shop.send(event(9000, "a5", NOW))
        shop.feed()
        move(shop.inbox, shop.inbox.log)
    for file in home.home.glob("online.sqlite*"):
        file.unlink()
    for name, content in kept.items():
        (home.home / name).write_bytes(content)
    with live_shop(home) as shop:
        assert not shop.feeder.feed()
        assert "older than what they had been fed" in shop.feeder.state("tags").problem
        assert "zhongcao backfill" in shop.feeder.state("tags").problem
        filled(home)
        assert shop.fed.position() > 0
        shop.feed()
        assert shop.feeder.state("tags").behind == 0


def test_what_is_not_fed_before_a_fill_says_so(made: Settings, tmp_path: Path) -> None:
    home = copied(made, tmp_path)
    with live_shop(home) as shop:
        shop.store.replace(shop.bundle.layout.schema_hash, NOW, [], NOTHING)
        with pytest.raises(FillNeededError, match=r"without states.*zhongcao backfill"):
            shop.fed.position()
        shop.store.replace("another", NOW, [], NOTHING)
        with shop.store.fill("another", 1, NOW) as fill:
            fill.live(0, "", "{}")
        with pytest.raises(FillNeededError, match="do not follow the layout"):
            shop.fed.position()
