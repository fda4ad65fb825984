"""Is there somebody to compare with: whether chance, and not the person alone, decided who saw a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from features.errors import OverlapError
from training.contribution.deliveries import Deliveries
from training.contribution.outcomes import Floats

FEWEST_SERVED: Final = 100
"""Impressions that an estimate needs."""

SMALLEST_SIZE: Final = 100
"""Effective number of people that an estimate needs on the side that is compared with."""

NEAR_CERTAIN: Final = 0.9
"""Chance above which an impression leaves nobody to compare with."""

MOST_CERTAIN: Final = 0.2
"""Share of impressions that may be near certain: their effect is taken to be that of the others."""

MOST_DISPERSION: Final = 2.0
"""How much more impressions may differ between people than chances explain."""

MOST_IMBALANCE: Final = 0.1
"""Standard deviations by which what is known may still differ between the two sides."""

_TAIL: Final = 0.01
_QUANTILES: Final = (0.01, 0.25, 0.5, 0.75, 0.99)


@dataclass(frozen=True)
class Overlap:
    """How well the ads that were the campaign's can be compared with those that were not.

    Parameters
    ----------
    served
        Impressions of the campaign.
    effective_size
        Number of people of equal weight that would tell as much as those compared with: (sum w)² / sum w².
    tail_share
        Share of all weight that the heaviest hundredth of the people has.
    certain_share
        Share of the impressions whose chance was above `NEAR_CERTAIN`, fitted or recorded.
    dispersion
        Squared deviations of people's impressions from their expectation over what chance alone gives: about 1
        where the chances explain who was served; large where something hidden chose people.
    imbalance
        Largest difference of a column's means between the two sides after weighing, in standard deviations.
    served_chances, other_chances
        Chances of the campaign at the 1st, 25th, 50th, 75th and 99th hundredth of its own impressions, and of the
        other ads.
    recorded
        Correlation of the logarithms of recorded and fitted chances over the campaign's impressions; NaN where none
        are recorded.
    """

    served: int
    effective_size: float
    tail_share: float
    certain_share: float
    dispersion: float
    imbalance: float
    served_chances: tuple[float, ...]
    other_chances: tuple[float, ...]
    recorded: float


def comparable(deliveries: Deliveries, chance: Floats) -> npt.NDArray[np.bool_]:
    """Return the rows whose chance, fitted or recorded, leaves somebody to compare with."""
    return np.fmax(chance, deliveries.recorded) <= NEAR_CERTAIN


def overlap_of(deliveries: Deliveries, chance: Floats) -> Overlap:
    """Measure the overlap; all but the share of certain impressions is of the comparable rows.

    Parameters
    ----------
    deliveries
        Of the campaign.
    chance
        Fitted chance that an ad is the campaign's [m].
    """
    everything = int(deliveries.served.sum())
    rows = comparable(deliveries, chance)
    deliveries, chance = deliveries.take(rows), chance[rows]
    served, others = deliveries.served, deliveries.slots - deliveries.served
    weight = others * chance / (1 - chance)
    people, who = np.unique(deliveries.person, return_inverse=True)
    size = len(people)
    by_person = np.bincount(who, weight, minlength=size)
    heaviest = np.sort(by_person)[::-1][: max(int(np.ceil(size * _TAIL)), 1)]
    surprise = np.bincount(who, served - deliveries.slots * chance, minlength=size)
    expected = float((deliveries.slots * chance * (1 - chance)).sum())
    recorded = deliveries.recorded
    told = np.isfinite(recorded) & (served > 0)
    return Overlap(
        served=everything,
        effective_size=float(weight.sum() ** 2 / max((by_person**2).sum(), 1e-300)),
        tail_share=float(heaviest.sum() / max(weight.sum(), 1e-300)),
        certain_share=1 - float(served.sum()) / max(everything, 1),
        dispersion=float((surprise**2).sum() / max(expected, 1e-300)),
        imbalance=_imbalance(deliveries.known, served.astype(np.float64), weight),
        served_chances=_quantiles(chance, served),
        other_chances=_quantiles(chance, others),
        recorded=_correlation(np.log(recorded[told]), np.log(chance[told])),
    )


def require_overlap(campaign: str, overlap: Overlap) -> None:
    """Refuse an estimate that the data cannot carry.

    Raises
    ------
    OverlapError
        Says which figure lies beyond its bound.
    """
    checks: tuple[tuple[bool, str, float, str, str], ...] = (
        (
            overlap.served >= FEWEST_SERVED,
            "too few impressions",
            overlap.served,
            f"{FEWEST_SERVED} or more",
            "judge it together with the brand's other campaigns, or longer",
        ),
        (
            overlap.certain_share <= MOST_CERTAIN,
            f"too large a share of impressions that were near certain (chance above {NEAR_CERTAIN:g})",
            overlap.certain_share,
            f"up to {MOST_CERTAIN:g}",
            "keep a random share of people from the campaign (hold-out)",
        ),
        (
            overlap.effective_size >= SMALLEST_SIZE,
            "too few people to compare with (effective number)",
            overlap.effective_size,
            f"{SMALLEST_SIZE} or more",
            "keep a random share of people from the campaign (hold-out)",
        ),
        (
            overlap.dispersion <= MOST_DISPERSION,
            "people who were chosen by something that the log does not show (dispersion of their impressions)",
            overlap.dispersion,
            f"up to {MOST_DISPERSION:g}",
            "keep a random share of people from the campaign (hold-out)",
        ),
        (
            overlap.imbalance <= MOST_IMBALANCE,
            "people who differ from those they are compared with, weighed or not (standard deviations)",
            overlap.imbalance,
            f"up to {MOST_IMBALANCE:g}",
            "keep a random share of people from the campaign (hold-out)",
        ),
    )
    for passed, problem, value, valid, next_step in checks:
        if not passed:
            raise OverlapError(
                f"{campaign} has {problem}", value=round(value, 4), valid=[valid], next_step=next_step
            )


def _quantiles(values: Floats, weights: npt.NDArray[np.int64]) -> tuple[float, ...]:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    if not len(reached) or not reached[-1]:
        return (float("nan"),) * len(_QUANTILES)
    places = np.searchsorted(reached, np.array(_QUANTILES) * reached[-1])
    return tuple(float(value) for value in values[order][places])


def _imbalance(known: Floats, served: Floats, weight: Floats) -> float:
    if not known.shape[1] or not served.sum() or not weight.sum():
        return 0.0
    means = [side @ known / side.sum() for side in (served, weight)]
    spread = np.sqrt(np.maximum(served @ known**2 / served.sum() - means[0] ** 2, 0))
    varies = spread > 0
    return float(np.abs((means[0] - means[1])[varies] / spread[varies]).max(initial=0.0))


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < FEWEST_SERVED or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
