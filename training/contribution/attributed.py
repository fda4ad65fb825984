"""Conversions of a brand credited by every rule, and what can be told from their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.paths.paths import LEVELS, Paths, column
from features.small_tables import codes_of
from training.contribution import credit as rules
from training.contribution.question import Question
from training.contribution.roi import fit_delays, still_to_come
from training.delay import DelayModel

Int64 = NDArray[np.int64]
ENTRIES: Final = ("direct", "search_back", "other")
_TOKENS: Final = ("view", "click", "ad view", "ad click")
_LONGEST_SHAPE: Final = 6


@dataclass(frozen=True)
class Credit:
    """Minor units that a rule gives for orders with an item behind the note's link, and for others of the brand."""

    direct: int
    halo: int

    @property
    def value(self) -> int:
        """Both together."""
        return self.direct + self.halo


@dataclass(frozen=True)
class Shape:
    """Paths of one shape: steps in order, repeats in one, then how the shop was entered."""

    steps: str
    orders: int
    value: int


@dataclass(frozen=True, eq=False)
class Attributed:
    """Paths and the credit of each of their positions.

    Parameters
    ----------
    paths
        Touches before each conversion.
    credit
        Minor units per position of the paths, by rule.
    """

    paths: Paths
    credit: Mapping[str, Int64]

    @classmethod
    def of(cls, paths: Paths) -> Attributed:
        """Apply every rule."""
        return cls(paths, {rule: rules.credits(paths, paths.values, rule) for rule in rules.RULES})

    @property
    def ordered(self) -> Int64:
        """Which conversion each position belongs to, int64 [positions]."""
        return np.repeat(np.arange(len(self.paths)), np.diff(self.paths.offsets))

    def by(self, level: str) -> dict[str | None, dict[str, Credit]]:
        """Return the credit of each name at a level (`LEVELS`, or ``all``) by rule, of the reported stretch.

        The credits of all names add up to those of ``all``; what no name has is under None.
        """
        codes, names = self.names(level)
        kept = self.paths.counted
        code, halo = codes[self.paths.touch[kept]], self.paths.halo[kept]
        sums = {}
        for rule, amounts in self.credit.items():
            total = np.zeros((2, len(names)), np.int64)
            np.add.at(total, (halo.astype(np.int64), code), amounts[kept])
            sums[rule] = total
        named = np.bincount(code, minlength=len(names)) > 0
        return {
            name: {rule: Credit(int(total[0, n]), int(total[1, n])) for rule, total in sums.items()}
            for n, name in enumerate(names)
            if named[n]
        }

    def orders(self, level: str) -> dict[str | None, int]:
        """Return on how many reported conversions' paths each name is; one conversion may be on several's."""
        codes, names = self.names(level)
        kept = self.paths.counted
        pairs = np.unique(self.ordered[kept] * len(names) + codes[self.paths.touch[kept]])
        counts = np.bincount(pairs % len(names), minlength=len(names))
        return {name: int(count) for name, count in zip(names, counts, strict=True) if count}

    def names(self, level: str) -> tuple[Int64, list[str | None]]:
        """Return a code per touch and the name of each code."""
        if level in LEVELS:
            return self.paths.names(level)
        return np.zeros(self.paths.touches.num_rows, np.int64), [None]

    @property
    def categories(self) -> NDArray[np.str_]:
        """Category of each touch, empty where none is known."""
        codes, names = codes_of(self.paths.touches, "category")
        return np.array([*names.to_pylist(), ""], dtype=str)[codes]

    def still_to_come(self, question: Question, delays: DelayModel | None) -> float:
        """Return the share of the orders after the period's clicks that has not come yet."""
        seen = column(self.paths.touches, "time")
        clicks = column(self.paths.touches, "click").astype(bool) & (seen >= question.start) & (seen < question.end)
        return still_to_come(seen[clicks], list(self.categories[clicks]), question.as_of, delays)

    def shapes(self, most: int = 10) -> list[Shape]:
        """Return the shapes with the most orders among the reported conversions with a touch."""
        paths = self.paths
        touches = paths.touches
        token = (2 * column(touches, "paid") + column(touches, "click").astype(np.int64))[paths.touch]
        conversion = self.ordered
        new = np.ones(len(token), bool)
        new[1:] = (token[1:] != token[:-1]) | (conversion[1:] != conversion[:-1])
        token, conversion = token[new], conversion[new]
        last = np.searchsorted(conversion, conversion, side="right") - 1
        from_end = last - np.arange(len(token))
        # A path as a number: one digit per step, the last step lowest, and a digit that says that more came before.
        digit = np.where(from_end < _LONGEST_SHAPE, token + 1, len(_TOKENS) + 1)
        base = len(_TOKENS) + 2
        kept = from_end <= _LONGEST_SHAPE
        number = np.zeros(len(paths), np.int64)
        np.add.at(number, conversion[kept], digit[kept] * base ** from_end[kept])
        entry = _entries(paths)
        wanted = paths.reported & (np.diff(paths.offsets) > 0)
        codes, which, orders = np.unique(
            (number * len(ENTRIES) + entry)[wanted], return_inverse=True, return_counts=True
        )
        value = np.zeros(len(codes), np.int64)
        np.add.at(value, which, paths.values[wanted])
        first = np.lexsort((codes, -value, -orders))[:most]
        return [Shape(_said(int(codes[n])), int(orders[n]), int(value[n])) for n in first]

    def entries(self) -> dict[str, int]:
        """Return how many reported conversions came through a link, by search-back, or otherwise."""
        counts = np.bincount(_entries(self.paths)[self.paths.reported], minlength=len(ENTRIES))
        return {name: int(count) for name, count in zip(ENTRIES, counts, strict=True)}

    def delays(self, question: Question) -> tuple[DelayModel | None, dict[str, int]]:
        """Return how long orders take after the last click before them, and the orders by category behind that.

        Clicks before the period are left out: orders that came soon after them are on no path here.
        """
        paths = self.paths
        seen = column(paths.touches, "time")
        clicks = np.flatnonzero(paths.clicks)
        conversion = self.ordered[clicks]
        last = np.ones(len(clicks), bool)
        last[:-1] = conversion[1:] != conversion[:-1]
        last &= seen[paths.touch[clicks]] >= question.start
        touch, conversion = paths.touch[clicks[last]], conversion[last]
        categories = self.categories[touch]
        named, counts = np.unique(categories, return_counts=True)
        orders = {str(name): int(count) for name, count in zip(named, counts, strict=True) if name}
        ordered = column(paths.conversions, "time")[conversion]
        return fit_delays(seen[touch], ordered, list(categories), end=min(question.as_of, question.matures)), orders


def _entries(paths: Paths) -> Int64:
    codes = {name: number for number, name in enumerate(ENTRIES)}
    return np.array([codes[name] for name in paths.conversions["entry"].to_pylist()], np.int64)


def _said(code: int) -> str:
    number, entry = divmod(code, len(ENTRIES))
    steps = []
    while number:
        number, digit = divmod(number, len(_TOKENS) + 2)
        steps.append("…" if digit > len(_TOKENS) else _TOKENS[digit - 1])
    return " → ".join(
        [*reversed(steps), {"direct": "link", "search_back": "search-back", "other": "shop"}[ENTRIES[entry]]]
    )
