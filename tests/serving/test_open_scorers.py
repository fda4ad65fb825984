from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from features.errors import BundleError, StoreError, ZhongcaoError
from features.settings import Settings
from serving.champions.open_scorers import ConversionsOrNot, TagsOrNot, open_scorers, what_is_served
from serving.consent.watch import ConsentWatch
from serving.scoring.conversions import ConversionScorer
from serving.scoring.scorer import Scorer
from tests.serving.conversion_homes import FEATURES, FakeConversions, FirstColumns
from tests.serving.homes import tiny_home
from training.bundles.manifest import TAGS, Kind, check_manifest


@pytest.fixture(scope="module")
def tags_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("home"))


class Warm(FirstColumns):
    def warm(self) -> None:
        """Be warm already."""


class Other(Warm):
    features = FEATURES.columns[1:]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # The child process that scores golden rows has tests of its own, and so have bundles of conversion models.
    def verified(folder: Path, kind: Kind = TAGS) -> None:
        if folder.name not in MODELS:
            check_manifest(folder, kind)

    def loaded(folder: Path) -> FakeConversions:
        bundle = FakeConversions()
        bundle.model = MODELS[folder.name]
        return bundle

    monkeypatch.setattr("serving.champions.open_scorers.verify_named", verified)
    monkeypatch.setattr("serving.champions.open_scorers.load_conversion_bundle", loaded)


MODELS = {"conversion-good": Warm(), "conversion-other": Other()}


def with_conversions(settings: Settings, name: str = "conversion-good") -> None:
    (settings.bundles_dir / name).mkdir()
    (settings.bundles_dir / name / "manifest.json").write_text("{")
    settings.conversion_champion_file.write_text(json.dumps({"bundle": name}))


@pytest.fixture
def home(tags_home: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(tags_home.home, tmp_path / "home")
    return tags_home.model_copy(update={"home": tmp_path / "home"})


def opened(settings: Settings) -> tuple[TagsOrNot, ConversionsOrNot]:
    with ExitStack() as stack:
        champions = open_scorers(settings, ConsentWatch(settings), stack)
        return champions.tags.now, champions.conversions.now


def test_conversions_of_another_version_hold_up_no_tags(home: Settings) -> None:
    with_conversions(home, "conversion-other")
    tags, conversions = opened(home)
    assert isinstance(tags, Scorer)
    assert isinstance(conversions, BundleError)
    lines = what_is_served(tags, conversions)
    assert lines[0].startswith("model tags-")
    assert "conversions are not answered: bundle conversion-fake reads other" in lines[1]
    assert "run `zhongcao train conversion` again" in lines[1]


def test_broken_conversions_hold_up_no_tags(home: Settings) -> None:
    with_conversions(home, "conversion-broken")
    tags, conversions = opened(home)
    assert isinstance(tags, Scorer)
    assert isinstance(conversions, BundleError)
    assert "conversion-broken is no bundle" in str(conversions)


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
    with_conversions(home, "conversion-other")
    home.champion_file.unlink()
    with pytest.raises(BundleError, match="reads other features"):
        opened(home)
    home.conversion_champion_file.unlink()
    with pytest.raises(BundleError, match="no champion yet; run `zhongcao retrain`"):
        opened(home)


def test_conversions_are_swapped_like_tags(home: Settings) -> None:
    with_conversions(home)
    with ExitStack() as stack:
        champions = open_scorers(home, ConsentWatch(home), stack)
        served, follower = champions.conversions, champions.followers[1]
        old = served.now
        with_conversions(home, "conversion-other")
        follower.look()
        assert served.now is old
        assert served.next is not None
        assert "reads other features" in str(served.next.problem)
        # Its manifest is none, and is looked at again where the child process has passed it before.
        follower._verified.clear()
        home.conversion_champion_file.write_text(json.dumps({"bundle": "conversion-good", "again": 1}))
        follower.look()
        assert served.next is None
        assert isinstance(served.now, ConversionScorer)
        assert served.now is not old
