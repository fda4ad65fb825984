"""One head: a small LightGBM for one tag, on all rows of a binned matrix or on a sample of its negatives."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import Labels
from training.tags.binned import Bins


@dataclass(frozen=True)
class HeadSettings:
    """Parameters of the heads: small regularised trees, no early stopping, which hurts rare tags."""

    min_positives: int = 100
    """A tag with fewer positives has no head: the pooled model scores it alone."""
    trees: int = 60
    leaves: int = 7
    learning_rate: float = 0.1
    min_data_in_leaf: int = 30
    feature_fraction: float = 0.2
    lambda_l2: float = 5.0
    max_bin: int = 63
    negatives: float | None = None
    """Negatives kept for each positive, the head's level corrected for it; None for all, the exact model."""
    least_negatives: int = 10_000
    """Negatives kept in any case: of a tag with some hundred positives a few thousand negatives are too few."""

    def params(self, seed: int) -> dict[str, object]:
        """LightGBM's parameters for one head on one thread; threads are spent on tags instead."""
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "deterministic": True,
            # Column-wise histograms skip the columns that a tree does not read: 3 to 5 times cheaper on wide rows.
            "force_col_wise": True,
            "seed": seed,
            "num_threads": 1,
        }

    def learnable(self, labels: Labels) -> NDArray[np.bool_]:
        """Tell which tags have enough positives, and a negative, to get a head.

        Parameters
        ----------
        labels
            Outcomes, uint8 [n, T].
        """
        positives = labels.sum(axis=0, dtype=np.int64)
        return np.asarray((positives >= max(self.min_positives, 1)) & (positives < len(labels)))


def fit_head(bins: Bins, labels: Labels, settings: HeadSettings, *, seed: int) -> lgb.Booster:
    """Train one head on one thread.

    Where `settings.negatives` is None, or would keep every negative, the booster has the same bytes as
    ``lgb.train`` on a ``Dataset`` of the whole matrix with the parameters ``{**bins.params,
    **settings.params(seed)}``. Otherwise it is trained on all positives and a sample of the negatives. That
    multiplies the odds by (negatives) / (kept negatives); the logarithm is taken off the leaves of the first tree,
    so that the booster's scores are logits of everybody, like the exact one's.

    Memory: a copy of the codes of the rows that are trained on, and 24 bytes for each such row.

    Parameters
    ----------
    bins
        The matrix.
    labels
        Outcomes of the one tag, uint8 [n], with both classes.
    settings, seed
        Together with the data they fix the booster, byte for byte. Which negatives are kept depends on nothing
        else, so a head is the same whichever other heads are trained.
    """
    params = {**bins.params, **settings.params(seed)}
    rows = sampled_rows(labels, settings.negatives, settings.least_negatives, seed)
    if len(rows) == len(labels):
        return lgb.train(params, bins.labelled(labels), num_boost_round=settings.trees)
    booster = lgb.train(params, bins.labelled(labels[rows], rows), num_boost_round=settings.trees)
    positives = int(labels.sum(dtype=np.int64))
    _shift(booster, -math.log((len(labels) - positives) / (len(rows) - positives)))
    return booster


def sampled_rows(labels: Labels, negatives: float | None, least: int, seed: int) -> NDArray[np.int64]:
    """Return the ascending numbers of all positives and of some negatives.

    Parameters
    ----------
    labels
        Outcomes of one tag, uint8 [n], with at least one positive.
    negatives
        Negatives for each positive; None for all.
    least
        Negatives that are kept in any case.
    seed
        Together with the labels it fixes the sample.

    Examples
    --------
    >>> labels = np.array([0, 1, 0, 0, 1, 0, 0, 0], np.uint8)
    >>> rows = sampled_rows(labels, 1.5, 0, seed=0)
    >>> len(rows), int(labels[rows].sum())
    (5, 2)
    """
    positive = np.flatnonzero(labels)
    wanted = len(labels) if negatives is None else max(math.ceil(negatives * len(positive)), least)
    if wanted >= len(labels) - len(positive):
        return np.arange(len(labels))
    rng = np.random.default_rng([seed, *hashlib.sha256(labels.tobytes()).digest()])
    kept = rng.choice(np.flatnonzero(labels == 0), wanted, replace=False, shuffle=False)
    return np.sort(np.concatenate([positive, kept]))


def fingerprint(labels: Labels, settings: HeadSettings, seed: int) -> str:
    """Name everything but the matrix that a head depends on."""
    digest = hashlib.sha256(labels.tobytes())
    digest.update(json.dumps([asdict(settings), seed, lgb.__version__], sort_keys=True).encode())
    return digest.hexdigest()[:24]


def _shift(booster: lgb.Booster, by: float) -> None:
    """Add to every score of the booster."""
    leaves = booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"]
    for leaf in range(leaves):
        booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + by)
