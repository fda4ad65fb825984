"""Scores of tags as columns of impression rows: each row takes those of the person about the note's category."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from features.asof import Int64
from features.errors import FeatureError
from features.people.acts import code_of

EVERY_CATEGORY = "*"


@dataclass(frozen=True)
class ScoredTags:
    """Which tags have scores.

    Parameters
    ----------
    patterns
        T names; of the tags of one name at most one is about any category, and they make one column.
    categories
        T sets of category codes that each tag is about; ``*`` stands for every category.
    ids
        T ids of tags; empty where an earlier version of zhongcao did not note them.
    """

    patterns: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.patterns) != len(self.categories) or len(self.ids) not in (0, len(self.patterns)):
            raise FeatureError("each tag's name and categories are needed", value=len(self.categories))
        # Found wrong here rather than by the first row.
        self.places  # noqa: B018

    @cached_property
    def places(self) -> Mapping[str, dict[int, int]]:
        """Pattern → code of a category → number of the tag about it."""
        places: dict[str, dict[int, int]] = {}
        for number, (pattern, categories) in enumerate(zip(self.patterns, self.categories, strict=True)):
            of_pattern = places.setdefault(pattern, {})
            for category in categories:
                if code_of(category) in of_pattern:
                    raise FeatureError(f"two tags of pattern {pattern} are about one category", value=category)
                of_pattern[code_of(category)] = number
        return places

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able facts, for a bundle."""
        categories = [list(codes) for codes in self.categories]
        return {"patterns": list(self.patterns), "categories": categories, "ids": list(self.ids)}

    def without(self, scores: npt.NDArray[np.float32], gone: Collection[str]) -> npt.NDArray[np.float32]:
        """Return scores, [n, T], without those of some tags; without any, where it is not known which they are.

        Examples
        --------
        >>> tags = ScoredTags(("will-buy", "will-buy"), (("tea",), ("milk",)), ("tea.will-buy", "milk.will-buy"))
        >>> tags.without(np.array([[0.25, 0.5]], np.float32), ["milk.will-buy", "other"]).tolist()
        [[0.25, nan]]
        """
        if not gone:
            return scores
        out = scores.copy()
        out[:, [not self.ids or tag in gone for tag in self.ids or self.patterns]] = np.nan
        return out

    @classmethod
    def of_dict(cls, said: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned."""
        categories = tuple(tuple(codes) for codes in said["categories"])
        return cls(tuple(said["patterns"]), categories, tuple(said.get("ids", ())))


@dataclass(frozen=True)
class TagScores:
    """Probabilities of tags, computed for many people as of some instants.

    Parameters
    ----------
    instants
        k epoch seconds, ascending. A row uses the latest instant at or before its own time, and only that one.
    persons
        Per instant the person keys, n each.
    probabilities
        Per instant float32, n × T.
    tags
        T tags.

    Examples
    --------
    >>> scores = TagScores(np.array([100]), (("ann",),), (np.array([[0.25, 0.5]], np.float32),),
    ...     ScoredTags(("will-buy", "will-buy"), (("tea",), ("milk",))))
    >>> people, categories = np.array([code_of("ann")] * 2), np.array([code_of("milk"), code_of("soap")])
    >>> scores.columns(("will-buy",), people, categories, np.array([100, 200]))["will-buy"].tolist()
    [0.5, nan]
    """

    instants: Int64
    persons: tuple[tuple[str, ...], ...]
    probabilities: tuple[npt.NDArray[np.float32], ...]
    tags: ScoredTags

    def __post_init__(self) -> None:
        if bool((np.diff(self.instants) <= 0).any()):
            raise FeatureError("the instants of scores do not ascend", value=self.instants.tolist())
        if not len(self.instants) == len(self.persons) == len(self.probabilities):
            raise FeatureError("scores lack an instant, its people or their numbers", value=len(self.instants))
        for people, numbers in zip(self.persons, self.probabilities, strict=True):
            expected = (len(people), len(self.tags.patterns))
            if numbers.shape != expected:
                raise FeatureError("scores are of another shape", value=numbers.shape, valid=[expected])

    def columns(
        self, patterns: tuple[str, ...], persons: Int64, categories: Int64, times: Int64
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Return for each pattern the score of its tag about the row's category, NaN where there is none.

        Parameters
        ----------
        patterns
            Columns that are wanted.
        persons, categories
            Codes of the rows' persons and categories, 0 for none.
        times
            Epoch seconds of the rows.
        """
        found = {pattern: np.full(len(times), np.nan, np.float32) for pattern in patterns}
        instant = np.searchsorted(self.instants, times, side="right") - 1
        places, everywhere = self.tags.places, code_of(EVERY_CATEGORY)
        for number in np.unique(instant[instant >= 0]):
            rows = np.flatnonzero(instant == number)
            row_of = {code_of(person): row for row, person in enumerate(self.persons[number])}
            distinct, back = np.unique(persons[rows], return_inverse=True)
            person = np.array([row_of.get(code, -1) for code in distinct.tolist()], np.int64)[back]
            distinct, back = np.unique(categories[rows], return_inverse=True)
            for pattern in patterns:
                tags = places.get(pattern, {})
                other = tags.get(everywhere, -1)
                tag = np.array([tags.get(code, other) for code in distinct.tolist()], np.int64)[back]
                some = np.flatnonzero((person >= 0) & (tag >= 0))
                found[pattern][rows[some]] = self.probabilities[number][person[some], tag[some]]
        return found
