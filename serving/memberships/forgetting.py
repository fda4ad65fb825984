"""Forgetting people in the versions that are kept: their tags, or that they ever were there."""

from __future__ import annotations

import hashlib
import shutil
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from features.erasure.erasable import ErasablePlace
from features.settings import Settings
from serving.memberships.versions import (
    MAKING,
    Members,
    Version,
    Versions,
    bounds_of,
    part_path,
    read_part,
    write_part,
)


def hash_of(person: str) -> str:
    """Return what stands for the key of somebody who was erased: whoever has no such person learns nothing of it.

    Examples
    --------
    >>> hash_of("ab" * 16)[:12]
    'd2f9fa9d99bb'
    """
    return hashlib.sha256(person.encode()).hexdigest()


def forget_tags(versions: Versions, keys: Iterable[str]) -> int:
    """Forget which tags people had, in all versions; that they were there stays, so that a copy can drop them.

    Returns
    -------
    int
        How many lines of versions were emptied.
    """
    emptied = 0
    for version, path, found in _parts(versions, keys):
        members = read_part(path, len(version.tags))
        rows = np.isin(members.persons, found) & members.bits.any(axis=1)
        if rows.any():
            members.bits[rows] = False
            write_part(path, members)
            emptied += int(rows.sum())
    return emptied


class MembershipsPlace(ErasablePlace):
    """The versions of the memberships.

    Of whoever was in one a hash of the key is kept as long as the versions are, so that copies drop them, too.

    Parameters
    ----------
    settings
        Where they lie.
    """

    name = "versions of memberships"

    def __init__(self, settings: Settings) -> None:
        self._versions = Versions(settings)

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete people from all versions, see `ErasablePlace.erase`."""
        removed = 0
        keys = {*persons, *accounts}
        for version, path, among in _parts(self._versions, keys):
            members = read_part(path, len(version.tags))
            rows = np.isin(members.persons, among)
            if rows.any():
                # First the hashes: whoever is cut off in between is removed by the next try.
                self._versions.note_erased([hash_of(key) for key in members.persons[rows].tolist()])
                write_part(path, Members(members.persons[~rows], members.bits[~rows]))
                removed += int(rows.sum())
        for draft in self._versions.folder.glob("*/.*.draft"):
            draft.unlink()
        # One that was cut off is begun anew.
        shutil.rmtree(self._versions.folder / MAKING, ignore_errors=True)
        return removed


def _parts(versions: Versions, keys: Iterable[str]) -> Iterable[tuple[Version, Path, list[str]]]:
    """Yield the parts that some people may be in, with these people."""
    wanted = sorted(set(keys))
    for version in versions.all():
        by_part: dict[int, list[str]] = defaultdict(list)
        bounds = bounds_of(version.parts)
        for key in wanted:
            by_part[bisect_right(bounds, key) - 1].append(key)
        for number, among in by_part.items():
            yield version, part_path(versions.folder / version.name, number), among
