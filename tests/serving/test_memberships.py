"""Versions of memberships: what changed leads from any of them to any later one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from features.errors import MembershipsError, ScoresError, StoreError
from features.settings import Settings
from serving.memberships import making
from serving.memberships.changes import Comparison
from serving.memberships.forgetting import MembershipsPlace
from serving.memberships.versions import Version, Versions, write_part
from tests.serving.membership_worlds import (
    PEOPLE,
    Copy,
    Rows,
    World,
    apply,
    apply_line,
    bundle_of,
    exported,
    make,
)

TAGS = ("milk", "bread", "fish", "tea")
LIKES = st.lists(st.sampled_from([0.0, 0.5, float("nan")]), min_size=4, max_size=4)
SOME = st.sets(st.sampled_from(PEOPLE), max_size=3)
WORLDS = st.builds(
    World,
    tags=st.lists(st.sampled_from(TAGS), min_size=1, max_size=4, unique=True),
    likes=st.dictionaries(st.sampled_from(PEOPLE), LIKES, max_size=12),
    withdrawn=SOME.map(frozenset),
)
DELETED = st.dictionaries(st.sampled_from(PEOPLE), st.sets(st.sampled_from(TAGS), min_size=1), max_size=2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", mlruns=tmp_path / "mlruns", threads=1)


def small_parts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(making, "PEOPLE_PER_PART", 3)


@bounded(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(data=st.data())
def test_all_changes_applied_in_order_are_the_last_full_export(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        small_parts(patch)
        patch.setattr("features.durable._flush", lambda _: None)
        home = Settings(home=Path(name), mlruns=Path(name), threads=1)
        folder = Path(name) / "out"
        folder.mkdir()
        copy: Copy = {}
        seen: Version | None = None
        said: set[str] = set()
        deleted: dict[str, frozenset[str]] = {}
        for step in range(data.draw(st.integers(2, 5), "steps")):
            world = data.draw(WORLDS, f"world {step}")
            for person, tags in data.draw(DELETED, "deleted").items():
                deleted[person] = deleted.get(person, frozenset()) | tags
                said.add(person)
            world.deleted = dict(deleted)
            version, _ = make(home, world, f"fill {step}", said)
            files = data.draw(st.sampled_from(["parquet", "ndjson"]), "files")
            exported(home, None, version, folder / f"full-{step}", files)
            full: Copy = {}
            apply(full, folder / f"full-{step}")
            assert full == world.members()
            if data.draw(st.booleans(), "is the copy brought up to date"):
                manifest = exported(home, seen, version, folder / f"since-{step}", files)
                apply(copy, folder / f"since-{step}")
                assert copy == full
                assert manifest["people"] == sum(part["people"] for part in manifest["parts"])
                seen = version
            # Somebody opts out, a copy is told so, and they take it back before the next version is made.
            said = data.draw(SOME, "opted out for a while")
            comparison = Comparison(Versions(home), seen, version)
            if data.draw(st.booleans(), "is it told"):
                for key in comparison.erased():
                    apply_line(copy, {"erased": key})
                for number in range(comparison.ranges):
                    for line in comparison.range(number, refused=frozenset(said)).lines():
                        apply_line(copy, line)
                seen = version
            erased = sorted(data.draw(SOME, "erased"))
            MembershipsPlace(home).erase(erased, [])
        last, _ = make(home, World(TAGS, {}), "last", said)
        exported(home, seen, last, folder / "last", "ndjson")
        apply(copy, folder / "last")
        assert copy == {}


def test_nothing_is_made_anew_for_the_same_rows(settings: Settings) -> None:
    world = World(TAGS, {PEOPLE[0]: [1, 0, 0, 0]})
    first, new = make(settings, world, "fill")
    assert (new, first.number, first.people, first.memberships) == (True, 1, 1, 1)
    assert make(settings, world, "fill") == (first, False)
    again, new = make(settings, world, "fill", said=[PEOPLE[0]])
    assert (new, again.number, again.key) == (True, 2, first.key)
    comparison = Comparison(Versions(settings), first, again)
    assert list(comparison.range(0).lines()) == [{"person": PEOPLE[0], "gone": True, "added": ["milk"]}]


def test_a_tag_that_left_the_taxonomy_is_removed(settings: Settings) -> None:
    first, _ = make(settings, World(("milk", "fish"), {PEOPLE[0]: [1, 1]}), "fill")
    second, _ = make(settings, World(("tea", "milk"), {PEOPLE[0]: [1, 1]}), "fill")
    lines = list(Comparison(Versions(settings), first, second).range(0).lines())
    assert lines == [{"person": PEOPLE[0], "added": ["tea"], "removed": ["fish"]}]


def test_what_withdrawn_people_were_is_in_no_version(settings: Settings) -> None:
    likes = {PEOPLE[0]: [1, 1, 0, 0], PEOPLE[1]: [0, 0, 1, 0]}
    first, _ = make(settings, World(TAGS, likes), "fill")
    second, _ = make(settings, World(TAGS, likes, withdrawn=frozenset([PEOPLE[0]])), "fill")
    versions = Versions(settings)
    assert versions.members(first, 0, 1).bits.tolist() == [[False] * 4, [False, False, True, False]]
    lines = list(Comparison(versions, first, second).range(0).lines())
    assert lines == [{"person": PEOPLE[0], "gone": True}]


def test_a_making_that_was_cut_off_goes_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)
    world = World(TAGS, {one: [1, 0, 0, 0] for one in PEOPLE})
    written: list[str] = []

    def cut_off(path: Path, members: Any) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write_part(path, members)

    with monkeypatch.context() as patched:
        patched.setattr(making, "write_part", cut_off)
        with pytest.raises(KeyboardInterrupt):
            make(settings, world, "fill")
        assert Versions(settings).all() == []
        written.clear()
        # Parts of other rows are of no use.
        with pytest.raises(KeyboardInterrupt):
            make(settings, world, "another fill")
        assert written == ["part-00000.parquet", "part-00001.parquet"]
        written[:] = ["another start"]
        with pytest.raises(KeyboardInterrupt):
            make(settings, world, "another fill")
        assert written == ["another start", "part-00002.parquet"]
    version, _ = make(settings, world, "another fill")
    assert (version.parts, version.people) == (4, 12)


@pytest.mark.parametrize("files", ["parquet", "ndjson"])
def test_an_export_keeps_what_is_finished(settings: Settings, tmp_path: Path, files: str) -> None:
    version, _ = make(settings, World(TAGS, {one: [1, 0, 1, 0] for one in PEOPLE}), "fill")
    first = exported(settings, None, version, tmp_path / "out", files)
    content = (tmp_path / "out" / f"part-00000.{files}").read_bytes()
    again = exported(settings, None, version, tmp_path / "out", files)
    assert (first["kept"], again["kept"], again["added"]) == (0, 1, {"fish": 12, "milk": 12})
    assert (tmp_path / "out" / f"part-00000.{files}").read_bytes() == content
    other, _ = make(settings, World(TAGS, {}), "fill 2")
    with pytest.raises(ScoresError, match="another run, whose version differs"):
        exported(settings, None, other, tmp_path / "out", files)


def test_parquet_has_a_line_per_change(settings: Settings, tmp_path: Path) -> None:
    first, _ = make(settings, World(TAGS, {PEOPLE[0]: [1, 0, 0, 0], PEOPLE[1]: [1, 0, 0, 0]}), "a")
    second, _ = make(settings, World(TAGS, {PEOPLE[0]: [0, 1, 0, 0]}, withdrawn=frozenset([PEOPLE[1]])), "b")
    exported(settings, first, second, tmp_path / "out", "parquet")
    assert pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist() == [
        {"person": PEOPLE[0], "change": "added", "tag": "bread"},
        {"person": PEOPLE[0], "change": "removed", "tag": "milk"},
        {"person": PEOPLE[1], "change": "gone", "tag": ""},
    ]


def test_old_versions_are_pruned(settings: Settings) -> None:
    names = [make(settings, World(TAGS, {PEOPLE[0]: [1, 0, 0, 0]}), f"fill {n}")[0].name for n in range(3)]
    versions = Versions(settings)
    assert versions.prune(2) == names[:1]
    assert [version.name for version in versions.all()] == names[1:]
    with pytest.raises(MembershipsError, match=f"{names[0]}.*valid: {names[2]}, {names[1]}.*without --since"):
        versions.named(names[0])
    assert versions.prune(2) == []


def test_rows_of_another_layout_are_refused(settings: Settings) -> None:
    world = World(TAGS, {})
    rows = Rows(world, "fill")
    rows.schema_hash = "another"
    with pytest.raises(StoreError, match=r"do not follow the layout.*another.*layout-1"):
        making.make_version(
            Versions(settings), bundle_of(world), rows, withdrawn=[], deleted={}, said=frozenset(), stamp=0, now=1
        )
