"""What the columns of a wide feature row mean: one float32 row per person and instant that feeds every model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.definitions import Aggregate
from features.derived import Feature, feature_from_dict, feature_to_dict, inputs_of
from features.errors import FeatureError
from features.scopes import Scopes

Rows = npt.NDArray[np.float32]
HISTORY: tuple[str, ...] = ("outcome_lag1", "outcome_lag2", "outcome_lag3", "outcome_mean")


@dataclass(frozen=True)
class RowLayout:
    """Order of the columns: the person block, then every scope's block, then every tag's block.

    Parameters
    ----------
    person_features
        Features over all events of a person.
    scope_features
        Features measured inside every scope.
    scopes
        The category sets.
    parents
        For each scope the number of the one above it, -1 where there is none.
    tags
        Tag ids.
    tag_names
        Features per tag that are not measured here but handed in: what its label was before.
    wide
        Names of the scope and tag features that a model of one tag reads for *every* scope and tag.

    Examples
    --------
    >>> layout = RowLayout((Aggregate(("purchase",)),), (), Scopes.of({"milk": ["MILK"]}), (-1,), ("buys",))
    >>> layout.width, layout.columns[:2]
    (5, ('purchase_count_all', 'outcome_lag1#buys'))
    """

    person_features: tuple[Feature, ...]
    scope_features: tuple[Feature, ...]
    scopes: Scopes
    parents: tuple[int, ...]
    tags: tuple[str, ...]
    tag_names: tuple[str, ...] = HISTORY
    wide: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for block in (self.person_names, self.scope_names, self.tag_names, self.scopes.names, self.tags):
            twice = sorted({name for name in block if block.count(name) > 1})
            if twice:
                raise FeatureError("a name occurs twice in a row layout", value=twice[0])
        unknown = [name for name in self.wide if name not in self.scope_names + self.tag_names]
        if unknown:
            raise FeatureError(
                "a wide feature is none of the layout", value=unknown[0], valid=self.scope_names + self.tag_names
            )
        if len(self.parents) != len(self.scopes.names):
            raise FeatureError("every scope needs a parent or -1", value=len(self.parents))

    @cached_property
    def person_names(self) -> tuple[str, ...]:
        """Names of the person block."""
        return tuple(feature.name for feature in self.person_features)

    @cached_property
    def scope_names(self) -> tuple[str, ...]:
        """Names within the block of one scope."""
        return tuple(feature.name for feature in self.scope_features)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns: ``name``, ``name@scope``, ``name#tag``."""
        return (
            *self.person_names,
            *(f"{name}@{scope}" for scope in self.scopes.names for name in self.scope_names),
            *(f"{name}#{tag}" for tag in self.tags for name in self.tag_names),
        )

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def _starts(self) -> tuple[int, int]:
        scopes = len(self.person_features)
        return scopes, scopes + len(self.scopes.names) * len(self.scope_features)

    @cached_property
    def head_columns(self) -> npt.NDArray[np.int64]:
        """Numbers of the columns that a model of one tag reads: the person block and everything wide."""
        scopes, tags = self._starts
        within = [n for n, name in enumerate(self.scope_names) if name in self.wide]
        of_tag = [n for n, name in enumerate(self.tag_names) if name in self.wide]
        return np.array(
            [
                *range(len(self.person_features)),
                *(scopes + s * len(self.scope_features) + n for s in range(len(self.scopes.names)) for n in within),
                *(tags + t * len(self.tag_names) + n for t in range(len(self.tags)) for n in of_tag),
            ],
            np.int64,
        )

    def person(self, rows: Rows) -> Rows:
        """View of the person block, [n, Fp]."""
        return rows[:, : self._starts[0]]

    def scope(self, rows: Rows) -> Rows:
        """View of the scope blocks, [n, S, Fs]."""
        start, end = self._starts
        return rows[:, start:end].reshape(len(rows), len(self.scopes.names), len(self.scope_features))

    def tag(self, rows: Rows) -> Rows:
        """View of the tag blocks, [n, T, Ft]."""
        return rows[:, self._starts[1] :].reshape(len(rows), len(self.tags), len(self.tag_names))

    @cached_property
    def aggregates(self) -> tuple[tuple[Aggregate, ...], tuple[Aggregate, ...]]:
        """What has to be aggregated over all events and inside the scopes, each once."""
        person = dict.fromkeys(a for feature in self.person_features for a in inputs_of(feature))
        scope = dict.fromkeys(a for feature in self.scope_features for a in inputs_of(feature))
        return tuple(person), tuple(scope)

    @cached_property
    def schema_hash(self) -> str:
        """SHA-256 over everything that gives the columns their meaning."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the layout as JSON values."""
        return {
            "person": [feature_to_dict(feature) for feature in self.person_features],
            "scope": [feature_to_dict(feature) for feature in self.scope_features],
            "scopes": [[name, list(categories)] for name, categories in self.scopes.members],
            "parents": list(self.parents),
            "tags": list(self.tags),
            "tag_names": list(self.tag_names),
            "wide": list(self.wide),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RowLayout:
        """Read back what `to_dict` gave."""
        return cls(
            person_features=tuple(feature_from_dict(one) for one in content["person"]),
            scope_features=tuple(feature_from_dict(one) for one in content["scope"]),
            scopes=Scopes(tuple((name, tuple(categories)) for name, categories in content["scopes"])),
            parents=tuple(content["parents"]),
            tags=tuple(content["tags"]),
            tag_names=tuple(content["tag_names"]),
            wide=tuple(content["wide"]),
        )
