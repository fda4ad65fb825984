"""The pooled model: one LightGBM over (person, tag) pairs, so that rare and brand-new tags borrow from the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from training.quality.calibration import LOGIT_BOUNDS
from training.quality.metrics import Floats, Labels
from training.saved_booster import AnyBooster
from training.tags.pairs import Fitted, Matrix, PairView, Window

if TYPE_CHECKING:
    from training.compact.forest import CompactForest

GATHER_PAIRS = 1_000_000
"""Pairs whose wide rows are read at once while the training matrix is filled."""


@dataclass(frozen=True)
class PooledSettings:
    """Parameters of the pooled model; the defaults were chosen on Complete Journey's validation window."""

    trees: int = 150
    leaves: int = 63
    learning_rate: float = 0.06
    min_data_in_leaf: int = 200
    feature_fraction: float = 0.5
    lambda_l2: float = 5.0
    negative_share: float = 0.35
    negatives: float = 10.0
    """Where that share would keep more negatives per positive, only so many are kept: the cost grows with
    positives, not with people × tags."""
    most_pairs: int = 2_000_000
    """Where that would still be more pairs than this, fewer negatives are kept: it bounds time and memory, and more
    brought nothing in ``python -m bench.tag_people``."""
    max_bin: int = 127

    def params(self, seed: int, threads: int) -> dict[str, object]:
        """LightGBM's parameters; deterministic for one machine, whatever the number of threads."""
        return {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction_bynode": self.feature_fraction,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "deterministic": True,
            "force_row_wise": True,
            "seed": seed,
            "num_threads": threads,
            "verbosity": -1,
        }


def negative_share(windows: Sequence[Window], active: NDArray[np.bool_], settings: PooledSettings) -> float:
    """Return the share of negative pairs to keep: the settings' one, or less where positives are few or pairs many.

    Never less than one in a hundred, so that many positives alone may exceed the bound.
    """
    positives = sum(int(window.outcomes[:, active].sum(dtype=np.int64)) for window in windows)
    negatives = sum(len(window.outcomes) for window in windows) * int(active.sum()) - positives
    fitting = min(settings.negatives * positives, settings.most_pairs - positives) / max(negatives, 1)
    return float(min(settings.negative_share, max(fitting, 0.01)))


def sample_pairs(
    labels: Labels, active: NDArray[np.bool_], negative_share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep every positive pair and a share of the negative ones, of active tags only.

    Returns
    -------
    tuple
        Numbers of the people and of the tags of the kept pairs.
    """
    keep = (labels == 1) | (rng.random(labels.shape) < negative_share)
    people, tags = np.nonzero(keep & active[None, :])
    return people, tags


def fit_pooled(
    view: PairView,
    windows: Sequence[Window],
    active: NDArray[np.bool_],
    settings: PooledSettings,
    *,
    seed: int,
    threads: int,
) -> tuple[lgb.Booster, float]:
    """Train on the pairs of all windows.

    The pairs take 4 bytes × pairs × features, for `PooledSettings.most_pairs` and 60 features about 0.5 GB;
    LightGBM bins them to a quarter of that.

    Parameters
    ----------
    view
        How pairs are read from wide rows.
    windows
        Mature training windows.
    active
        Which tags have enough positives to learn from, bool [T].
    settings, seed, threads
        Together with the data they fix the model, byte for byte.

    Returns
    -------
    tuple
        The booster, and the share of negatives that it saw, which its logits are to be corrected for.

    Notes
    -----
    Sampled negatives raise the odds by 1 / share; `pooled_logits` takes that back (King and Zeng, Logistic
    Regression in Rare Events Data, 2001, prior correction).
    """
    share = negative_share(windows, active, settings)
    rng = np.random.default_rng(seed)
    sampled = [sample_pairs(window.outcomes, active, share, rng) for window in windows]
    matrix = np.empty((sum(len(people) for people, _ in sampled), len(view.names)), np.float32)
    filled = 0
    for window, (people, tags) in zip(windows, sampled, strict=True):
        for start in range(0, len(people), GATHER_PAIRS):
            block = slice(start, start + GATHER_PAIRS)
            part = view.gather(window.rows, window.fitted, people[block], tags[block])
            matrix[filled : filled + len(part)] = part
            filled += len(part)
    answers = [window.outcomes[pairs] for window, pairs in zip(windows, sampled, strict=True)]
    data = lgb.Dataset(
        matrix,
        np.concatenate(answers),
        feature_name=[f"f{i}" for i in range(len(view.names))],
        params={"max_bin": settings.max_bin, "feature_pre_filter": False, "verbosity": -1},
        free_raw_data=True,
    )
    del matrix
    return lgb.train(settings.params(seed, threads), data, num_boost_round=settings.trees), share


def pooled_logits(
    booster: AnyBooster | CompactForest,
    view: PairView,
    rows: Matrix,
    fitted: Fitted,
    negative_share: float,
    *,
    threads: int = 1,
) -> Floats:
    """Score every tag of every person.

    Returns
    -------
    Floats
        Logits, float64 [n, T], corrected for the sampling of negatives.
    """

    def raw(pairs: Matrix) -> Floats:
        if not isinstance(booster, AnyBooster):
            return booster.raw(pairs, threads=threads)[:, 0]
        return np.asarray(booster.predict(pairs, raw_score=True, num_threads=threads))

    correction = float(np.log(negative_share))
    return np.asarray(np.clip(view.score_all(rows, fitted, raw) + correction, *LOGIT_BOUNDS))
