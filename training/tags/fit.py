"""Fitting a tag model: choices on a later validation window, then a fit on every mature window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy
from training.quality.calibration import Platt, choose_blend, fit_levels, fit_slope, sigmoid
from training.quality.metrics import MacroMetrics, macro_metrics
from training.tags.assignment import AssignmentRule, assignment_thresholds
from training.tags.binned import bin_matrix, open_bins
from training.tags.head_fit import HeadSettings
from training.tags.heads import Heads, HeadTrainer, ThreadedHeads, head_logits
from training.tags.model import TagModel, blend
from training.tags.pairs import Fitted, PairView, Window
from training.tags.pooled import PooledSettings, fit_pooled, pooled_logits


@dataclass(frozen=True)
class TagSettings:
    """Everything that, with the data and the code, fixes a tag model byte for byte."""

    pooled: PooledSettings = field(default_factory=PooledSettings)
    heads: HeadSettings = field(default_factory=HeadSettings)
    min_positives: int = 20
    """A tag with fewer positives in the training windows is reported and left out."""
    assign: AssignmentRule = field(default_factory=AssignmentRule)
    """Who is assigned a tag."""
    seed: int = 7


@dataclass(frozen=True)
class TrainingLog:
    """What made a model: returned with it, written beside it."""

    instants: tuple[int, ...]
    validation: int
    people: int
    pairs: int
    too_rare: tuple[str, ...]
    headed: int
    head_share: float
    platt: Platt
    validation_metrics: MacroMetrics


def fit_tags(
    *,
    layout: RowLayout,
    taxonomy: Taxonomy,
    choose: Sequence[Window],
    validation: Window,
    train: Sequence[Window],
    fitted: Fitted,
    settings: TagSettings,
    threads: int,
    trainer: HeadTrainer | None = None,
    work: Path | None = None,
    advance: Callable[[], object] = lambda: None,
) -> tuple[TagModel, TrainingLog]:
    """Choose blend, calibration and thresholds on the validation window, then fit on all mature windows.

    Parameters
    ----------
    layout, taxonomy
        What the rows' columns and the tags are.
    choose
        Windows that are over when the validation window starts.
    validation
        The later window on which everything is chosen.
    train
        All mature windows, the validation window included.
    fitted
        Transforms as of the present, frozen in the model.
    settings
        Parameters and seed.
    threads
        Threads of the pooled model, and heads trained at once.
    trainer
        Trains the heads; threads of this process by default. The model does not depend on it.
    work
        Folder where bins and finished heads are left, so that a run that was cut off goes on there; named and
        deleted by the caller. None for a run that starts anew.
    advance
        Called after each model that is fitted.

    Raises
    ------
    TrainingError
        No tag has enough positives, or none came true for some and not for others in the validation window.
    """
    view = PairView(layout, taxonomy)
    positives = np.sum([window.outcomes.sum(axis=0) for window in choose], axis=0)
    active = np.asarray(positives >= settings.min_positives)
    if not active.any():
        raise TrainingError(
            f"no tag has {settings.min_positives} positives in the training windows",
            value=int(positives.max(initial=0)),
            next_step="use a longer log, a longer horizon or broader rules",
        )
    known = validation.outcomes[:, active]
    if not (known.any(axis=0) & ~known.all(axis=0)).any():
        raise TrainingError(
            "no tag tells people apart in the validation window: nothing can be chosen or calibrated on it",
            value=validation.instant,
            next_step="train as of another date, or use a longer log or broader rules",
        )

    def fit(windows: Sequence[Window], headed: NDArray[np.bool_], name: str) -> tuple[lgb.Booster, float, Heads]:
        booster, share = fit_pooled(view, windows, active, settings.pooled, seed=settings.seed, threads=threads)
        advance()
        rows = [window.rows for window in windows]
        columns, max_bin = layout.head_columns, settings.heads.max_bin
        if work is None:
            bins = bin_matrix(rows, columns, max_bin=max_bin)
        else:
            bins = open_bins(work / name, lambda: rows, columns, max_bin=max_bin)
        labels = np.concatenate([window.outcomes for window in windows])
        heads = (trainer or ThreadedHeads(threads)).fit(
            bins, labels, headed, settings.heads, seed=settings.seed, kept=work and work / name / "heads",
            advance=advance,
        )  # fmt: skip
        return booster, share, heads

    booster, share, heads = fit(choose, active, "choose")
    z_pooled = pooled_logits(booster, view, validation.rows, validation.fitted, share, threads=threads)
    z_heads = head_logits(heads, validation.rows[:, layout.head_columns], len(active), threads=threads)
    shares = np.zeros(len(active))
    shares[active] = choose_blend(z_pooled[:, active], z_heads[:, active], known, threads=threads)
    z = blend(z_pooled, z_heads, shares)[:, active]
    platt = fit_slope(z, known)
    levels = np.zeros(len(active))
    levels[active] = fit_levels(z, known, platt)
    probabilities = sigmoid(platt.slope * z + platt.intercept + levels[active])
    assign_at = np.ones(len(active))
    assign_at[active] = assignment_thresholds(probabilities, known, settings.assign)

    booster, share, heads = fit(train, shares > 0, "train")
    model = TagModel(layout, taxonomy, booster, share, heads, shares, platt, levels, active, assign_at, fitted)
    log = TrainingLog(
        instants=tuple(window.instant for window in train),
        validation=validation.instant,
        people=sum(len(window.rows) for window in train),
        pairs=sum(window.outcomes.size for window in train),
        too_rare=tuple(tag.id for tag, ok in zip(taxonomy.tags, active, strict=True) if not ok),
        headed=len(heads),
        head_share=float(shares[active].mean()),
        platt=platt,
        validation_metrics=macro_metrics(known, probabilities),
    )
    return model, log
