from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from features.people.identity import load_key
from features.settings import Settings
from serving.cli.main import build_app
from serving.messages.schemas import AccountRef
from serving.online.sqlite_store import SqliteStore
from serving.predictions.ids import new_id
from serving.predictions.log import PredictionLog
from serving.scoring.scorer import Scorer
from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path
from training.tags.bundle import load_bundle


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("predictions"))


@pytest.fixture(autouse=True)
def settings(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHONGCAO_HOME", str(home.home))


def run(*words: str) -> str:
    done = CliRunner().invoke(build_app(), ["predictions", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture(scope="module")
def prediction(home: Settings) -> str:
    store = SqliteStore(home.store_file)
    scorer = Scorer(load_bundle(champion_path(home)), store, load_key(home))
    log = PredictionLog(home.predictions_dir, share=1.0, days=30, features=True, code="c0ffee", reserve_bytes=0)
    [answer] = scorer.tags([AccountRef(platform="shop", account="a1")], top=1, log=log)
    log.flush()
    store.close()
    assert answer.prediction_id is not None
    return answer.prediction_id


def test_days_and_predictions_are_listed(prediction: str) -> None:
    today = datetime.now(UTC).date().isoformat()
    said = run("list")
    assert today in said
    assert f"next: zhongcao predictions list --day {today}" in said
    assert prediction in run("list", "--day", today)
    assert "nothing is kept of this day" in run("list", "--day", "2001-01-01")


def test_a_prediction_is_shown_in_words(prediction: str, home: Settings) -> None:
    said = run("show", prediction)
    assert f"tags-{champion_path(home).name.removeprefix('tags-')}" in said
    assert "c0ffee" in said
    assert ": will buy)" in said
    assert "bought" in said
    assert "a1" not in said.split("person")[1].split()[1:3]


def test_a_prediction_without_its_bundle_is_shown_by_ids(prediction: str, home: Settings, tmp_path: Path) -> None:
    aside = home.bundles_dir.rename(tmp_path / "bundles")
    try:
        assert "will-buy: 0." in run("show", prediction)
    finally:
        aside.rename(home.bundles_dir)


def test_everything_is_shown_as_json(prediction: str) -> None:
    shown = json.loads(run("show", prediction, "--json"))
    assert shown["id"] == prediction
    assert shown["origin"]["kind"] == "tags"
    assert len(shown["features"]) == shown["shape"][0]
    assert len(shown["features_hash"]) == len(shown["scores_hash"]) == 64


def test_old_days_are_deleted(home: Settings, prediction: str) -> None:
    old = home.predictions_dir / "2001-01-01.sqlite"
    old.touch()
    assert "deleted 1 day of" in run("prune")
    assert not old.exists()
    assert "deleted 0 days of" in run("prune")
    assert prediction in run("show", prediction)
    assert new_id() not in run("list")
