from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from features.errors import BundleError, StoreError, ZhongcaoError
from features.settings import Settings
from serving.consent_watch import ConsentWatch
from serving.conversions import ConversionScorer
from serving.open_scorers import ConversionsOrNot, TagsOrNot, open_scorers, what_is_served
from serving.scorer import Scorer
from tests.serving.conversion_homes import FEATURES
from tests.serving.homes import tiny_home
from training.conversion.bundle import write_conversion_bundle
from training.conversion.model import Booster, ConversionModel, Stage
from training.manifest import TAGS, Kind
from training.manifest import check_manifest as check


@pytest.fixture(scope="module")
def tags_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # The child process that scores golden rows has tests of its own.
    def verified(folder: Path, kind: Kind = TAGS) -> None:
        check(folder, kind)

    monkeypatch.setattr("serving.open_scorers.verify_bundle", verified)


def with_conversions(settings: Settings, columns: tuple[str, ...] = FEATURES.columns) -> Path:
    """Promote a small conversion model that reads some columns."""
    rows = np.random.default_rng(3).random((200, len(columns)))
    small = {"objective": "binary", "num_leaves": 3, "num_threads": 1, "verbosity": -1}
    tree = lgb.train(small, lgb.Dataset(rows, rows[:, 0] > 0.5), 1)
    model = ConversionModel(columns, (Stage("click", direct=Booster(0, 0.0)),), (tree,), {"click": 86_400})
    about = {"features": FEATURES.to_json()}
    folder = write_conversion_bundle(model, about, 1_704_067_200, settings.bundles_dir)
    settings.conversion_champion_file.write_text(json.dumps({"bundle": folder.name}))
    return folder


@pytest.fixture
def home(tags_home: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(tags_home.home, tmp_path / "home")
    return tags_home.model_copy(update={"home": tmp_path / "home"})


def opened(settings: Settings) -> tuple[TagsOrNot, ConversionsOrNot]:
    with ExitStack() as stack:
        return open_scorers(settings, ConsentWatch(settings), stack)


def test_conversions_of_another_version_hold_up_no_tags(home: Settings) -> None:
    with_conversions(home, FEATURES.columns[1:])
    tags, conversions = opened(home)
    assert isinstance(tags, Scorer)
    assert isinstance(conversions, BundleError)
    lines = what_is_served(tags, conversions)
    assert lines[0].startswith("model tags-")
    assert "conversions are not answered: bundle conversion-" in lines[1]
    assert "run `zhongcao train conversion` again" in lines[1]


def test_broken_conversions_hold_up_no_tags(home: Settings) -> None:
    folder = with_conversions(home)
    (folder / "stages.json").write_text("{")
    tags, conversions = opened(home)
    assert isinstance(tags, Scorer)
    assert isinstance(conversions, BundleError)
    assert "stages.json" in str(conversions)


def break_store(settings: Settings) -> None:
    settings.store_file.unlink()


def break_bundle(settings: Settings) -> None:
    name = json.loads(settings.champion_file.read_text())["bundle"]
    (settings.bundles_dir / name / "about.json").write_text("{")


@pytest.mark.parametrize(("spoil", "error"), [(break_store, StoreError), (break_bundle, BundleError)])
def test_broken_tags_hold_up_no_conversions(home: Settings, spoil: object, error: type[ZhongcaoError]) -> None:
    with_conversions(home)
    spoil(home)  # type: ignore[operator]
    tags, conversions = opened(home)
    assert isinstance(tags, error)
    assert isinstance(conversions, ConversionScorer)
    assert what_is_served(tags, conversions)[0].startswith("tags are not answered: ")


def test_where_nothing_can_answer_the_promoted_champion_says_why(home: Settings) -> None:
    with_conversions(home, FEATURES.columns[1:])
    home.champion_file.unlink()
    with pytest.raises(BundleError, match="reads other features"):
        opened(home)
    home.conversion_champion_file.unlink()
    with pytest.raises(BundleError, match="no champion yet; run `zhongcao retrain`"):
        opened(home)
