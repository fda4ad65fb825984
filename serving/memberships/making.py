"""Making a version: what the online store holds, scored by the champion at its thresholds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from features.durable import publish, write_durably
from features.errors import StoreError
from features.progress import progress
from serving.batch.people import PEOPLE_PER_BLOCK, digest
from serving.batch.row_source import RowSource
from serving.memberships.forgetting import forget_tags
from serving.memberships.versions import (
    MAKING,
    Members,
    Version,
    Versions,
    bounds_of,
    part_path,
    read_part,
    write_about,
    write_part,
)
from serving.online.store import RowBlock
from serving.scoring.scorer import ScoringBundle
from training.bundles.manifest import canonical_json

PEOPLE_PER_PART: Final = 8_192
_KEY_DIGITS: Final = 12
_RUN: Final = "run.json"


def make_version(
    versions: Versions,
    bundle: ScoringBundle,
    source: RowSource,
    *,
    withdrawn: Sequence[str],
    deleted: Mapping[str, AbstractSet[str]],
    said: AbstractSet[str],
    stamp: int,
    now: int,
    console: Console | None = None,
) -> tuple[Version, bool]:
    """Make a version of what a store holds, unless the latest one is that; started again, it goes on.

    The tags of people who must not be known, or who said something about themselves, are forgotten in all versions
    that are kept, before the new one is there. Memory: a block of wide rows, and the tags of one part's people.

    Parameters
    ----------
    versions
        Where it goes; nobody else makes one meanwhile.
    bundle
        The champion.
    source
        People's rows.
    withdrawn
        Keys of people who must not be in it, sorted.
    deleted
        Key of a person or an account → ids of tags that must not be inferred of them.
    said
        Keys of people who said something about themselves since the latest version.
    stamp
        Number of their last statement.
    now
        Epoch seconds.
    console
        Where progress is drawn.

    Returns
    -------
    tuple
        The version, and whether it is new.

    Raises
    ------
    StoreError
        The rows follow another layout than the bundle's, or were replaced while they were read.
    """
    if source.schema_hash != bundle.layout.schema_hash:
        raise StoreError(
            "the rows to score do not follow the layout of the bundle",
            value=source.schema_hash,
            valid=[bundle.layout.schema_hash],
            next_step="run `zhongcao retrain` to fill the store for this bundle",
        )
    made_of = {
        "model": bundle.version,
        "rows": dict(source.facts),
        "withdrawn": digest(withdrawn),
        "deleted_tags": digest([f"{key} {tag}" for key in sorted(deleted) for tag in sorted(deleted[key])]),
    }
    key = hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:_KEY_DIGITS]
    latest = versions.latest()
    forget_tags(versions, said | set(withdrawn))
    if latest is not None and latest.key == key and not said:
        return latest, False
    making = versions.folder / MAKING
    _begin(making, canonical_json(made_of))
    version = Version(
        number=1 if latest is None else latest.number + 1,
        key=key,
        model=bundle.version,
        rows=source.facts,
        as_of=source.as_of,
        model_as_of=bundle.as_of,
        made_at=now,
        stamp=stamp,
        tags=tuple(tag.id for tag in bundle.taxonomy.tags),
        parts=1 << max(0, -(-source.people // PEOPLE_PER_PART) - 1).bit_length(),
        people=0,
        memberships=0,
    )
    scoring = _Scoring(bundle, frozenset(withdrawn), deleted)
    bounds: list[str | None] = [*bounds_of(version.parts), None]
    people = memberships = 0
    with progress(console) as bar:
        task = bar.add_task("deciding who has which tags", total=source.people)
        for number in range(version.parts):
            file = part_path(making, number)
            if not file.exists():
                write_part(file, scoring.members(source, bounds[number] or "", bounds[number + 1]))
            members = read_part(file, len(version.tags))
            people, memberships = people + len(members.persons), memberships + int(members.bits.sum())
            bar.update(task, completed=source.people * (number + 1) // version.parts)
    write_about(making, replace(version, people=people, memberships=memberships))
    (making / _RUN).unlink()
    publish(making, versions.folder / version.name)
    return replace(version, people=people, memberships=memberships), True


class _Scoring:
    """Decides who has which tags."""

    def __init__(
        self, bundle: ScoringBundle, withdrawn: AbstractSet[str], deleted: Mapping[str, AbstractSet[str]]
    ) -> None:
        self._model = bundle.model
        self._withdrawn = withdrawn
        self._deleted = deleted
        self._numbers = {tag.id: number for number, tag in enumerate(bundle.taxonomy.tags)}

    def members(self, source: RowSource, first: str, end: str | None) -> Members:
        """Return who has a tag, of a range of keys."""
        persons = list[str]()
        bits: list[NDArray[np.bool_]] = [np.zeros((0, len(self._numbers)), bool)]
        for block in source.scan(first, end, PEOPLE_PER_BLOCK):
            has = self._assigned(block)
            rows = np.flatnonzero(has.any(axis=1))
            persons += [block.persons[row] for row in rows]
            bits.append(has[rows])
        return Members(np.array(persons, np.str_), np.vstack(bits))

    def _assigned(self, block: RowBlock) -> NDArray[np.bool_]:
        # A tag that was not learned is NaN, which reaches no threshold.
        has: NDArray[np.bool_] = np.asarray(self._model.predict(block.matrix) >= self._model.assign_at)
        for row, person in enumerate(block.persons):
            if person in self._withdrawn:
                has[row] = False
            for tag in self._deleted.get(person, ()):
                if tag in self._numbers:
                    has[row, self._numbers[tag]] = False
        return has


def _begin(making: Path, made_of: str) -> None:
    """Keep what an earlier start made of the same, and nothing else."""
    file = making / _RUN
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) == json.loads(made_of):
        return
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True, mode=0o700)
    write_durably(file, made_of)
