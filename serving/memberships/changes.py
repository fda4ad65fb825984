"""What changed between two versions: tags that somebody got or lost, and people of whom nothing may be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from serving.memberships.versions import Members, Version, Versions

NOBODY: Final[AbstractSet[str]] = frozenset()
NO_TAGS: Final[Mapping[str, AbstractSet[str]]] = MappingProxyType({})


@dataclass(frozen=True)
class Changes:
    """What changed for some people.

    Parameters
    ----------
    persons
        Keys, ascending.
    tags
        Ids of both versions' tags: the newer one's in its order, then those that left the taxonomy.
    gone
        Of whom all that was known before is to be dropped, bool [n]; then what was added holds.
    added, removed
        Which tags each got and lost, bool [n, T].
    """

    persons: NDArray[np.str_]
    tags: tuple[str, ...]
    gone: NDArray[np.bool_]
    added: NDArray[np.bool_]
    removed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.persons)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield each person's changes as they stand in a line of JSON."""
        names = np.array(self.tags, object)
        for person, gone, added, removed in zip(
            self.persons.tolist(), self.gone.tolist(), self.added, self.removed, strict=True
        ):
            said = {"gone": gone, "added": names[added].tolist(), "removed": names[removed].tolist()}
            yield {"person": person, **{name: value for name, value in said.items() if value}}


def changes(
    old: Members | None,
    new: Members,
    tags: tuple[tuple[str, ...], tuple[str, ...]],
    refused: AbstractSet[str] = NOBODY,
    deleted: Mapping[str, AbstractSet[str]] = NO_TAGS,
) -> Changes:
    """Compare two versions of the same range of keys.

    Parameters
    ----------
    old, new
        Who was and who is in it; None for `old` compares with nobody.
    tags
        Ids of the tags of `old` and of `new`.
    refused
        Keys of people of whom nothing may be said since.
    deleted
        Key of a person → tags that must not be inferred of them since.

    Examples
    --------
    >>> old = Members(np.array(["a", "b"]), np.array([[True, False], [False, False]]))
    >>> new = Members(np.array(["a", "b"]), np.array([[False, True], [False, True]]))
    >>> list(changes(old, new, (("tea", "oil"), ("tea", "milk"))).lines())[0]
    {'person': 'a', 'added': ['milk'], 'removed': ['tea']}
    >>> list(changes(old, new, (("tea", "oil"), ("tea", "milk"))).lines())[1]
    {'person': 'b', 'gone': True, 'added': ['milk']}
    """
    before, now = tags
    names = (*now, *(tag for tag in before if tag not in set(now)))
    number = {tag: place for place, tag in enumerate(names)}
    persons = new.persons if old is None else np.union1d(old.persons, new.persons)
    had, has = np.zeros((2, len(persons), len(names)), bool)
    gone = np.zeros(len(persons), bool)
    for members, of, into in ((old, before, had), (new, now, has)):
        if members is not None and len(members.persons):
            rows = np.searchsorted(persons, members.persons)
            into[np.ix_(rows, np.array([number[tag] for tag in of], np.int64))] = members.bits
            gone[rows] |= ~members.bits.any(axis=1)
    for row, person in enumerate(persons.tolist() if refused or deleted else ()):
        if person in refused:
            gone[row], has[row] = True, False
        for tag in deleted.get(person, ()):
            if tag in number:
                has[row, number[tag]] = False
    if old is None:
        gone[:] = False
    had[gone] = False
    added, removed = has & ~had, had & ~has
    kept = gone | added.any(axis=1) | removed.any(axis=1)
    return Changes(persons[kept], names, gone[kept], added[kept], removed[kept])


class Comparison:
    """Compares a version with an earlier one, range of keys by range.

    Parameters
    ----------
    versions
        Where both lie.
    since
        The earlier one; None for all memberships of the newer one.
    version
        The newer one.
    """

    def __init__(self, versions: Versions, since: Version | None, version: Version) -> None:
        self.versions = versions
        self.since = since
        self.version = version
        self.ranges = max(version.parts, since.parts if since else 1)

    def range(
        self,
        number: int,
        refused: AbstractSet[str] = NOBODY,
        deleted: Mapping[str, AbstractSet[str]] = NO_TAGS,
    ) -> Changes:
        """Return what changed in a range of keys, see `changes`."""
        old = None if self.since is None else self.versions.members(self.since, number, self.ranges)
        new = self.versions.members(self.version, number, self.ranges)
        tags = (self.since.tags if self.since else (), self.version.tags)
        return changes(old, new, tags, refused, deleted)

    def erased(self) -> list[str]:
        """Return hashes of the keys of people who were erased since the earlier version was the latest."""
        return [] if self.since is None else self.versions.erased(self.since.number)
