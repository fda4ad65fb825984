"""A forest for rows that are alike: what is the same in all of them is decided once, for all of them.

The candidates of one person share the person's own features. A tree's nodes on those features go one way for all
candidates, so each tree is first walked with them fixed, which leaves a smaller tree over the other features.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from training.compact.branches import Branches, Readings, branches_of
from training.compact.lanes import LANES
from training.compact.pruned import score_pruned
from training.compact.trees import read_trees
from training.compact.walk import LEAF_ROW, prune, same_columns, score_walked
from training.saved_booster import AnyBooster

MOST_CODES: Final = 65_536
FEW_ROWS: Final = 12
"""So many rows are walked faster one by one than what is left of the trees is found."""


@dataclass(frozen=True)
class CandidateForest:
    """LightGBM boosters over the same columns, one output each, with the very bits of `Booster.predict`.

    It is at its best on rows of which many columns are the same in all rows, and on splits by categories. Any
    number of threads may use it at once, and the interpreter is free while it scores.

    Parameters
    ----------
    features
        Columns of the rows that it scores.
    outputs
        Number of boosters.
    readings, branches
        The boosters' trees.
    small
        Whether every tree has at most ``LEAF_ROW`` leaves, and every feature ``MOST_CODES`` categories.
    """

    features: int
    outputs: int
    readings: Readings
    branches: Branches
    small: bool

    @classmethod
    def from_boosters(cls, boosters: Sequence[AnyBooster], features: int) -> CandidateForest:
        """Take over boosters' trees, up to their best iteration.

        Parameters
        ----------
        boosters
            Boosters of one output each, all over the same columns.
        features
            Number of those columns.

        Raises
        ------
        BundleError
            A booster reads other columns, has linear leaves, several outputs, or averages its trees.
        """
        for booster in boosters:
            if booster.num_feature() != features:
                raise BundleError(
                    "a booster reads another number of columns", value=booster.num_feature(), valid=[features]
                )
        trees = read_trees(boosters)
        readings, branches = branches_of(trees)
        most_codes = int(np.diff(readings.first).max(initial=0))
        small = bool(trees.leaves.max(initial=1) <= LEAF_ROW) and most_codes <= MOST_CODES
        return cls(features, len(boosters), readings, branches, small)

    def raw(self, rows: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
        """Return raw scores, as ``predict(raw_score=True)`` does.

        Parameters
        ----------
        rows
            float32 [n, features]; missing values are NaN.
        threads
            Threads that share blocks of rows.

        Returns
        -------
        np.ndarray
            float64 [n, outputs].

        Raises
        ------
        BundleError
            The rows have another shape, or are not float32.
        """
        if rows.ndim != 2 or rows.shape[1] != self.features or rows.dtype != np.float32:
            raise BundleError(
                "rows of another kind than the forest scores",
                value=f"{rows.dtype} {list(rows.shape)}",
                valid=[f"float32 [n, {self.features}]"],
            )
        if not rows.flags.carray:
            # Compiled for one kind of array: what is read-only, or lies otherwise, is copied.
            rows = np.array(rows, order="C")
        sums = np.empty((len(rows), self.outputs))
        if len(rows) <= FEW_ROWS or not self.small:
            for row, into in zip(rows, sums, strict=True):
                score_walked(self.readings, self.branches, row, into)
        else:
            pruned = prune(self.readings, self.branches, rows[0], same_columns(rows))
            share = LANES * -(-len(rows) // (LANES * threads))

            def score(start: int) -> None:
                part = slice(start, start + share)
                score_pruned(self.readings, self.branches, pruned, rows[part], sums[part])

            if share >= len(rows):
                score(0)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(score, range(0, len(rows), share)))
        return sums

    def warm(self) -> None:
        """Compile what scoring needs, or read it from the cache, so that no later call has to."""
        self.raw(np.zeros((1, self.features), np.float32))
        self.raw(np.zeros((FEW_ROWS + 1, self.features), np.float32))
