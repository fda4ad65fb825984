"""The tag model: pooled and heads blended, calibrated, with a threshold per tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy
from training.quality.calibration import Platt, sigmoid
from training.quality.metrics import Floats
from training.saved_booster import AnyBooster
from training.tags.explain import Factor, explain
from training.tags.heads import head_logits
from training.tags.pairs import Fitted, Matrix, PairView
from training.tags.pooled import pooled_logits
from training.tags.statics import STATIC_NAMES

if TYPE_CHECKING:
    from training.compact.forest import CompactForest


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
        Calibration of the blended logit, shared by the tags.
    levels
        What is added to each tag's calibrated logit, float64 [T].
    active
        Tags with enough positives to have been learned, bool [T].
    assign_at
        A person is assigned a tag from this probability on, float64 [T].
    fitted
        Transforms as of the model's instant.
    """

    layout: RowLayout
    taxonomy: Taxonomy
    pooled: AnyBooster
    negative_share: float
    heads: Mapping[int, AnyBooster]
    head_share: Floats
    platt: Platt
    levels: Floats
    active: NDArray[np.bool_]
    assign_at: Floats
    fitted: Fitted

    @cached_property
    def view(self) -> PairView:
        """How pairs lie in a wide row."""
        return PairView(self.layout, self.taxonomy)

    @property
    def base_rates(self) -> Floats:
        """Share of people for whom each tag came true in the windows known when it was fitted, float64 [T]."""
        return self.fitted.statics[:, STATIC_NAMES.index("base_rate_mean")].astype(np.float64)

    @cached_property
    def _forests(self) -> tuple[CompactForest, CompactForest]:
        """The pooled model and the heads, compact."""
        # Who scores with LightGBM alone, as the check of a bundle does, need not wait for the compiler.
        from training.compact.forest import CompactForest  # noqa: PLC0415

        pooled = CompactForest.from_boosters([self.pooled], len(self.view.names))
        heads = CompactForest.from_boosters(list(self.heads.values()), len(self.layout.head_columns))
        return pooled, heads

    def warm(self) -> None:
        """Prepare what the first score would have to wait for."""
        for forest in self._forests:
            forest.warm()

    def predict(self, rows: Matrix, *, threads: int = 1, compact: bool = True) -> Floats:
        """Return calibrated probabilities, float64 [n, T]; NaN for tags that are not active.

        Parameters
        ----------
        rows
            Wide rows, float32 [n, layout.width].
        threads
            Threads that share the rows; 1 is fastest for few rows.
        compact
            Whether the compact scorer scores: the same bits as LightGBM's in a fraction of the time.
        """
        pool, forest = self._forests if compact else (self.pooled, None)
        pooled = pooled_logits(pool, self.view, rows, self.fitted, self.negative_share, threads=threads)
        columns = rows[:, self.layout.head_columns]
        heads = head_logits(self.heads, columns, len(self.taxonomy.tags), threads=threads, forest=forest)
        blended = blend(pooled, heads, self.head_share)
        probabilities = sigmoid(self.platt.slope * blended + self.platt.intercept + self.levels)
        return np.where(self.active[None, :], probabilities, np.nan)

    def explain(self, row: Matrix, tags: Sequence[int], most: int = 5) -> list[list[Factor]]:
        """Return the strongest reasons for each of the tags, of pooled model and head together, strongest first.

        Parameters
        ----------
        row
            One person's wide row, float32 [width].
        tags
            Numbers of the tags to explain.
        most
            Factors per tag.

        See Also
        --------
        training.tags.explain.explain : all contributions; with the bias they add up to the calibrated log odds.
        """
        return [explanation.strongest(most) for explanation in explain(self, row, tags)]


def blend(pooled: Floats, heads: Floats, head_share: Floats) -> Floats:
    """Mix two models' logits tag by tag; a tag without a head keeps the pooled logit."""
    share = np.where(np.isfinite(heads), head_share, 0.0)
    return np.asarray((1 - share) * pooled + share * np.where(np.isfinite(heads), heads, 0.0))
