"""Whatever is wrong with a bundle, it is refused by name and the old one goes on serving."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from features.settings import Settings
from serving.champions.follow import Follower
from serving.champions.open_scorers import open_scorers
from serving.champions.served import Served
from serving.consent.watch import ConsentWatch
from serving.scoring.scorer import Scorer
from tests.serving.corrupt_bundles import KINDS
from tests.serving.homes import tiny_home
from training.bundles.champion import champion_path, check_whole, verify_named
from training.bundles.files import SizeLimits, check_files, check_name
from training.bundles.manifest import TAGS, Kind
from training.bundles.pointer import Promotion, move_pointer
from training.tags.bundle import score_golden_rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return tiny_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(home: Settings) -> Iterator[tuple[Served[Scorer], Follower[Scorer], Path]]:
    with ExitStack() as opened:
        champions = open_scorers(home, ConsentWatch(home), opened)
        yield champions.tags, champions.followers[0], champion_path(home)


def here(folder: Path, kind: Kind) -> None:
    """Make the checks of the child process in this one, of models that harm nobody."""
    check_whole(folder, kind)
    check_name(folder, kind)
    score_golden_rows(folder)


def refused(
    home: Settings, served: tuple[Served[Scorer], Follower[Scorer], Path], kind: str, seed: int, seconds: float
) -> None:
    tags, follower, good = served
    corrupt, old = KINDS[kind], tags.now
    folder = corrupt.make(good, seed)
    follower._verify = partial(verify_named, seconds=seconds) if corrupt.child else here
    move_pointer(home, TAGS, Promotion(folder.name, seed))
    follower.look()
    assert tags.now is old
    assert tags.next is not None
    assert (tags.next.bundle, tags.next.state) == (folder.name, "refused")
    said = str(tags.next.problem)
    assert re.search(corrupt.said, said), said
    assert folder.name in said
    assert tags.answer(lambda scorer: scorer.bundle.version) == good.name


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupt_bundle_is_refused(
    home: Settings, served: tuple[Served[Scorer], Follower[Scorer], Path], kind: str
) -> None:
    refused(home, served, kind, seed=1, seconds=2.0)


def test_sizes_are_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "tags-1"
    folder.mkdir()
    (folder / "a").write_bytes(b"12345678")
    check_files(folder, TAGS, SizeLimits(file=8, bundle=8))
    for limits in (SizeLimits(file=7), SizeLimits(bundle=7)):
        with pytest.raises(Exception, match="tags-1 is refused: too large: 'a, 8 bytes'"):
            check_files(folder, TAGS, limits)
    with pytest.raises(Exception, match="tags-2 is refused: it cannot be read: No such file"):
        check_files(tmp_path / "tags-2")
