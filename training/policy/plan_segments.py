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
_BEYOND_NOISE: Final = 9.0
"""Squares of a split over the variance of those split: three standard errors."""


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
    """Split people by tags: again and again by the one that tells most about the value of those who are left.

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
        Each without those before it; last those without any of the tags. There is always somebody in each, and
        together they are all people.

    Raises
    ------
    OverlapError
        There are too few people for one segment.

    Examples
    --------
    >>> tea, milk = np.arange(40) % 2 == 0, np.arange(40) < 10
    >>> found = segments_of(np.column_stack([tea, milk]), ("tea", "milk"), 5.0 * milk + tea, fewest=5)
    >>> [(one.name, one.without, len(one.rows)) for one in found]
    [('milk', (), 10), ('tea', ('milk',), 15), ('everyone else', ('milk', 'tea'), 15)]
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
    while len(found) < most and member.shape[1] and left.sum() > fewest:
        here = value[left] - value[left].mean()
        inside = member[left].sum(axis=0)
        outside = len(here) - inside
        # Squares between those with a tag and those without it, as when a tree splits.
        between = (here @ member[left]) ** 2 * len(here) / np.maximum(inside * outside, 1)
        between[np.minimum(inside, outside) < fewest] = 0.0
        best = int(between.argmax())
        if not between[best] > _BEYOND_NOISE * here.var():
            break
        found.append(Segment(tags[best], tuple(used), np.flatnonzero(left & member[:, best])))
        used.append(tags[best])
        left &= ~member[:, best]
    return [*found, Segment("", tuple(used), np.flatnonzero(left))]
