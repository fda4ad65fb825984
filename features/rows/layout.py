"""What the columns of a wide feature row mean: one float32 row per person and instant that feeds every model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from features.definitions import Aggregate
from features.errors import FeatureError
from features.rows.derived import Feature, feature_from_dict, feature_to_dict, inputs_of
from features.scopes import Scopes

Rows = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]
HISTORY: tuple[str, ...] = ("outcome_lag1", "outcome_lag2", "outcome_lag3", "outcome_mean")


@dataclass(frozen=True)
class RowLayout:
    """Order of the columns: the person block, then every scope's block, then every tag's block.

    Scopes and tags that were added to a trained model have their blocks after all others, in the same order, so
    that a row of the layout without them is the beginning of a row with them.

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
    added_scopes, added_tags
        How many of the last scopes and of the last tags were added.

    Examples
    --------
    >>> layout = RowLayout((Aggregate(("purchase",)),), (), Scopes.of({"milk": ["MILK"]}), (-1,), ("buys",))
    >>> layout.width, layout.columns[:2]
    (5, ('purchase_count_all', 'outcome_lag1#buys'))
    >>> more = layout.extended(Scopes.of({}), (), ("sells",))
    >>> more.columns[:5] == layout.columns, more.columns[5], more.base == layout
    (True, 'outcome_lag1#sells', True)
    """

    person_features: tuple[Feature, ...]
    scope_features: tuple[Feature, ...]
    scopes: Scopes
    parents: tuple[int, ...]
    tags: tuple[str, ...]
    tag_names: tuple[str, ...] = HISTORY
    wide: tuple[str, ...] = ()
    added_scopes: int = 0
    added_tags: int = 0

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
        if not (0 <= self.added_scopes <= len(self.parents) and 0 <= self.added_tags <= len(self.tags)):
            raise FeatureError("a layout has not so many added blocks", value=[self.added_scopes, self.added_tags])

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
        names = [""] * self.width
        names[: len(self.person_names)] = self.person_names
        for scope, places in zip(self.scopes.names, self.scope_columns.tolist(), strict=True):
            for name, place in zip(self.scope_names, places, strict=True):
                names[place] = f"{name}@{scope}"
        for tag, places in zip(self.tags, self.tag_columns.tolist(), strict=True):
            for name, place in zip(self.tag_names, places, strict=True):
                names[place] = f"{name}#{tag}"
        return tuple(names)

    @property
    def width(self) -> int:
        """Number of columns."""
        scopes, tags = len(self.scopes.names) * len(self.scope_features), len(self.tags) * len(self.tag_names)
        return len(self.person_features) + scopes + tags

    @cached_property
    def scope_columns(self) -> Columns:
        """Numbers of the columns of each scope, int64 [S, Fs]."""
        first, end, more, last = self._starts
        return _places(first, end, more, last, (len(self.parents), len(self.scope_features)))

    @cached_property
    def tag_columns(self) -> Columns:
        """Numbers of the columns of each tag, int64 [T, Ft]."""
        _, first, end, more = self._starts
        return _places(first, end, more, self.width, (len(self.tags), len(self.tag_names)))

    @cached_property
    def _starts(self) -> tuple[int, int, int, int]:
        """Where the blocks of scopes, of tags, of added scopes and of added tags start."""
        fs, ft = len(self.scope_features), len(self.tag_names)
        scopes = len(self.person_features)
        tags = scopes + (len(self.scopes.names) - self.added_scopes) * fs
        more = tags + (len(self.tags) - self.added_tags) * ft
        return scopes, tags, more, more + self.added_scopes * fs

    @cached_property
    def head_columns(self) -> Columns:
        """Numbers of the columns that a head reads: the person block and all that is wide, nothing added."""
        within = [n for n, name in enumerate(self.scope_names) if name in self.wide]
        of_tag = [n for n, name in enumerate(self.tag_names) if name in self.wide]
        scopes = self.scope_columns[: len(self.scopes.names) - self.added_scopes, within]
        tags = self.tag_columns[: len(self.tags) - self.added_tags, of_tag]
        return np.concatenate([np.arange(len(self.person_features)), scopes.ravel(), tags.ravel()])

    def person(self, rows: Rows) -> Rows:
        """View of the person block, [n, Fp]."""
        return rows[:, : self._starts[0]]

    def scope(self, rows: Rows) -> Rows:
        """Return the scope blocks, [n, S, Fs], for reading: a view, or a copy where scopes were added."""
        first, end, more, last = self._starts
        return _blocks(rows, (first, end), (more, last), len(self.scope_features))

    def tag(self, rows: Rows) -> Rows:
        """Return the tag blocks, [n, T, Ft], for reading: a view, or a copy where tags were added."""
        _, first, end, more = self._starts
        return _blocks(rows, (first, end), (more, self.width), len(self.tag_names))

    def extended(self, scopes: Scopes, parents: tuple[int, ...], tags: tuple[str, ...]) -> RowLayout:
        """Return the layout with more scopes and tags, whose columns stand after all others.

        Parameters
        ----------
        scopes
            The added category sets.
        parents
            For each of them the number of the scope above it, -1 where there is none.
        tags
            Ids of the added tags.
        """
        return replace(
            self,
            scopes=Scopes(self.scopes.members + scopes.members),
            parents=self.parents + parents,
            tags=self.tags + tags,
            added_scopes=self.added_scopes + len(parents),
            added_tags=self.added_tags + len(tags),
        )

    @cached_property
    def base(self) -> RowLayout:
        """The layout without what was added; its rows are the beginnings of this one's."""
        scopes = len(self.parents) - self.added_scopes
        return replace(
            self,
            scopes=Scopes(self.scopes.members[:scopes]),
            parents=self.parents[:scopes],
            tags=self.tags[: len(self.tags) - self.added_tags],
            added_scopes=0,
            added_tags=0,
        )

    @cached_property
    def added(self) -> RowLayout:
        """The layout of the added columns alone, which are the rest of a row."""
        scopes = len(self.parents) - self.added_scopes
        return replace(
            self,
            person_features=(),
            scopes=Scopes(self.scopes.members[scopes:]),
            parents=(-1,) * self.added_scopes,
            tags=self.tags[len(self.tags) - self.added_tags :],
            added_scopes=0,
            added_tags=0,
        )

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
            # Left out where nothing was added, so that such a layout keeps its hash.
            **({"added": [self.added_scopes, self.added_tags]} if self.added_scopes or self.added_tags else {}),
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
            added_scopes=int(content.get("added", (0, 0))[0]),
            added_tags=int(content.get("added", (0, 0))[1]),
        )


def _places(first: int, end: int, more: int, last: int, shape: tuple[int, int]) -> Columns:
    return np.concatenate([np.arange(first, end), np.arange(more, last)]).reshape(shape)


def _blocks(rows: Rows, own: tuple[int, int], later: tuple[int, int], features: int) -> Rows:
    each = max(features, 1)
    blocks = [rows[:, start:end].reshape(len(rows), (end - start) // each, features) for start, end in (own, later)]
    return np.concatenate(blocks, axis=1) if blocks[1].shape[1] else blocks[0]
