"""Levels that fade: whole numbers per person and thing, so that two worlds agree to the last bit."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from features.world.draws import Ints

Level = npt.NDArray[np.int16]

UNIT: Final = 256
"""What 1.0 is in a level."""

HIGHEST: Final = 16 * UNIT
_SHIFT: Final = 12
_CHUNK: Final = 20_000


def keeping(half_life_days: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Return the share of a level that a day leaves, in 1/4096.

    Examples
    --------
    >>> keeping([1, 10]).tolist()
    [2048, 3821]
    """
    return np.floor(0.5 ** (1 / np.asarray(half_life_days, np.float64)) * (1 << _SHIFT)).astype(np.int32)


def after_a_day(level: npt.ArrayLike, keep: npt.ArrayLike, raised: npt.ArrayLike = 0) -> Level:
    """Return levels after a day's fading and raising.

    Examples
    --------
    >>> after_a_day([512, 1], keeping(1), [0, 3]).tolist()
    [256, 3]
    """
    faded = np.asarray(level, np.int32) * np.asarray(keep, np.int32) >> _SHIFT
    level_after: Level = np.minimum(faded + np.asarray(raised), HIGHEST).astype(np.int16)
    return level_after


def fade(levels: Level, keep: npt.ArrayLike) -> None:
    """Fade a whole table [people, things] by a day, some rows at a time."""
    for first in range(0, len(levels), _CHUNK):
        rows = levels[first : first + _CHUNK]
        rows[:] = after_a_day(rows, keep)


def lift(levels: Level, cells: Ints, raised: Ints) -> None:
    """Raise cells of a table, each named once by row x columns + column."""
    flat = levels.reshape(-1)
    flat[cells] = np.minimum(flat[cells].astype(np.int64) + raised, HIGHEST).astype(np.int16)


def summed(cells: Ints, values: Ints) -> tuple[Ints, Ints]:
    """Add up the values of equal cells; cells come back sorted, each once.

    Examples
    --------
    >>> [part.tolist() for part in summed(np.array([7, 2, 7]), np.array([1, 5, 10]))]
    [[2, 7], [5, 11]]
    """
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return ordered[first], np.add.reduceat(values[order], first) if len(first) else values[:0]
