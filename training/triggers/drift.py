"""Drift: which columns, or scores, moved more than between two instants before the champion was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.triggers.distance import beyond_chance, ks, psi
from training.triggers.trigger import Trigger

MOVED: Final = 0.25
"""PSI from which on a column counts as moved, by custom."""
MORE: Final = 3.0
"""Times the distance of the same time before: what grows with the log, and seasons that go on, is no news."""
SHARE: Final = 0.01
_SHOWN: Final = 10

Table = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Moved:
    """A column that drifted.

    Parameters
    ----------
    name
        Of the column or the tag.
    psi, psi_before
        Distance since the champion was trained, and over the same time before.
    ks
        Largest distance of the distribution functions.
    """

    name: str
    psi: float
    psi_before: float
    ks: float


def moved(names: Sequence[str], earlier: Table, then: Table, now: Table) -> list[Moved]:
    """Return the columns that drifted, the farthest first.

    A column drifted where its PSI reaches `MOVED`, is `MORE` times that of the time before, and the samples
    differ beyond chance (Kolmogorov-Smirnov, Holm over all columns). Columns that nobody had a value in at one of
    the instants are left out: the log was too young to fill them.

    Parameters
    ----------
    names
        Of the columns.
    earlier, then, now
        People's values [people, columns]: some time before the champion's instant, at it, and now.
    """
    filled = [~np.isnan(table).all(axis=0) for table in (earlier, then, now)]
    columns = np.flatnonzero(np.logical_and.reduce(filled)).tolist()
    tests = [ks(then[:, column], now[:, column]) for column in columns]
    sure = beyond_chance([p for _, p in tests])
    found = []
    for place, column in enumerate(columns):
        if sure[place] and (distance := psi(then[:, column], now[:, column])) >= MOVED:
            before = psi(earlier[:, column], then[:, column])
            if distance >= MORE * before:
                found.append(Moved(names[column], distance, before, tests[place][0]))
    return sorted(found, key=lambda one: (-one.psi, one.name))


def drift(name: str, of: str, names: Sequence[str], tables: tuple[Table, Table, Table], about: str) -> Trigger:
    """Return whether so many columns drifted that it is a reason to retrain: 1 in 100, three at least.

    Parameters
    ----------
    name
        Of the trigger.
    of
        What the columns are, in words.
    names, tables
        As `moved` takes them.
    about
        Whose values they are.
    """
    found = moved(names, *tables)
    least = max(3, int(np.ceil(SHARE * len(names))))
    said = f"{len(found):,} of {len(names):,} {of} moved, of {about}; {least} count"
    if found:
        said += f"; the farthest: {', '.join(f'{one.name} (PSI {one.psi:.2f})' for one in found[:3])}"
    evidence: dict[str, Any] = {"moved": len(found), "of": len(names), "least": least, "about": about}
    evidence["farthest"] = [vars(one) for one in found[:_SHOWN]]
    return Trigger(name, len(found) >= least, said, evidence)
