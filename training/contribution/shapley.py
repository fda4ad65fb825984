"""Shapley credit: what each channel of a path adds to its conversion rate, averaged over all orders of adding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from training.contribution.journeys import Journeys, Members, members_of
from training.contribution.share import blocks

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

PAIRS: Final = 1 << 21
"""Pairs of members that are worked on at a time."""


@dataclass(frozen=True)
class Game:
    """Conversion rates of sets of channels, as a game of singles and pairs.

    The worth of a set ``S`` is ``v(S) = sum of single[a] over a in S + sum of pair[a, b] over a < b in S``.

    Parameters
    ----------
    single
        float64 [channels]: rate of journeys with this channel alone.
    pair
        float64 [channels, channels], symmetric, 0 on the diagonal: by how much the rate of journeys with just these
        two lies above the sum of their singles.
    """

    single: Float64
    pair: Float64

    @classmethod
    def from_journeys(cls, journeys: Journeys) -> Self:
        """Estimate the rates from the journeys that have one or two distinct channels.

        Rates are drawn towards what the smaller sets say (a single's towards the rate of all journeys, a pair's
        towards the sum of its singles) as if that many journeys more had been seen as bring one conversion on
        average. A pair that was never seen alone adds nothing.
        """
        size = journeys.channels
        alone, together = np.zeros((2, size)), np.zeros((2, size * size))
        for low, high in blocks(np.diff(journeys.offsets)):
            begin, end = journeys.offsets[low], journeys.offsets[high]
            found = members_of(journeys.offsets[low : high + 1] - begin, journeys.channel[begin:end], size)
            sizes = np.bincount(found.path, minlength=high - low)
            first = np.cumsum(sizes) - sizes
            for converted in (False, True):
                here = journeys.converted[low:high] == converted
                one = found.channel[first[here & (sizes == 1)]]
                alone[int(converted)] += np.bincount(one, minlength=size)
                two = first[here & (sizes == 2)]
                both = found.channel[two] * size + found.channel[np.minimum(two + 1, len(found.channel) - 1)]
                together[int(converted)] += np.bincount(both, minlength=size * size)
        some = np.diff(journeys.offsets) > 0
        rate = float(journeys.converted[some].mean()) if some.any() else 0.0
        if rate == 0:
            return cls(np.zeros(size), np.zeros((size, size)))
        single = (alone[1] + 1) / (alone.sum(axis=0) + 1 / rate)
        seen, won = together.sum(axis=0).reshape(size, size), together[1].reshape(size, size)
        pair = (won - seen * (single[:, None] + single)) / (seen + 1 / rate)
        return cls(single, pair + pair.T)

    def values(self, found: Members) -> Float64:
        """Return the Shapley value of each member in the game of its path's set.

        In a game of singles and pairs it is ``single[a] + 1/2 * sum of pair[a, b] over the set's other b``, exactly
        and for sets of any size. A negative value counts as 0.

        Returns
        -------
        float64 [members]
        """
        values = self.single[found.channel]
        sizes = np.bincount(found.path)
        starts = np.cumsum(sizes) - sizes
        for low, high in blocks(sizes * sizes, PAIRS):
            begin, end = starts[low], starts[high - 1] + sizes[high - 1]
            many = np.repeat(sizes[low:high], sizes[low:high])
            ends = np.cumsum(many)
            within = np.arange(ends[-1]) - np.repeat(ends - many, many)
            other = found.channel[np.repeat(np.repeat(starts[low:high], sizes[low:high]), many) + within]
            each = np.repeat(found.channel[begin:end], many)
            values[begin:end] += np.add.reduceat(self.pair[each, other], ends - many) / 2
        return np.maximum(values, 0.0)
