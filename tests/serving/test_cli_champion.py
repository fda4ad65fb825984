from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features.errors import BundleError, StoreError
from features.settings import Settings
from serving.champions.open_scorers import open_scorers
from serving.champions.running_servers import running_servers
from serving.champions.serving_status import following
from serving.cli.champion import register
from serving.consent.watch import ConsentWatch
from serving.online.sqlite_store import SqliteStore
from tests.serving.bundle_variants import another
from tests.serving.fakes import AS_OF
from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path, promote
from training.bundles.manifest import TAGS
from training.bundles.pointer import KEPT, Promotion, move_pointer, promotions


def run(*arguments: str) -> list[str]:
    app = typer.Typer()
    register(app)
    told = CliRunner().invoke(app, [*arguments])
    if told.exception is not None:
        raise told.exception
    return told.stdout.splitlines()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tiny_home(tmp_path_factory.mktemp("home"))
    for number in range(2):
        another(champion_path(home), number)
    return home


@pytest.fixture
def home(made: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    shutil.copytree(made.home, tmp_path / "home")
    monkeypatch.setenv("ZHONGCAO_CONFIG", os.devnull)
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return made.model_copy(update={"home": tmp_path / "home"})


def others(home: Settings) -> list[Path]:
    return sorted(folder for folder in home.bundles_dir.iterdir() if folder != champion_path(home))


def test_rollbacks_lead_back_through_what_served(home: Settings) -> None:
    first, (second, third) = champion_path(home), others(home)
    for folder in (second, third):
        promote(home, folder, lambda _: None)
    assert run("rollback", "tags")[0] == f"{second.name} is the champion again, in place of {third.name}"
    assert run("rollback", "tags")[0] == f"{first.name} is the champion again, in place of {second.name}"
    with pytest.raises(BundleError, match=f"no bundle of tags served before this one: '{first.name}'"):
        run("rollback", "tags")
    with pytest.raises(BundleError, match="no bundle of conversion served before this one: 'none'"):
        run("rollback", "conversion")
    shown = "\n".join(run("serving", "status"))
    assert [shown.count(folder.name) for folder in (first, second, third)] == [2, 2, 1]
    assert shown.count("rolled back") == 2
    assert "no server of this home runs" in shown


def test_a_rollback_needs_a_whole_bundle_and_its_rows(home: Settings) -> None:
    first, (second, third) = champion_path(home), others(home)
    promote(home, second, lambda _: None)
    shutil.move(first / "pooled.txt", home.home)
    with pytest.raises(BundleError, match="missing"):
        run("rollback", "tags")
    shutil.move(home.home / "pooled.txt", first)
    with SqliteStore(home.store_file).fill("another", 1, AS_OF):
        pass
    with pytest.raises(StoreError, match=f"does not hold the rows that {first.name} reads.*run `zhongcao retrain`"):
        run("rollback", "tags")
    shutil.rmtree(first)
    with pytest.raises(BundleError, match=f"not there any more: '{first.name}'"):
        run("rollback", "tags")
    assert champion_path(home) == second
    with pytest.raises(BundleError, match="promoted meanwhile"):
        move_pointer(home, TAGS, Promotion(third.name, 1), left=first.name)


def test_a_pointer_remembers_the_last_promotions(home: Settings) -> None:
    for number in range(20):
        move_pointer(home, TAGS, Promotion(f"tags-{number}", number))
    move_pointer(home, TAGS, Promotion("tags-19", 99))
    assert [move.bundle for move in promotions(home, TAGS)] == [f"tags-{19 - n}" for n in range(KEPT)]
    home.champion_file.write_text(json.dumps({"bundle": "tags-old"}))
    assert [move.bundle for move in promotions(home, TAGS)] == ["tags-old"]
    home.champion_file.write_text("[]")
    assert promotions(home, TAGS) == ()


def test_servers_say_what_they_serve_and_a_rollback_waits_for_them(home: Settings) -> None:
    first, (second, third) = champion_path(home), others(home)
    dead = home.work_dir / "serving-1.json"
    with ExitStack() as opened:
        champions = open_scorers(home, ConsentWatch(home), opened)
        with following(home, champions):
            dead.write_text("{}")
            [server] = running_servers(home)
            assert server["tags"]["model"] == first.name
            assert not dead.exists()
            promote(home, second, lambda _: None)
            promote(home, first, lambda _: None)
            assert f"the server on port {home.port} answers with it" in run("rollback", "tags")
            assert champions.tags.answer(lambda scorer: scorer.bundle.version) == second.name
            (third / "extra").touch()
            move_pointer(home, TAGS, Promotion(third.name, 1))
            while f"{third.name} is refused" not in "\n".join(said := run("serving", "status")):
                time.sleep(0.1)
            assert f"port {home.port}, tags: {second.name} answers since" in "\n".join(said)
            assert f"{third.name} is refused: bundle {third.name} has missing or unlisted files" in "\n".join(said)
        assert running_servers(home) == []
