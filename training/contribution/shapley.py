"""Shapley credit: what each channel of a path adds to its conversion rate, averaged over all orders of adding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from training.contribution.journeys import Journeys, Members, members_of
from training.contribution.share import blocks

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

PAIRS: Final = 1 << 21
"""Pairs of members that are worked on at a time."""


@dataclass(frozen=True)
class Game:
    """Conversion rates of channels and of pairs of channels, as a game among the channels of a path.

    On a path with ``k`` distinct channels the worth of some of them is
    ``v(T) = sum of single[a] over a in T + 1/(k - 1) * sum of pair[a, b] over a < b in T``:
    of two channels the rates that were seen, of more the singles and, on average over the others, how a second
    channel changes them.

    Parameters
    ----------
    single
        float64 [channels]: ``p(a)``, the rate of journeys with this channel.
    pair
        float64 [channels, channels], symmetric, 0 on the diagonal: ``p(a, b) - p(a) - p(b)``, where ``p(a, b)`` is
        the rate of journeys with both.

    Notes
    -----
    Shao and Li, "Data-driven multi-touch attribution models", KDD 2011; Dalessandro, Perlich, Stitelman and
    Provost, "Causally motivated attribution for online advertising", ADKDD 2012, derive it from the Shapley value.
    With numbers of conversions in place of rates (Zhao, Mahboobi and Bagheri, "Shapley value methods for
    attribution modeling in online advertising", 2018, the simplified method) the value would be an equal split over
    the distinct channels of each path, which sees no journey that did not convert.
    """

    single: Float64
    pair: Float64

    @classmethod
    def from_journeys(cls, journeys: Journeys) -> Self:
        """Estimate the rates from converting and other journeys.

        Few journeys say little, so a rate is drawn towards an expected one, as if as many journeys more had been
        seen as bring one conversion on average: ``p(a)`` towards the rate ``p`` of all journeys, ``p(a, b)``
        towards ``p(a) + p(b) - p``, at least 0.
        """
        size = journeys.channels
        counts = np.zeros(2 * size * size, np.int64)  # journeys that did not convert, and those that did
        for low, high in blocks(np.diff(journeys.offsets)):
            begin, end = journeys.offsets[low], journeys.offsets[high]
            found = members_of(journeys.offsets[low : high + 1] - begin, journeys.channel[begin:end], size)
            row = (journeys.converted[low:high][found.path] * size + found.channel) * size
            counts += np.bincount(row + found.channel, minlength=len(counts))
            for one, other in _pairs(found):
                counts += np.bincount(row[one] + found.channel[other], minlength=len(counts))
        some = np.diff(journeys.offsets) > 0
        rate = float(journeys.converted[some].mean()) if some.any() else 0.0
        if rate == 0:
            return cls(np.zeros(size), np.zeros((size, size)))
        half = counts.reshape(2, size, size)
        both = half + np.tril(half, -1).transpose(0, 2, 1)
        seen, won = both.sum(axis=0), both[1]
        single = (np.diag(won) + 1) / (np.diag(seen) + 1 / rate)
        apart = single[:, None] + single
        pair = (won + np.maximum(apart - rate, 0) / rate) / (seen + 1 / rate) - apart
        np.fill_diagonal(pair, 0.0)
        return cls(single, pair)

    def values(self, found: Members) -> Float64:
        """Return the Shapley value of each member in the game of its path.

        In such a game it is ``single[a] + 1/2 * mean of pair[a, b] over the path's other b``, exactly and for paths
        of any length. A negative value counts as 0.

        Returns
        -------
        float64 [members]
        """
        others = np.maximum(np.bincount(found.path)[found.path] - 1, 1)
        changes = np.zeros(len(others))
        for one, other in _pairs(found):
            changed = self.pair[found.channel[one], found.channel[other]]
            changes += np.bincount(one, changed, len(changes)) + np.bincount(other, changed, len(changes))
        values: Float64 = np.maximum(self.single[found.channel] + changes / (2 * others), 0.0)
        return values


def _pairs(found: Members) -> Iterator[tuple[Int32, Int32]]:
    """Yield all pairs of members of one path, the later one first, some paths at a time."""
    sizes = np.bincount(found.path)
    sizes = sizes[sizes > 0]
    starts = np.cumsum(sizes) - sizes
    earlier = np.arange(len(found.path)) - np.repeat(starts, sizes)  # on the same path
    for low, high in blocks(sizes * (sizes - 1) // 2, PAIRS):
        members = slice(starts[low], starts[high - 1] + sizes[high - 1])
        many = earlier[members]
        one = np.repeat(np.arange(members.start, members.stop, dtype=np.int32), many)
        first = np.arange(members.start, members.stop) - many - (np.cumsum(many) - many)
        yield one, np.arange(len(one), dtype=np.int32) + np.repeat(first.astype(np.int32), many)
