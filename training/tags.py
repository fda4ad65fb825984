"""The tag model: pooled and heads blended, calibrated, with a threshold per tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.fitted import Affinities
from features.layout import RowLayout
from features.taxonomy import Taxonomy
from training.calibration import Platt
from training.heads import head_logits
from training.metrics import Floats
from training.pairs import Fitted, Matrix, PairView
from training.pooled import pooled_logits
from training.statics import STATIC_NAMES


@dataclass(frozen=True)
class Factor:
    """One reason for a score: a feature, its value, and its effect on the log odds."""

    feature: str
    value: float
    effect: float


@dataclass(frozen=True)
class TagModel:
    """Scores every tag of a person from their wide row.

    Parameters
    ----------
    layout, taxonomy
        What the rows' columns and the tags are.
    pooled
        Booster over pairs.
    negative_share
        Share of negatives that the pooled model saw; its logits are corrected for it.
    heads
        Tag number → booster over the `head_columns` of the wide row.
    head_share
        Share of the head in the blended logit, per tag, float64 [T]; 0 without a head.
    platt
        Calibration of the blended logit.
    active
        Tags with enough positives to have been learned, bool [T].
    assign_at
        A person is assigned a tag from this probability on, float64 [T].
    fitted
        Transforms as of the model's instant.
    """

    layout: RowLayout
    taxonomy: Taxonomy
    pooled: lgb.Booster
    negative_share: float
    heads: dict[int, lgb.Booster]
    head_share: Floats
    platt: Platt
    active: NDArray[np.bool_]
    assign_at: Floats
    fitted: Fitted

    @cached_property
    def view(self) -> PairView:
        """How pairs lie in a wide row."""
        return PairView(self.layout, self.taxonomy)

    def predict(self, rows: Matrix, *, threads: int = 1) -> Floats:
        """Return calibrated probabilities, float64 [n, T]; NaN for tags that are not active.

        Parameters
        ----------
        rows
            Wide rows, float32 [n, layout.width].
        threads
            LightGBM's threads; 1 is fastest for few rows.
        """
        pooled = pooled_logits(self.pooled, self.view, rows, self.fitted, self.negative_share, threads=threads)
        columns = rows[:, self.layout.head_columns]
        heads = head_logits(self.heads, columns, len(self.taxonomy.tags), threads=threads)
        probabilities = self.platt.apply(blend(pooled, heads, self.head_share))
        return np.where(self.active[None, :], probabilities, np.nan)

    def explain(self, row: Matrix, tags: Sequence[int], most: int = 5) -> list[list[Factor]]:
        """Return the pooled model's strongest reasons for each of the tags, strongest first.

        Parameters
        ----------
        row
            One person's wide row, float32 [width].
        tags
            Numbers of the tags to explain.
        most
            Factors per tag.

        Notes
        -----
        Contributions are exact TreeSHAP values (Lundberg et al. 2020) as LightGBM computes them. Heads are not
        part of them, and what is the same for everybody, such as a tag's base rate or an affinity that its scope
        does not have, is no reason for one person.
        """
        numbers = np.asarray(tags, dtype=np.int64)
        if not len(numbers):
            return []
        view = self.view
        pairs = view.gather(row[None, :], self.fitted, np.zeros(len(numbers), np.int64), numbers)
        effects = np.asarray(self.pooled.predict(pairs, pred_contrib=True, num_threads=1))[:, :-1]
        effects[:, [name in STATIC_NAMES for name in view.names]] = 0.0
        fitted = np.array([name.removesuffix("@tag") in Affinities.NAMES for name in view.names])
        effects[np.isnan(pairs) & fitted] = 0.0
        strongest = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :most]
        return [
            [
                Factor(view.concrete_name(int(f), int(tag)), float(pairs[i, f]), float(effects[i, f]))
                for f in strongest[i]
                if effects[i, f] != 0
            ]
            for i, tag in enumerate(numbers)
        ]


def blend(pooled: Floats, heads: Floats, head_share: Floats) -> Floats:
    """Mix two models' logits tag by tag; a tag without a head keeps the pooled logit."""
    share = np.where(np.isfinite(heads), head_share, 0.0)
    return np.asarray((1 - share) * pooled + share * np.where(np.isfinite(heads), heads, 0.0))
