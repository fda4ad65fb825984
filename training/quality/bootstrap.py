"""Is one set of probabilities better than another, or was it luck with the people: paired bootstrap intervals."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.quality.metrics import CLIP, Floats, Labels

_WEIGHTS_AT_ONCE: Final = 4_000_000
"""People × resamples that are weighed at once: bounds memory at about 200 MB."""


class Difference(NamedTuple):
    """How much larger a figure is under the first model, with a 95 % interval."""

    difference: float
    low: float
    high: float


def paired_bootstrap(
    labels: Labels, a: Floats, b: Floats, *, resamples: int = 200, seed: int, level: float = 0.95
) -> dict[str, Difference]:
    """Compare two models on the same people, with intervals over people drawn anew.

    A resample draws as many people as there are, with replacement; a person comes with all their tags, since the
    outcomes of one person hang together. Both models are measured on the same draw, so that what is difficult
    about it cancels out.

    Parameters
    ----------
    labels
        Outcomes, people × tags.
    a, b
        Probabilities of the two models, people × tags.
    resamples
        Draws; the ends of the interval are the percentiles of their differences.
    seed
        Fixes the draws.
    level
        Share of the draws inside the interval.

    Returns
    -------
    dict
        ``macro_auc``, ``macro_ap`` and ``log_loss`` → figure of `a` minus figure of `b`. Less log loss is better.
        A tag counts in the draws that have both its classes, as in `training.quality.metrics.macro_metrics`.

    Raises
    ------
    TrainingError
        The three tables are not of one shape, or hold nobody.

    Notes
    -----
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile intervals). Each
    tag is sorted once; a draw only changes the people's weights.

    Examples
    --------
    >>> y = np.array([[1], [0], [1], [0]], np.uint8)
    >>> good, bad = np.array([[0.9], [0.1], [0.8], [0.3]]), np.full((4, 1), 0.5)
    >>> found = paired_bootstrap(y, good, bad, seed=1)
    >>> found["macro_auc"].difference, found["log_loss"].difference < 0
    (0.5, True)
    """
    if not labels.shape == a.shape == b.shape or not labels.size:
        raise TrainingError(
            "two models can be compared on the same people and tags only", value=(labels.shape, a.shape, b.shape)
        )
    people = len(labels)
    rng = np.random.default_rng(seed)
    losses = (_person_losses(labels, a) - _person_losses(labels, b)) / labels.shape[1]
    at_once = max(1, _WEIGHTS_AT_ONCE // people)
    # The people as they are come first: one more draw, in which everybody has weight 1.
    whole = np.ones((people, 1), np.int32)
    blocks = [_differences(labels, a, b, losses, whole)]
    for start in range(0, resamples, at_once):
        draws = [rng.integers(people, size=people) for _ in range(min(at_once, resamples - start))]
        weights = np.stack([np.bincount(draw, minlength=people) for draw in draws], axis=1).astype(np.int32)
        blocks.append(_differences(labels, a, b, losses, weights))
    tails = [50 * (1 - level), 50 * (1 + level)]
    out = {}
    for name in blocks[0]:
        drawn = np.concatenate([block[name] for block in blocks[1:]]) if resamples else np.array([np.nan])
        known = drawn[np.isfinite(drawn)]
        low, high = np.percentile(known, tails) if len(known) else (np.nan, np.nan)
        out[name] = Difference(float(blocks[0][name][0]), float(low), float(high))
    return out


def weighted_ranking(
    labels: NDArray[np.uint8], scores: Floats, weights: NDArray[np.int32]
) -> tuple[Floats, Floats]:
    """Return AUC and average precision of one tag under each of many weightings of the people.

    Parameters
    ----------
    labels, scores
        Of one tag, one-dimensional over people.
    weights
        How often each person counts, people × draws.

    Returns
    -------
    tuple
        AUC and average precision, one per draw; NaN where a draw lacks one of the classes. Ties count half in the
        AUC, and as one step in the average precision.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.nonzero(np.diff(ranked))[0], len(ranked) - 1)
    weighed = weights[order]
    hits = np.cumsum(weighed * labels[order][:, None].astype(np.int32), axis=0, dtype=np.int64)[ends]
    taken = np.cumsum(weighed, axis=0, dtype=np.int64)[ends]
    misses = taken - hits
    gained = np.diff(hits, axis=0, prepend=0)
    positives, negatives = hits[-1].astype(np.float64), misses[-1].astype(np.float64)
    # A group of ties with g positives: each is above the negatives still to come and level with those of the group.
    level = misses - np.diff(misses, axis=0, prepend=0) / 2
    above = negatives - level
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (gained * above).sum(axis=0) / (positives * negatives)
        precision = (gained * (hits / np.maximum(taken, 1))).sum(axis=0) / positives
    return auc, np.where(np.isfinite(auc), precision, np.nan)


def _person_losses(labels: Labels, probabilities: Floats) -> Floats:
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.asarray(-np.where(labels == 1, np.log(p), np.log1p(-p)).sum(axis=1))


def _differences(
    labels: Labels, a: Floats, b: Floats, losses: Floats, weights: NDArray[np.int32]
) -> dict[str, Floats]:
    draws, tags = weights.shape[1], labels.shape[1]
    auc, ap = np.full((tags, draws), np.nan), np.full((tags, draws), np.nan)
    for tag in range(tags):
        y = labels[:, tag]
        if 0 < y.sum(dtype=np.int64) < len(y):
            ours, theirs = (weighted_ranking(y, scores[:, tag], weights) for scores in (a, b))
            auc[tag], ap[tag] = ours[0] - theirs[0], ours[1] - theirs[1]
    return {
        "macro_auc": _mean_of_known(auc),
        "macro_ap": _mean_of_known(ap),
        "log_loss": np.asarray(losses @ weights / len(labels)),
    }


def _mean_of_known(figures: Floats) -> Floats:
    known = np.isfinite(figures)
    total = np.where(known, figures, 0.0).sum(axis=0)
    unknown = np.full(len(total), np.nan)
    return np.asarray(np.divide(total, known.sum(axis=0), out=unknown, where=known.any(axis=0)))
