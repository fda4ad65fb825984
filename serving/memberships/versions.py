"""The versions of memberships that a home keeps: a folder each, with the set of tags of everybody who has one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.durable import publish_file, write_durably
from features.errors import MembershipsError
from features.settings import Settings

MAKING: Final = ".making"
_ABOUT: Final = "about.json"
_ERASED: Final = "erased.json"
_FULL: Final = "export everything again, without --since"


@dataclass(frozen=True)
class Version:
    """One version.

    Parameters
    ----------
    number
        Grows with every version; never given twice.
    key
        Hash of what it was made of: the rows, the model, who must not be in it.
    model
        Version of the bundle that scored.
    rows
        Names the rows that were scored: fill and how far it was fed.
    as_of, model_as_of
        Instants of the rows and of the model, epoch seconds.
    made_at
        When its making began, epoch seconds.
    stamp
        Number of the last statement of the file of people's rights that counts in it.
    tags
        Ids in the taxonomy's order.
    parts
        How many files it lies in, a power of two; each holds a range of keys.
    people, memberships
        How many had a tag when it was made, and how many tags they had together.
    """

    number: int
    key: str
    model: str
    rows: Mapping[str, Any]
    as_of: int
    model_as_of: int
    made_at: int
    stamp: int
    tags: tuple[str, ...]
    parts: int
    people: int
    memberships: int

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return f"{self.number}-{self.key}"


@dataclass(frozen=True)
class Members:
    """Some people with their tags.

    Parameters
    ----------
    persons
        Keys, ascending, of numpy type str.
    bits
        Whether each has each tag, bool [n, T]; a line without any is of somebody whose tags were forgotten.
    """

    persons: NDArray[np.str_]
    bits: NDArray[np.bool_]


def bounds_of(parts: int) -> list[str]:
    """Return the least key of each of some ranges of equal size.

    Examples
    --------
    >>> bounds_of(4)
    ['', '4000', '8000', 'c000']
    """
    return ["", *(f"{part * 0x10000 // parts:04x}" for part in range(1, parts))]


class Versions:
    """The kept versions of a home.

    Parameters
    ----------
    settings
        Where they lie.
    """

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.memberships_dir

    def all(self) -> list[Version]:
        """Return them, oldest first."""
        found = [_version(path) for path in self.folder.glob(f"[0-9]*/{_ABOUT}")]
        return sorted(found, key=lambda version: version.number)

    def latest(self) -> Version | None:
        """Return the newest one; None where there is none."""
        return max(self.all(), key=lambda version: version.number, default=None)

    def named(self, name: str) -> Version:
        """Return the one of that name.

        Raises
        ------
        MembershipsError
            It is not kept any more, or never was.
        """
        found = {version.name: version for version in self.all()}
        if name not in found:
            raise MembershipsError(
                "this version of the memberships is not kept",
                value=name,
                valid=reversed(found),
                next_step=_FULL,
            )
        return found[name]

    def members(self, version: Version, number: int, of: int) -> Members:
        """Return who is in one of `of` equal ranges of keys, at least as many as the version has parts."""
        file = part_path(self.folder / version.name, number * version.parts // of)
        found = read_part(file, len(version.tags))
        bounds = [*bounds_of(of), "~"]
        start, end = np.searchsorted(found.persons, [bounds[number], bounds[number + 1]])
        return Members(found.persons[start:end], found.bits[start:end])

    def erased(self, since: int) -> list[str]:
        """Return hashes of the keys of people who were erased when this version or a later one was the latest."""
        return sorted({key for number, key in self._erased() if number >= since})

    def note_erased(self, hashes: Sequence[str]) -> None:
        """Remember hashes of the keys of people who are erased from all versions, from the latest one on."""
        latest = self.latest()
        known = self._erased()
        new = [] if latest is None else [(latest.number, key) for key in hashes]
        if not set(new) <= set(known):
            write_durably(self.folder / _ERASED, json.dumps(sorted({*known, *new})))

    def _erased(self) -> list[tuple[int, str]]:
        path = self.folder / _ERASED
        if not path.exists():
            return []
        return [(number, key) for number, key in json.loads(path.read_text(encoding="utf-8"))]

    def prune(self, keep: int) -> list[str]:
        """Delete all but the latest versions; return the names of those that are gone."""
        versions = self.all()
        gone, left = versions[:-keep], versions[-keep:]
        for version in gone:
            # Without this file it is none, whatever else is left of it.
            (self.folder / version.name / _ABOUT).unlink()
            shutil.rmtree(self.folder / version.name)
        for path in self.folder.glob("[0-9]*"):
            if not (path / _ABOUT).exists():
                shutil.rmtree(path)
        known = self._erased()
        needed = [entry for entry in known if left and entry[0] >= left[0].number]
        if needed != known:
            write_durably(self.folder / _ERASED, json.dumps(needed))
        return [version.name for version in gone]


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a part."""
    return folder / f"part-{number:05}.parquet"


def read_part(path: Path, tags: int) -> Members:
    """Read a part of a version with so many tags."""
    table = pq.read_table(path)
    persons = np.array(table["person"].to_pylist(), np.str_)
    packed = np.array([list(row) for row in table["bits"].to_pylist()], np.uint8)
    bits = np.unpackbits(packed.reshape(len(persons), -1), axis=1, count=tags) if len(persons) else None
    return Members(persons, np.zeros((0, tags), bool) if bits is None else bits.astype(bool))


def write_part(path: Path, members: Members) -> None:
    """Write a part, in place of one that is there."""
    packed = np.packbits(members.bits, axis=1)
    width = packed.shape[1]
    bits = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(packed), [None, pa.py_buffer(np.ascontiguousarray(packed).tobytes())]
    )
    draft = path.with_name(f".{path.name}.draft")
    draft.touch(mode=0o600)
    table = pa.table({"person": pa.array(members.persons.tolist(), pa.string()), "bits": bits})
    # Statistics would name the first person and the last one.
    pq.write_table(table, draft, compression="zstd", use_dictionary=False, write_statistics=False)
    publish_file(draft, path)


def write_about(folder: Path, version: Version) -> None:
    """Say in a version's folder what it is."""
    write_durably(folder / _ABOUT, json.dumps(asdict(version), ensure_ascii=False, indent=1, sort_keys=True))


def _version(path: Path) -> Version:
    said = json.loads(path.read_text(encoding="utf-8"))
    return Version(**{**said, "tags": tuple(said["tags"])})
