"""Are tags steady: how many people get or lose one from one week to the next under the same model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import Floats

DAYS: Final = 7

Assigned = NDArray[np.bool_]


@dataclass(frozen=True)
class TagStability:
    """People who had one tag at the first instant, at the second, and at both."""

    before: int
    after: int
    both: int

    @property
    def jaccard(self) -> float:
        """People who had it at both over people who had it at either; NaN where nobody had it.

        Examples
        --------
        >>> TagStability(before=3, after=5, both=2).jaccard
        0.3333333333333333
        """
        either = self.before + self.after - self.both
        return self.both / either if either else float("nan")

    @property
    def changed(self) -> int:
        """People who got or lost it."""
        return self.before + self.after - 2 * self.both


@dataclass(frozen=True)
class Stability:
    """How assignments moved between two instants.

    Parameters
    ----------
    days
        Between the instants.
    people
        Who was there at both.
    people_changed
        People with a tag got or lost.
    per_tag
        Tag id → its figures.
    """

    days: int
    people: int
    people_changed: int
    per_tag: dict[str, TagStability]

    @property
    def over_all(self) -> TagStability:
        """All assignments together."""
        tags = self.per_tag.values()
        return TagStability(sum(t.before for t in tags), sum(t.after for t in tags), sum(t.both for t in tags))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Stability:
        """Read the JSON form."""
        per_tag = {tag: TagStability(**counts) for tag, counts in document["per_tag"].items()}
        return cls(document["days"], document["people"], document["people_changed"], per_tag)


def compare_assignments(
    first: tuple[Sequence[str], Floats],
    second: tuple[Sequence[str], Floats],
    assign_at: Floats,
    tags: Sequence[str],
    days: int = DAYS,
) -> Stability:
    """Count who got and who lost each tag.

    Parameters
    ----------
    first, second
        Person keys, sorted and each once, with their probabilities, people × tags, at the two instants. People who
        are at one of them only are left out.
    assign_at
        Thresholds of the tags.
    tags
        Ids of the tags.
    days
        Between the instants.

    Examples
    --------
    >>> before, after = np.array([[0.9], [0.2]]), np.array([[0.8], [0.7]])
    >>> found = compare_assignments((["ann", "bob"], before), (["ann", "bob"], after), np.array([0.5]), ["tea"])
    >>> found.people_changed, found.per_tag["tea"].jaccard
    (1, 0.5)
    """
    _, at_first, at_second = np.intersect1d(first[0], second[0], assume_unique=True, return_indices=True)
    before: Assigned = first[1][at_first] >= assign_at
    after: Assigned = second[1][at_second] >= assign_at
    counts = zip(before.sum(axis=0), after.sum(axis=0), (before & after).sum(axis=0), strict=True)
    return Stability(
        days=days,
        people=len(at_first),
        people_changed=int((before != after).any(axis=1).sum()),
        per_tag={
            tag: TagStability(int(b), int(a), int(both)) for tag, (b, a, both) in zip(tags, counts, strict=True)
        },
    )
