"""Small worlds of people with tags, and a copy of the memberships that somebody else keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from features.settings import Settings
from serving.batch.row_source import RowSource
from serving.memberships.changes import Comparison
from serving.memberships.export import export_changes
from serving.memberships.making import make_version
from serving.memberships.versions import Version, Versions
from serving.online.store import RowBlock

PEOPLE = [f"{number:x}" + "0" * 31 for number in range(12)]
Copy = dict[str, set[str]]


@dataclass
class World:
    """What a store holds and a champion says at one time.

    Attributes
    ----------
    tags
        Of the champion, in its order.
    likes
        Person → probability of each tag.
    """

    tags: Sequence[str]
    likes: Mapping[str, Sequence[float]]
    withdrawn: frozenset[str] = frozenset()
    deleted: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def members(self) -> Copy:
        """Who must be known to have which tags."""
        found = {
            person: {
                tag
                for tag, probability in zip(self.tags, row, strict=False)
                if probability >= 0.5 and tag not in self.deleted.get(person, ())
            }
            for person, row in self.likes.items()
            if person not in self.withdrawn
        }
        return {person: tags for person, tags in found.items() if tags}


class Rows(RowSource):
    """The rows of a world."""

    def __init__(self, world: World, fill: str) -> None:
        self._likes = world.likes
        self.people, self.as_of, self.schema_hash = len(world.likes), 7, "layout-1"
        self.facts = {"from": "a world", "fill": fill}

    def scan(self, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        persons = sorted(one for one in self._likes if one >= first and (end is None or one < end))
        for begin in range(0, len(persons), size):
            some = persons[begin : begin + size]
            rows = np.array([self._likes[one] for one in some], np.float32)
            yield RowBlock(some, np.full(len(some), 7), rows)

    def get(self, persons: Sequence[str]) -> Any:
        raise AssertionError(persons)

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        raise AssertionError(accounts)


def bundle_of(world: World, version: str = "tags-1") -> Any:
    width = len(world.tags)
    model = SimpleNamespace(assign_at=np.full(width, 0.5), predict=lambda rows: rows[:, :width].astype(np.float64))
    return SimpleNamespace(
        version=version,
        as_of=5,
        layout=SimpleNamespace(schema_hash="layout-1"),
        taxonomy=SimpleNamespace(tags=[SimpleNamespace(id=tag) for tag in world.tags]),
        model=model,
    )


def make(settings: Settings, world: World, fill: str, said: Iterable[str] = ()) -> tuple[Version, bool]:
    return make_version(
        Versions(settings),
        bundle_of(world, f"model of {' '.join(world.tags)}"),
        Rows(world, fill),
        withdrawn=sorted(world.withdrawn),
        deleted=world.deleted,
        said=frozenset(said),
        stamp=0,
        now=100,
    )


def exported(settings: Settings, since: Version | None, version: Version, out: Path, files: str) -> dict[str, Any]:
    return export_changes(Comparison(Versions(settings), since, version), out, files)


def apply(copy: Copy, folder: Path) -> None:
    """Bring a copy up to date with an export, line by line in the order of its files."""
    for path in sorted(folder.glob("part-*.parquet")):
        for line in pq.read_table(path).to_pylist():
            change = line["change"]
            person, tag = line["person"], line["tag"]
            if change in ("added", "removed"):
                apply_line(copy, {"person": person, change: [tag]})
            else:
                apply_line(copy, {"erased": person} if change == "erased" else {"person": person, "gone": True})
    for path in sorted(folder.glob("part-*.ndjson")):
        for line in path.read_text(encoding="utf-8").splitlines():
            apply_line(copy, json.loads(line))


def apply_line(copy: Copy, line: Mapping[str, Any]) -> None:
    if "erased" in line:
        for person in [one for one in copy if hashlib.sha256(one.encode()).hexdigest() == line["erased"]]:
            del copy[person]
        return
    person = line["person"]
    if line.get("gone"):
        copy.pop(person, None)
    tags = (copy.pop(person, set()) | set(line.get("added", ()))) - set(line.get("removed", ()))
    if tags:
        copy[person] = tags
