"""How good probabilities are: ranking, sharpness and calibration, per tag and over all."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from training.quality.ranking import average_precision, roc_auc

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]
CLIP = 1e-5


@dataclass(frozen=True)
class TagMetrics:
    """Quality of one tag's probabilities on one later window; NaN where one class is missing."""

    people: int
    positives: int
    auc: float
    ap: float
    log_loss: float
    normalised_entropy: float
    ece: float
    lift_top_decile: float


@dataclass(frozen=True)
class MacroMetrics:
    """Means over the tags, and log loss and calibration error over all pairs."""

    tags: int
    macro_auc: float
    macro_ap: float
    macro_normalised_entropy: float
    macro_lift_top_decile: float
    log_loss: float
    ece: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return {name: float(value) for name, value in asdict(self).items()}


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """Mean negative log likelihood, probabilities clipped at 1e-5.

    Examples
    --------
    >>> round(log_loss(np.array([1, 0], np.uint8), np.array([0.5, 0.5])), 4)
    0.6931
    """
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    return float(-np.mean(np.where(labels == 1, np.log(p), np.log1p(-p))))


def expected_calibration_error(labels: Labels, probabilities: Floats, bins: int = 20) -> float:
    """Mean absolute gap between predicted and observed share over equal-count bins of the probabilities.

    Parameters
    ----------
    labels, probabilities
        One-dimensional, same length.
    bins
        Number of bins; ties are kept in their sorted order.

    Examples
    --------
    >>> expected_calibration_error(np.array([0, 1], np.uint8), np.array([0.25, 0.75]), bins=1)
    0.0
    """
    parts = equal_count_bins(probabilities, bins)
    gaps = [abs(probabilities[part].mean() - labels[part].mean()) * len(part) for part in parts]
    return float(np.sum(gaps) / len(probabilities))


def equal_count_bins(probabilities: Floats, bins: int) -> list[NDArray[np.int64]]:
    """Return the places of the members of each bin, lowest probabilities first; bins that got none are left out."""
    order = np.argsort(probabilities, kind="stable")
    return [part for part in np.array_split(order, bins) if len(part)]


def normalised_entropy(labels: Labels, probabilities: Floats) -> float:
    """Log loss over that of always saying the window's own base rate; below 1 means something was learned.

    Source: He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, 2014, section 2.
    """
    rate = labels.mean()
    entropy = log_loss(labels, np.full(len(labels), rate))
    return log_loss(labels, probabilities) / entropy if 0 < rate < 1 else float("nan")


def lift_top_decile(labels: Labels, probabilities: Floats) -> float:
    """Share of positives among the tenth with the highest probabilities, over the share among all."""
    rate = labels.mean()
    top = np.argsort(-probabilities, kind="stable")[: max(1, len(labels) // 10)]
    return float(labels[top].mean() / rate) if rate > 0 else float("nan")


def tag_metrics(labels: Labels, probabilities: Floats) -> TagMetrics:
    """Measure one tag; `labels` and `probabilities` are one-dimensional over people."""
    both = 0 < labels.sum() < len(labels)
    return TagMetrics(
        people=len(labels),
        positives=int(labels.sum()),
        auc=roc_auc(labels, probabilities) if both else float("nan"),
        ap=average_precision(labels, probabilities) if both else float("nan"),
        log_loss=log_loss(labels, probabilities),
        normalised_entropy=normalised_entropy(labels, probabilities),
        ece=expected_calibration_error(labels, probabilities, bins=10),
        lift_top_decile=lift_top_decile(labels, probabilities) if both else float("nan"),
    )


def macro_metrics(labels: Labels, probabilities: Floats, per_tag: list[TagMetrics] | None = None) -> MacroMetrics:
    """Measure all tags at once.

    Parameters
    ----------
    labels, probabilities
        People × tags.
    per_tag
        The tags' own metrics, where they are known already.
    """
    tags = per_tag or [tag_metrics(labels[:, t], probabilities[:, t]) for t in range(labels.shape[1])]
    return MacroMetrics(
        tags=len(tags),
        macro_auc=_mean([t.auc for t in tags]),
        macro_ap=_mean([t.ap for t in tags]),
        macro_normalised_entropy=_mean([t.normalised_entropy for t in tags]),
        macro_lift_top_decile=_mean([t.lift_top_decile for t in tags]),
        log_loss=log_loss(labels.ravel(), probabilities.ravel()),
        ece=expected_calibration_error(labels.ravel(), probabilities.ravel()),
    )


def _mean(figures: list[float]) -> float:
    """Mean of the figures that are defined; NaN where none is."""
    defined = [figure for figure in figures if np.isfinite(figure)]
    return float(np.mean(defined)) if defined else float("nan")
