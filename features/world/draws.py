"""Random numbers by counter: a draw depends on what it is for, never on what was drawn before.

So two worlds of one seed that differ in one campaign share every other draw. The mixing is that of SplitMix64
(Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_MASK: Final = 2**64 - 1
_UNIT: Final = 2.0**-53


class Stream(IntEnum):
    """What draws are for; each has its own numbers."""

    ITEM = auto()
    BRAND = auto()
    NOTE = auto()
    CREATOR = auto()
    TOPIC = auto()
    CAMPAIGN = auto()
    HOLD_OUT = auto()
    PERSON = auto()
    INTEREST = auto()
    DECK = auto()
    TASTE = auto()
    DRIFT = auto()
    FEED = auto()
    SESSION = auto()
    SLOT = auto()
    OCCASION = auto()
    ARRIVAL = auto()


def _mix_one(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def _mix(keys: Keys) -> Keys:
    keys ^= keys >> np.uint64(30)
    keys *= np.uint64(_FIRST)
    keys ^= keys >> np.uint64(27)
    keys *= np.uint64(_SECOND)
    keys ^= keys >> np.uint64(31)
    return keys


def keys_of(seed: int, stream: int, day: int, *parts: npt.ArrayLike) -> Keys:
    """Return one key for each combination of stream, day and parts.

    Parameters
    ----------
    seed, stream, day
        What all keys share; days before the first may be negative.
    *parts
        Integer arrays that broadcast against each other: person, place in the day, ...

    Examples
    --------
    >>> bool(keys_of(1, 2, 3, [7, 8])[1] == keys_of(1, 2, 3, 8)[0])
    True
    """
    root = _mix_one(_mix_one(_mix_one(seed * _GOLDEN + 1) ^ (stream * _GOLDEN)) + (day + 100_000) * _GOLDEN)
    keys = np.atleast_1d(np.asarray(parts[0])).astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(root)
    keys = _mix(keys)
    for part in parts[1:]:
        keys = _mix(keys + np.asarray(part).astype(np.uint64) * np.uint64(_GOLDEN))
    return keys


def derived(keys: Keys, purpose: int) -> Keys:
    """Return new keys for one purpose, such as the click of an impression."""
    return _mix(keys + np.uint64((purpose + 1) * _GOLDEN & _MASK))


def uniform(keys: Keys, purpose: int) -> Floats:
    """Draw from the uniform distribution over [0, 1).

    Examples
    --------
    >>> drawn = uniform(keys_of(1, 2, 3, range(100_000)), 0)
    >>> round(float(drawn.mean()), 2), round(float(drawn.var() * 12), 2)
    (0.5, 1.0)
    """
    bits = derived(keys, purpose)
    bits >>= np.uint64(11)
    drawn: Floats = bits.astype(np.float64) * _UNIT
    return drawn


def normal(keys: Keys, purpose: int) -> Floats:
    """Draw from the standard normal distribution (Box and Muller)."""
    radius = np.sqrt(-2 * np.log1p(-uniform(keys, purpose)))
    angle: Floats = np.cos(2 * np.pi * uniform(derived(keys, purpose), 1))
    drawn: Floats = radius * angle
    return drawn


def exponential(keys: Keys, purpose: int) -> Floats:
    """Draw from the exponential distribution with mean 1."""
    drawn: Floats = -np.log1p(-uniform(keys, purpose))
    return drawn


def sigmoid(logits: npt.NDArray[np.floating]) -> Floats:
    """Return probabilities of logits."""
    chances: Floats = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    return chances


def logit(chances: Floats) -> Floats:
    """Return logits of numbers in [0, 1); 0 gives minus infinity."""
    with np.errstate(divide="ignore"):
        logits: Floats = np.log(chances) - np.log1p(-chances)
    return logits
