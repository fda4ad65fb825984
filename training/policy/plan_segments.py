"""Audiences that share nobody: a list of tags, each without those before it, so that overlap counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.errors import OverlapError
from training.quality.metrics import Floats

FEWEST_PEOPLE: Final = 50
"""A smaller audience would tell too much of the few people in it."""


@dataclass(frozen=True)
class Segment:
    """Who has one tag and none of others.

    Parameters
    ----------
    tag
        Its id; empty for those who have none of the tags.
    without
        Tags of the segments before.
    rows
        People in it, numbers of rows.
    """

    tag: str
    without: tuple[str, ...]
    rows: NDArray[np.int64]

    @property
    def name(self) -> str:
        """The tag, or ``everyone else``."""
        return self.tag or "everyone else"

    @property
    def audience(self) -> dict[str, Any]:
        """The audience for an ad server: tags that are all needed, and tags of which none may be there."""
        return {"all": [self.tag] if self.tag else [], "none": list(self.without)}


def segments_of(
    member: NDArray[np.bool_], tags: tuple[str, ...], value: Floats, *, most: int = 8, fewest: int = FEWEST_PEOPLE
) -> list[Segment]:
    """Split people by tags: again and again the tag whose people who are left are worth most, then all others.

    Parameters
    ----------
    member
        Who has which tag [people, tags].
    tags
        Their ids.
    value
        What showing something to each person is worth [people].
    most
        Tags at most.
    fewest
        Segments of fewer people are not made.

    Returns
    -------
    list of Segment
        Best first; those without any of the tags come last, where they are enough. Who is left over otherwise is in
        no segment.

    Raises
    ------
    OverlapError
        There are too few people for one segment.

    Examples
    --------
    >>> member = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], bool)
    >>> found = segments_of(member, ("tea", "milk"), np.array([1.0, 9.0, 2.0, 3.0]), fewest=1)
    >>> [(one.name, one.without, one.rows.tolist()) for one in found]
    [('milk', (), [1, 2]), ('everyone else', ('milk',), [0, 3])]
    """
    if len(value) < fewest:
        raise OverlapError(
            "too few people can be reached to plan for them",
            value=len(value),
            valid=[f"{fewest} or more"],
            next_step="import impressions of paid notes, or wait until more people have seen some",
        )
    left = np.ones(len(value), bool)
    found: list[Segment] = []
    used: list[str] = []
    mean = float(value.mean())
    while len(found) < most and member.shape[1]:
        there = member & left[:, None]
        sizes = there.sum(axis=0)
        worth = np.where(sizes >= fewest, value @ there / np.maximum(sizes, 1), -np.inf)
        best = int(worth.argmax())
        if not worth[best] > mean:  # from here on tags tell whom not to show it to: so do all others together
            break
        found.append(Segment(tags[best], tuple(used), np.flatnonzero(there[:, best])))
        used.append(tags[best])
        left &= ~member[:, best]
    if left.sum() >= fewest:
        found.append(Segment("", tuple(used), np.flatnonzero(left)))
    return found
