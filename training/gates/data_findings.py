"""Findings of one check, gathered into its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from training.gates.check import Check, Status
from training.gates.data_window import Flags, Floats, Grid, Window


@dataclass
class Findings:
    """What one check finds, the gravest first.

    Parameters
    ----------
    name
        Name of the check.
    next_step
        What to do where it fails.

    Examples
    --------
    >>> found = Findings("volume", "mend the export")
    >>> found.add("WARN", 0.6, "taobao on Mon 2024-05-06: 600 rows, 1,000 usual")
    >>> found.check("7 days as before").status
    'WARN'
    """

    name: str
    next_step: str
    found: list[tuple[Status, float, str]] = field(default_factory=list)

    def add(self, status: Status, weight: float, text: str) -> None:
        """Note one finding; those of larger weight are told first."""
        self.found.append((status, float(weight), text))

    def check(self, fine: str, evidence: Mapping[str, float] | None = None) -> Check:
        """Return the verdict; `fine` is what is said where nothing was found."""
        if not self.found:
            return Check(self.name, "PASS", fine, evidence=evidence or {})
        ranked = sorted(self.found, key=lambda one: (one[0] != "FAIL", -one[1], one[2]))
        worst = ranked[0][0]
        count = sum(status == worst for status, _, _ in ranked)
        said = ranked[0][2] + (f", and {count - 1:,} more" if count > 1 else "")
        examples = tuple(text for _, _, text in ranked)
        return Check(self.name, worst, said, count, examples, evidence or {}, self.next_step)


def places(flags: Flags, window: Window) -> list[tuple[int, int]]:
    """Return cell and day of everything that holds on judged days."""
    return [(int(cell), int(day)) for cell, day in np.argwhere(flags & window.judged)]


def beside(grid: Grid, window: Window, place: tuple[int, int], found: Floats, usual: Floats) -> str:
    """Write the rows of a cell and day beside the usual ones."""
    where = f"{grid.name(place[0])} on {window.name(place[1])}"
    return f"{where}: {found[place]:,.0f} rows, {usual[place]:,.0f} usual"


def surprise(found: Floats, usual: Floats, spread: Floats) -> Floats:
    """Return how many standard deviations counts are off: those of a Poisson number and of the days before."""
    score: Floats = (found - usual) / np.sqrt(np.maximum(usual, 1) + spread**2)
    return score
