"""Scopes: named sets of categories inside which features and rules are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Scopes:
    """An ordered list of named category sets; a category may be in several.

    Parameters
    ----------
    members
        Scope name → category codes. The order of the names is the order of scope numbers.

    Examples
    --------
    >>> Scopes.of({"dairy": ["MILK", "CHEESE"], "milk": ["MILK"]}).table.to_pylist()[-1]
    {'category': 'MILK', 'scope': 1}
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

    @property
    def table(self) -> pa.Table:
        """Long table ``category, scope`` (scope is the position in `names`)."""
        pairs = [(category, number) for number, (_, cs) in enumerate(self.members) for category in cs]
        return pa.table(
            {
                "category": pa.array([category for category, _ in pairs], pa.string()),
                "scope": pa.array([number for _, number in pairs], pa.int32()),
            }
        )
