"""What a feature's name says was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """An aggregate's name, taken apart.

    Parameters
    ----------
    kinds
        Event kinds, or the names of groups of them.
    measure, of, condition
        As in `features.definitions.Aggregate`.
    days
        Length of the window; None for all of the past.
    """

    kinds: tuple[str, ...]
    measure: str
    of: str | None
    condition: str | None
    days: int | None
