"""The trees of LightGBM boosters as flat arrays, read from the boosters' own text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from training.saved_booster import AnyBooster

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MISSING_NONE: Final = 0
MISSING_ZERO: Final = 1
MISSING_NAN: Final = 2

_FIELDS: Final = (
    "num_leaves",
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_count",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
)


@dataclass(frozen=True)
class Trees:
    """All trees of some boosters, booster after booster, tree after tree.

    Parameters
    ----------
    first_tree
        Where each booster's trees start, [boosters + 1].
    leaves
        Number of leaves of each tree, [trees]; a tree has one node less.
    tree
        Number of each node's tree, [nodes].
    feature, threshold, left, right
        Of each node, [nodes]. A child is the number of a node within its tree, or −1 − that of a leaf. The
        threshold of a categorical node is the number of its category set.
    categorical, default_left, missing
        Of each node, [nodes]; missing is one of ``MISSING_NONE``, ``MISSING_ZERO`` and ``MISSING_NAN``.
    count
        Training rows that came to each node, [nodes].
    leaf_value, leaf_count
        Of each leaf, [leaves].
    categories
        Category sets of all categorical nodes, sorted.
    """

    first_tree: Ints
    leaves: Ints
    tree: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    categorical: NDArray[np.bool_]
    default_left: NDArray[np.bool_]
    missing: Ints
    count: Ints
    leaf_value: Floats
    leaf_count: Ints
    categories: tuple[tuple[int, ...], ...]

    @property
    def first_node(self) -> Ints:
        """Number of each tree's first node among all nodes, [trees + 1]."""
        return starts(self.leaves - 1)

    @property
    def first_leaf(self) -> Ints:
        """Number of each tree's first leaf among all leaves, [trees + 1]."""
        return starts(self.leaves)


def starts(lengths: Ints) -> Ints:
    """Return where parts of the given lengths start when laid end to end, and where the last one ends.

    Examples
    --------
    >>> starts(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def read_trees(boosters: Sequence[AnyBooster]) -> Trees:
    """Read the trees that `Booster.predict` would use.

    Raises
    ------
    BundleError
        A booster has linear leaves, several outputs, or averages its trees.
    """
    fields: dict[str, list[str]] = {key: [] for key in _FIELDS}
    trees_of = []
    for booster in boosters:
        before = len(fields["num_leaves"])
        _read(str(booster.model_to_string()).partition("\nend of trees")[0], fields)
        trees_of.append(len(fields["num_leaves"]) - before)
    decision, leaves = _integers(fields["decision_type"]), _integers(fields["num_leaves"])
    threshold = _numbers(fields["threshold"])
    categorical = (decision & 1) == 1
    sets = _categories(fields["cat_boundaries"], fields["cat_threshold"])
    # A categorical node's threshold numbers the sets of its tree; here it numbers those of all trees.
    threshold[categorical] = np.arange(len(sets))
    return Trees(
        first_tree=starts(np.array(trees_of, np.int64)),
        leaves=leaves,
        tree=np.repeat(np.arange(len(leaves)), leaves - 1),
        feature=_integers(fields["split_feature"]),
        threshold=threshold,
        left=_integers(fields["left_child"]),
        right=_integers(fields["right_child"]),
        categorical=categorical,
        default_left=(decision & 2) == 2,
        missing=(decision >> 2) & 3,
        count=_integers(fields["internal_count"]),
        leaf_value=_numbers(fields["leaf_value"]),
        leaf_count=_integers(fields["leaf_count"]),
        categories=sets,
    )


def _read(text: str, fields: dict[str, list[str]]) -> None:
    """Add the lines of a booster's text to the fields."""
    header, _, trees = text.partition("\nTree=")
    lines = header.split("\n")
    refused = {
        "several outputs": "num_tree_per_iteration=1" not in lines,
        "averaged trees": "average_output" in lines,
        "linear leaves": "\nis_linear=1" in trees,
    }
    for problem, found in refused.items():
        if found:
            raise BundleError(
                "the compact scorer cannot read a booster of this kind",
                value=problem,
                valid=["one output, summed trees, constant leaves"],
                next_step="train it with boosting=gbdt, a single class and linear_tree=false",
            )
    for line in trees.split("\n"):
        key, _, value = line.partition("=")
        if key in fields:
            fields[key].append(value)


def _numbers(lines: Sequence[str]) -> Floats:
    return np.array(" ".join(lines).split(), np.float64)


def _integers(lines: Sequence[str]) -> Ints:
    return _numbers(lines).astype(np.int64)


def _categories(boundaries: Sequence[str], words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    sets: list[tuple[int, ...]] = []
    for bounds, bits in zip(boundaries, words, strict=True):
        edges, numbers = [int(edge) for edge in bounds.split()], np.array(bits.split(), "<u4")
        for start, end in pairwise(edges):
            members = np.unpackbits(numbers[start:end].view(np.uint8), bitorder="little")
            sets.append(tuple(np.nonzero(members)[0].tolist()))
    return tuple(sets)
