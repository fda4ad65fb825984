"""A promoted champion answers without a restart; what cannot serve leaves the old one serving, and says why."""

from __future__ import annotations

import json
import shutil
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from features.errors import StoreError
from features.people.identity import load_key
from features.settings import Settings
from serving.champions.follow import Follower
from serving.champions.open_scorers import Champions, open_scorers
from serving.consent.watch import ConsentWatch
from serving.messages.schemas import AccountRef
from serving.online.sqlite_store import SqliteStore
from serving.scoring.scorer import Scorer
from tests.serving.bundle_variants import another
from tests.serving.fakes import AS_OF
from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path, promote
from training.bundles.manifest import TAGS, Kind, check_manifest
from training.tags.bundle import load_bundle


@pytest.fixture(scope="module")
def tags_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tiny_home(tmp_path_factory.mktemp("home"))
    for number in range(2):
        another(champion_path(home), number)
    return home


@pytest.fixture
def home(tags_home: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(tags_home.home, tmp_path / "home")
    return tags_home.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # The child process has tests of its own: test_corrupt_bundles.
    def verified(folder: Path, kind: Kind = TAGS) -> None:
        check_manifest(folder, kind)

    monkeypatch.setattr("serving.champions.open_scorers.verify_named", verified)


@pytest.fixture
def champions(home: Settings) -> Iterator[Champions]:
    with ExitStack() as opened:
        yield open_scorers(home, ConsentWatch(home), opened)


def other_bundles(home: Settings) -> list[Path]:
    served = champion_path(home).name
    return sorted(folder for folder in home.bundles_dir.iterdir() if folder.name != served)


def point(home: Settings, name: str) -> None:
    draft = home.home / "draft"
    draft.write_text(json.dumps({"bundle": name}))
    draft.replace(home.champion_file)


def follower(champions: Champions) -> Follower[Scorer]:
    return champions.followers[0]


def served(champions: Champions) -> Scorer:
    assert isinstance(champions.tags.now, Scorer)
    return champions.tags.now


def test_a_promoted_bundle_takes_over_and_the_memory_of_the_old_one_is_given_back(
    home: Settings, champions: Champions
) -> None:
    other = other_bundles(home)[0]
    old = weakref.ref(served(champions)), weakref.ref(served(champions).bundle.model)
    promote(home, other, lambda _: None)
    follower(champions).look()
    assert served(champions).bundle.version == other.name
    assert champions.tags.next is None
    assert [one() for one in old] == [None, None]


def test_a_request_in_work_ends_with_the_scorer_that_it_began_with(home: Settings, champions: Champions) -> None:
    before, other = champion_path(home).name, other_bundles(home)[0]

    def slowly(scorer: Scorer) -> list[str]:
        begun = scorer.bundle.version
        promote(home, other, lambda _: None)
        follower(champions).look()
        return [begun, scorer.bundle.version]

    assert champions.tags.answer(slowly) == [before, before]
    assert champions.tags.answer(lambda scorer: scorer.bundle.version) == other.name


def test_of_two_promotions_at_once_the_later_one_serves(home: Settings, champions: Champions) -> None:
    one, two = other_bundles(home)
    promote(home, one, lambda _: None)
    load = follower(champions)._load

    def promoted_meanwhile(folder: Path) -> object:
        if folder == one:
            promote(home, two, lambda _: None)
        return load(folder)

    follower(champions)._load = promoted_meanwhile  # type: ignore[assignment]
    before = champion_path(home)
    follower(champions).look()
    assert served(champions).bundle.version not in {one.name, two.name}
    follower(champions).look()
    assert served(champions).bundle.version == two.name
    assert before == one


def gone(home: Settings) -> str:
    folder = other_bundles(home)[0]
    shutil.rmtree(folder)
    return folder.name


def outside(home: Settings) -> str:
    shutil.copytree(other_bundles(home)[0], home.home / "elsewhere")
    return "../elsewhere"


def linked_outside(home: Settings) -> str:
    shutil.move(other_bundles(home)[0], home.home / "elsewhere")
    (home.bundles_dir / "linked").symlink_to(home.home / "elsewhere")
    return "linked"


@pytest.mark.parametrize("spoil", [gone, outside, linked_outside, lambda _: "a\0b", lambda _: "", lambda _: ".."])
def test_a_pointer_to_no_bundle_of_the_home_changes_nothing(
    home: Settings, champions: Champions, spoil: object
) -> None:
    old = served(champions)
    point(home, spoil(home))  # type: ignore[operator]
    follower(champions).look()
    assert served(champions) is old
    said = champions.tags.next
    assert said is not None
    assert said.state == "refused"
    assert "names no bundle" in str(said.problem)


def test_a_pointer_that_is_gone_or_too_large_changes_nothing(home: Settings, champions: Champions) -> None:
    old = served(champions)
    home.champion_file.unlink()
    follower(champions).look()
    assert champions.tags.next is not None
    home.champion_file.write_text(json.dumps({"bundle": old.bundle.version, "more": "x" * 100_000}))
    follower(champions).look()
    assert champions.tags.next.state == "refused"
    assert served(champions) is old


def test_a_refused_bundle_is_tried_again_only_when_the_pointer_is_written(
    home: Settings, champions: Champions
) -> None:
    other = other_bundles(home)[0]
    (other / "pooled.txt").rename(home.home / "pooled.txt")
    promote(home, other, lambda _: None)
    follower(champions).look()
    assert champions.tags.next is not None
    assert "missing" in str(champions.tags.next.problem)
    (home.home / "pooled.txt").rename(other / "pooled.txt")
    follower(champions).look()
    assert champions.tags.next.state == "refused"
    promote(home, other, lambda _: None)
    follower(champions).look()
    assert champions.tags.next is None
    assert served(champions).bundle.version == other.name


def of_another_layout(home: Settings) -> Path:
    """Return a bundle whose rows the store does not hold."""
    elsewhere = home.model_copy(update={"home": home.home / "another", "mlruns": home.home / "another" / "runs"})
    made = champion_path(tiny_home(elsewhere.home, ("purchase", "cart")))
    return Path(shutil.move(made, home.bundles_dir))


def fill_from(home: Settings, other: Path) -> None:
    filled = SqliteStore(home.home / "another" / "online.sqlite")
    info = filled.describe()
    [block] = filled.scan(info.fill, "", None, 1000)
    filled.close()
    store = SqliteStore(home.store_file)
    store.replace(info.schema_hash, AS_OF, block.persons, block.matrix)
    store.close()


def test_a_bundle_of_another_layout_waits_for_its_rows_and_no_request_fails(
    home: Settings, champions: Champions
) -> None:
    old, other = served(champions), of_another_layout(home)
    promote(home, other, lambda _: None)
    follower(champions).look()
    follower(champions).look()
    assert champions.tags.next is not None
    assert champions.tags.next.state == "waits"
    assert "do not follow the layout" in str(champions.tags.next.problem)
    assert served(champions) is old

    fill_from(home, other)
    with pytest.raises(StoreError):
        old.check()
    # The request that is the first to find other rows hands over.
    assert champions.tags.answer(lambda scorer: (scorer.check(), scorer.bundle.version)[1]) == other.name
    assert champions.tags.next is None


def test_without_requests_the_next_look_notices_the_fill(home: Settings, champions: Champions) -> None:
    other = of_another_layout(home)
    promote(home, other, lambda _: None)
    follower(champions).look()
    fill_from(home, other)
    follower(champions).look()
    assert served(champions).bundle.version == other.name


def test_whatever_loading_raises_the_old_one_goes_on(home: Settings, champions: Champions) -> None:
    old, other = served(champions), other_bundles(home)[0]
    promote(home, other, lambda _: None)

    def broken(_: Path) -> object:
        raise MemoryError

    follower(champions)._load = broken  # type: ignore[assignment]
    follower(champions).look()
    assert served(champions) is old
    assert "could not be loaded: MemoryError" in str(champions.tags.next and champions.tags.next.problem)


def test_three_swaps_under_load_fail_no_request(home: Settings, champions: Champions) -> None:
    bundles = [champion_path(home), *other_bundles(home)]
    asked = [AccountRef(platform="shop", account=f"a{i}") for i in range(3)]
    stop = Event()

    def said(scorer: Scorer) -> tuple[str, object]:
        return scorer.bundle.version, scorer.tags(asked, top=3)

    def ask() -> list[tuple[str, object]]:
        answers = []
        while not stop.is_set():
            answers.append(champions.tags.answer(said))
        return answers

    with ThreadPoolExecutor(2) as pool, follower(champions):
        follower(champions)._seconds = 0.01
        asking = [pool.submit(ask) for _ in range(2)]
        try:
            for folder in (*bundles[1:], bundles[0]):
                promote(home, folder, lambda _: None)
                until = time.monotonic() + 60
                while served(champions).bundle.version != folder.name and time.monotonic() < until:
                    time.sleep(0.01)
        finally:
            stop.set()
        answers = [answer for one in asking for answer in one.result()]
    store = SqliteStore(home.store_file)
    key = load_key(home)
    expected = dict(said(Scorer(load_bundle(folder), store, key)) for folder in bundles)
    store.close()
    assert {model for model, _ in answers} == set(expected)
    assert all(answer == expected[model] for model, answer in answers)
