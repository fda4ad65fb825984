"""Choices on a later slice: how many trees, and which calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from features.processes import in_threads
from training.conversion.examples import Floats, Ints
from training.conversion.model import Curve, log_odds
from training.quality.calibration import Platt, fit_platt, keeping_mean, sigmoid
from training.quality.metrics import Labels

_FOLDS: Final = 4
_SLOPES: Final = (0.5, 1.25)
_STEPS: Final = 20
_NEWTON_STEPS: Final = 20
_DAYS_SPREAD: Final = 0.05
_ADDED: Final = 20.0
_STANDARD_ERRORS: Final = 2.0


def losses(labels: Labels, probabilities: Floats) -> Floats:
    """Return the negative log likelihood of each, float64 [n]."""
    z = log_odds(probabilities)
    return np.asarray(np.logaddexp(0.0, np.where(labels == 1, -z, z)))


def choose_trees(scores: Sequence[Floats], labels: Labels, weight: Floats) -> int:
    """Return which of several logits of ever more trees has the lowest log loss once its level is calibrated.

    Not its slope, or a few trees whose differences are blown up would look as good as all of them.

    Parameters
    ----------
    scores
        Logits, each float64 [n].
    labels, weight
        What came true, and how much each counts, [n].
    """

    def loss(number: int) -> float:
        calibrated = Platt(1.0, _level(Platt(), scores[number], labels, weight)).apply(scores[number])
        return float(np.average(losses(labels, calibrated), weights=weight))

    return min(range(len(scores)), key=loss)


def fit_curve(logits: Floats, labels: Labels, weight: Floats, person: Ints, *, threads: int = 1) -> Curve:
    """Fit the calibration: a slope, and the model's own level, unless the slice's is clearly another one.

    A rising curve replaces the line only where it has a lower log loss on people it was not fitted on, by more than
    two standard errors; its mean probability is that of the line.

    Parameters
    ----------
    logits, labels, weight
        Of the later slice, [n].
    person
        Numbers of the people, whose impressions are kept together, int64 [n].
    threads
        Parts of the people that are gone through at once.
    """
    slope = min(max(fit_platt(logits, labels, weight).slope, _SLOPES[0]), _SLOPES[1])
    own_level = keeping_mean(slope * logits, sigmoid(logits), weight)
    line = _moved(Platt(slope, own_level), logits, labels, weight)
    fold = person % _FOLDS

    def gained(number: int) -> Floats | None:
        """Return what the curve gains on the people of a part whom it was not fitted on."""
        mine = fold == number
        rest = ~mine
        if not (0 < labels[rest].sum() < rest.sum() and mine.any()):
            return None
        straight = fit_platt(logits[rest], labels[rest], weight[rest])
        bent = _isotonic(straight, logits[rest], labels[rest], weight[rest])
        before, after = (losses(labels[mine], curve.apply(logits[mine])) for curve in (straight, bent))
        return before - after

    gain = np.zeros(len(logits))
    for number, gains in enumerate(in_threads(gained, range(_FOLDS), threads)):
        if gains is None:
            return Curve(line)
        gain[fold == number] = gains
    of_person = np.bincount(np.unique(person, return_inverse=True)[1], gain * weight)
    error = of_person.std() * np.sqrt(len(of_person))
    if of_person.sum() <= _STANDARD_ERRORS * error:
        return Curve(line)
    bent = _isotonic(line, logits, labels, weight)
    level = keeping_mean(log_odds(bent.apply(logits)), line.apply(logits), weight)
    return Curve(line, bent.at, tuple(to + level for to in bent.to))


def _level(line: Platt, logits: Floats, labels: Labels, weight: Floats) -> float:
    """Return what is to be added to a line so that it adds up to the slice's conversions."""
    level = 0.0
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(line.slope * logits + line.intercept + level)
        step = float((weight * (labels - p)).sum()) / max(float((weight * p * (1 - p)).sum()), 1e-12)
        level += min(max(step, -1.0), 1.0)
    return level


def _moved(line: Platt, logits: Floats, labels: Labels, weight: Floats) -> Platt:
    """Move a line towards the slice's own level, by what it is off beyond two standard errors.

    Some days are a few percent better or worse than the model says, which notes they have decides that, and it is
    no rule for the days to come; and the model that is fitted afterwards has seen those days.
    """
    level = _level(line, logits, labels, weight)
    error = np.sqrt(_DAYS_SPREAD**2 + 1 / max(float(labels.sum()), 1.0))
    return Platt(
        line.slope, line.intercept + float(np.sign(level)) * max(abs(level) - _STANDARD_ERRORS * error, 0.0)
    )


def _isotonic(line: Platt, logits: Floats, labels: Labels, weight: Floats) -> Curve:
    """Fit a rising curve through equally heavy groups of the logits."""
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415  (a second to import)

    z = line.slope * logits + line.intercept
    order = np.argsort(z, kind="stable")
    heavy = np.cumsum(weight[order])
    group = np.minimum((heavy / heavy[-1] * _STEPS).astype(np.int64), _STEPS - 1)
    size = np.bincount(group, weight[order], _STEPS)
    used = size > 0
    at = np.bincount(group, weight[order] * z[order], _STEPS)[used] / size[used]
    hits = np.bincount(group, weight[order] * labels[order], _STEPS)[used]
    expected = np.bincount(group, weight[order] * sigmoid(z[order]), _STEPS)[used]
    # Some impressions as the line expects them are added, so that a group without hits is not certain of it.
    added = _ADDED * float(np.average(weight))
    share = (hits + added * expected / size[used]) / (size[used] + added)
    to = log_odds(np.asarray(isotonic_regression(share, sample_weight=size[used])))
    distinct = np.append(True, np.diff(at) > 0)
    return Curve(line, tuple(at[distinct].tolist()), tuple(to[distinct].tolist()))
