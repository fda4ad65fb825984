"""How sure a ranking's worth is: people drawn anew within their arms, the same draws for every ranking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import Floats
from training.uplift.curves import curves_of, effect_at, ranked_sums

SHARES: Final = (0.1, 0.2, 0.3)
"""Parts of the people whose effect is reported."""
OUT_OF_FOLD: Final = math.sqrt(2)
"""How much wider the interval of what a ranking adds is where each person was scored by a fit on all other folds.

Two people of different folds meet twice then, each once as one to learn from and once as one to be measured on; if
nothing can be learned, both meetings say the same, and the variance is twice that of draws with the scores held
fixed. The more there is to learn the less of the variance this is, so the interval errs on the wide side."""
_WEIGHTS_AT_ONCE: Final = 500_000
"""People × draws that are summed at once: bounds memory at about 100 MB."""


class Interval(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Floats, level: float = 0.95) -> Interval:
        """Return the first value, which is that of the people as they are, with percentiles of the others.

        Examples
        --------
        >>> Interval.of(np.array([0.5, *np.linspace(0.0, 1.0, 5)]), level=0.5)
        Interval(value=0.5, low=0.25, high=0.75)
        """
        known = draws[1:][np.isfinite(draws[1:])]
        tails = [50 * (1 - level), 50 * (1 + level)]
        low, high = np.percentile(known, tails) if len(known) else (np.nan, np.nan)
        return cls(float(draws[0]), float(low), float(high))


@dataclass(frozen=True)
class RankingDraws:
    """What a ranking is worth: on the people as they are, then on each draw of them.

    Parameters
    ----------
    effect, qini, auuc
        Of length 1 + draws; see `training.uplift.curves.UpliftCurve`. The average effect is that of everybody.
    top
        Share → mean effect among that share with the highest scores, of the same length.
    """

    effect: Floats
    qini: Floats
    auuc: Floats
    top: dict[float, Floats]


def draw_rankings(
    rankings: Mapping[str, Floats],
    treated: NDArray[np.bool_],
    outcome: Floats,
    *,
    weights: Floats | None = None,
    shares: Sequence[float] = SHARES,
    stretch: float = 1.0,
    resamples: int = 500,
    seed: int = 7,
) -> dict[str, RankingDraws]:
    """Measure rankings of the same people on the same bootstrap draws.

    Every arm keeps its number of people. Since the draws are shared, the difference of two rankings' figures draw
    by draw has an interval of its own: ``Interval.of(a.qini - b.qini)``. What a model would be when it is trained
    on other people is not part of it.

    Parameters
    ----------
    rankings
        Name → scores, higher means treated earlier.
    treated, outcome, weights
        As in `training.uplift.curves.uplift_curve`.
    shares
        Parts of the people whose mean effect is wanted.
    stretch
        Makes draws of what a ranking adds to a random order so much wider: `OUT_OF_FOLD` where scores are
        cross-validated.
    resamples, seed
        Number of draws, and what fixes them.

    Notes
    -----
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    people = len(treated)
    arms = [np.flatnonzero(treated), np.flatnonzero(~treated)]
    rng = np.random.default_rng(seed)
    weight = np.ones((people, 1)) if weights is None else weights[:, None]
    blocks: dict[str, list[list[Floats]]] = {name: [] for name in rankings}
    at_once = max(1, _WEIGHTS_AT_ONCE // people)
    for start in range(0, resamples + 1, at_once):
        counts = np.ones((people, min(at_once, resamples + 1 - start)))
        # The first column of all stays: the people as they are.
        for draw in range(0 if start else 1, counts.shape[1]):
            for arm in arms:
                drawn = rng.integers(len(arm), size=len(arm))
                counts[arm, draw] = np.bincount(drawn, minlength=len(arm))
        for name, scores in rankings.items():
            sums = ranked_sums(scores, treated, outcome, counts, weight)
            depth, incremental, gain = curves_of(sums)
            qini = np.asarray(np.trapezoid(incremental, depth, axis=0) - incremental[-1] / 2)
            auuc = np.asarray(np.trapezoid(gain, depth, axis=0))
            blocks[name].append([incremental[-1], qini, auuc, *(effect_at(sums, share) for share in shares)])
    found = {}
    for name, parts in blocks.items():
        effect, *figures = (np.concatenate(part) for part in zip(*parts, strict=True))
        # What a random order has of each: nothing, half of the average effect, and the average effect.
        random = [np.zeros_like(effect), effect / 2, *(effect for _ in shares)]
        qini, auuc, *top = (
            base + _stretched(figure - base, stretch) for base, figure in zip(random, figures, strict=True)
        )
        found[name] = RankingDraws(effect, qini, auuc, dict(zip(shares, top, strict=True)))
    return found


def _stretched(draws: Floats, factor: float) -> Floats:
    return np.asarray(draws[0] + factor * (draws - draws[0]))
