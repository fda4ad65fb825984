"""Scopes: named sets of categories inside which features and rules are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Scopes:
    """An ordered list of named category sets; a category may be in several.

    Parameters
    ----------
    members
        Scope name → category codes. The order of the names is the order of scope numbers.

    Examples
    --------
    >>> Scopes.of({"dairy": ["MILK", "CHEESE"], "milk": ["MILK"]}).names
    ('dairy', 'milk')
    """

    members: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, members: Mapping[str, list[str] | tuple[str, ...]]) -> Scopes:
        """Build from a mapping, keeping its order."""
        return cls(tuple((name, tuple(categories)) for name, categories in members.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """Scope names in order."""
        return tuple(name for name, _ in self.members)
