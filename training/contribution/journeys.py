"""Journeys: converting and other paths as sequences of channels, which Markov and Shapley learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from features.paths.paths import Paths, column

Int64 = npt.NDArray[np.int64]

MOST_CHANNELS: Final = 2_000
"""Channels that are told apart; the rarer ones count as one together."""


@dataclass(frozen=True)
class Journeys:
    """Sequences of channels and whether each ended in a conversion.

    Parameters
    ----------
    offsets
        int64 [journeys + 1].
    channel
        int64 [positions], below `channels`.
    converted
        bool [journeys].
    channels
        How many channels there are.
    """

    offsets: Int64
    channel: Int64
    converted: npt.NDArray[np.bool_]
    channels: int


def journeys_of(paths: Paths, level: str = "note") -> Journeys:
    """Return all journeys behind some paths: first the paths themselves, in their order, then the unconverted.

    A conversion that was given back in full did not convert. An empty path is a journey without positions.

    Parameters
    ----------
    paths
        Paths with the touches that are on none.
    level
        What is a channel: a ``note``, a ``creator`` or a ``campaign``; touches without one share a channel.
    """
    codes, _ = paths.names(level)
    channel = codes[np.concatenate([paths.touch, paths.unconverted_touch])]
    kept = (paths.values > 0) | (column(paths.conversions, "paid") == 0)
    offsets = np.concatenate([paths.offsets, paths.offsets[-1] + paths.unconverted_offsets[1:]])
    converted = np.concatenate([kept, np.zeros(len(offsets) - 1 - len(kept), bool)])
    number, channels = _numbered(channel)
    return Journeys(offsets, number, converted, channels)


def _numbered(codes: Int64) -> tuple[Int64, int]:
    """Count codes that occur from 0 on; those beyond the most frequent share the last number."""
    counts = np.bincount(codes)
    used = np.flatnonzero(counts)
    if len(used) > MOST_CHANNELS:
        used = used[np.argsort(-counts[used], kind="stable")][: MOST_CHANNELS - 1]
        used.sort()
    number = np.full(len(counts), len(used))
    number[used] = np.arange(len(used))
    found = number[codes]
    return found, int(found.max(initial=-1)) + 1


@dataclass(frozen=True)
class Members:
    """The distinct channels of some paths.

    Parameters
    ----------
    path, channel, times
        int64 [members]: path (from 0), channel, and how often it occurs on the path; by path, then channel.
    of
        int64 [positions]: member that each position belongs to.
    """

    path: Int64
    channel: Int64
    times: Int64
    of: Int64

    def equally(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Spread a weight per member equally over its positions."""
        spread: npt.NDArray[np.float64] = (weights / self.times)[self.of]
        return spread


def members_of(offsets: Int64, channel: Int64, channels: int) -> Members:
    """Return the distinct channels of each path.

    Examples
    --------
    >>> found = members_of(np.array([0, 3, 4]), np.array([7, 2, 7, 7]), 8)
    >>> found.path.tolist(), found.channel.tolist(), found.times.tolist(), found.of.tolist()
    ([0, 0, 1], [2, 7, 7], [1, 2, 1], [1, 0, 1, 2])
    """
    path = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    keys, of, times = np.unique(path * channels + channel, return_inverse=True, return_counts=True)
    return Members(*np.divmod(keys, max(channels, 1)), times, of)
