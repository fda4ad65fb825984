"""A forest: some boosters over the same columns, scored together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from training.compact.arrangement import LEAF_ROW, Masks, Nodes, arrange
from training.compact.columns import Columns, split_columns
from training.compact.kernels import score_blocks, score_row
from training.compact.lanes import LANES
from training.compact.trees import read_trees
from training.saved_booster import AnyBooster

FEW_ROWS: Final = 8
"""So many rows are scored faster one by one than as a block."""


@dataclass(frozen=True)
class CompactForest:
    """LightGBM boosters over the same columns, one output each, with the very bits of `Booster.predict`.

    Any number of threads may use it at once, and the interpreter is free while it scores. The first call in a
    process compiles it, or reads what was compiled before (`training.compact.cache`).

    Parameters
    ----------
    features
        Columns of the rows that it scores.
    outputs
        Number of boosters.
    columns, nodes, masks
        The boosters' trees.
    blocks
        Whether rows can be scored in blocks, which no tree of more than 256 leaves can.
    """

    features: int
    outputs: int
    columns: Columns
    nodes: Nodes
    masks: Masks
    blocks: bool

    @classmethod
    def from_boosters(cls, boosters: Sequence[AnyBooster], features: int) -> CompactForest:
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
        columns, splits = split_columns(trees)
        nodes, masks = arrange(trees, splits, len(columns.source))
        blocks = bool(trees.leaves.max(initial=1) <= LEAF_ROW)
        return cls(features, len(boosters), columns, nodes, masks, blocks)

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
        rest = len(rows) % LANES
        singly = len(rows) if not self.blocks else rest if rest <= FEW_ROWS else 0
        if singly < len(rows):
            self._score_blocks(rows[: len(rows) - singly], sums, threads)
        for number in range(len(rows) - singly, len(rows)):
            score_row(self.columns, self.nodes, self.masks, rows[number], sums[number])
        return sums

    def _score_blocks(self, rows: NDArray[np.float32], sums: NDArray[np.float64], threads: int) -> None:
        share = LANES * -(-len(rows) // (LANES * threads))
        if share >= len(rows):
            score_blocks(self.columns, self.nodes, rows, sums)
            return

        def score(start: int) -> None:
            end = min(start + share, len(rows))
            score_blocks(self.columns, self.nodes, rows[start:end], sums[start:end])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(score, range(0, len(rows), share)))

    def warm(self) -> None:
        """Compile what scoring needs, or read it from the cache, so that no later call has to."""
        self.raw(np.zeros((1, self.features), np.float32))
        self.raw(np.zeros((LANES, self.features), np.float32))
