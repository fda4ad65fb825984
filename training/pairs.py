"""The pooled model's matrix: one row per (person, tag), gathered from the people's wide rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from features.fitted import Affinities
from features.rows import RowLayout
from features.taxonomy import Taxonomy
from training.metrics import Labels
from training.statics import STATIC_NAMES

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """What other people taught us as of one instant: the parameters of the fitted transforms.

    Parameters
    ----------
    affinities
        Person × scope affinities.
    statics
        Per tag, float32 [T, len(STATIC_NAMES)].
    """

    affinities: Affinities
    statics: Matrix


@dataclass(frozen=True)
class Window:
    """The data of one instant.

    Parameters
    ----------
    instant
        Epoch seconds; the rows are as of it.
    persons
        Person keys in row order.
    rows
        Wide rows of everybody, float32 [n, width]; may be memory-mapped.
    labels
        Outcomes, uint8 [n, T]; None where they are not known.
    fitted
        Transforms fitted on these rows.
    """

    instant: int
    persons: Sequence[str]
    rows: Matrix
    labels: Labels | None
    fitted: Fitted

    @property
    def outcomes(self) -> Labels:
        """The labels.

        Raises
        ------
        TrainingError
            The window was built without them.
        """
        if self.labels is None:
            raise TrainingError("a window without outcomes cannot be learned from", value=self.instant)
        return self.labels


class PairView:
    """How a pair's features lie in a wide row.

    Parameters
    ----------
    layout
        The wide row's columns.
    taxonomy
        Says which scope, and which parent of it, belongs to each tag.
    """

    def __init__(self, layout: RowLayout, taxonomy: Taxonomy) -> None:
        number = {name: i for i, name in enumerate(taxonomy.scopes.names)}
        self.layout = layout
        self.taxonomy = taxonomy
        self.scope_of_tag = np.array([number[tag.scope] for tag in taxonomy.tags])
        parents = np.array(taxonomy.parents)[self.scope_of_tag]
        self.parent_of_tag = np.where(parents >= 0, parents, self.scope_of_tag)
        self.names: tuple[str, ...] = (
            *layout.person_names,
            *(f"{name}@tag" for name in layout.scope_names),
            *(f"{name}@parent" for name in layout.scope_names),
            *(f"{name}@tag" for name in Affinities.NAMES),
            *layout.tag_names,
            *STATIC_NAMES,
        )

    def concrete_name(self, feature: int, tag: int) -> str:
        """Name a pair feature after the scope or tag that it was measured in."""
        name = self.names[feature]
        scopes = self.taxonomy.scopes.names
        if name.endswith("@tag"):
            return f"{name[:-4]}@{scopes[self.scope_of_tag[tag]]}"
        if name.endswith("@parent"):
            return f"{name[:-7]}@{scopes[self.parent_of_tag[tag]]}"
        if name in self.layout.tag_names:
            return f"{name}#{self.taxonomy.tags[tag].id}"
        return name

    def gather(self, rows: Matrix, fitted: Fitted, people: NDArray[np.int64], tags: NDArray[np.int64]) -> Matrix:
        """Return the features of the given pairs.

        Parameters
        ----------
        rows
            Wide rows of all the people, float32 [n, width].
        fitted
            Transforms as of the rows' instant.
        people, tags
            Numbers of the pairs' people and tags, same length m.

        Returns
        -------
        Matrix
            float32 [m, len(names)].
        """
        used, local = np.unique(people, return_inverse=True)
        part = rows[used]
        scope = self.layout.scope(part)
        affinity = fitted.affinities.apply(self.layout, part)
        return np.concatenate(
            [
                self.layout.person(part)[local],
                scope[local, self.scope_of_tag[tags]],
                scope[local, self.parent_of_tag[tags]],
                affinity[local, self.scope_of_tag[tags]],
                self.layout.tag(part)[local, tags],
                fitted.statics[tags],
            ],
            axis=1,
            dtype=np.float32,
        )

    def gather_all(self, rows: Matrix, fitted: Fitted) -> Matrix:
        """Return every tag's features of every given person, float32 [n × T, len(names)], person by person."""
        n, t = len(rows), len(self.taxonomy.tags)
        return self.gather(rows, fitted, np.repeat(np.arange(n), t), np.tile(np.arange(t), n))
