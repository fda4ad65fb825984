"""What a campaign caused where nobody was held out: every ad slot is a small draw whose chances can be fitted."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import stats

from features.errors import OverlapError
from training.contribution.deliveries import Deliveries, deliveries_of
from training.contribution.holdout import Effect
from training.contribution.outcome_log import Ints
from training.contribution.outcomes import CampaignOutcomes, Floats
from training.contribution.overlap import FEWEST_SERVED, Overlap, overlap_of, require_overlap

_STEPS: Final = 25
_STILL: Final = 1e-7
_SHRINK: Final = 1.0
"""Ridge on standardised columns: one pseudo-observation each, which only keeps empty directions at 0."""

_SMALLEST: Final = 1e-9


def doubly_robust_effect(
    outcomes: CampaignOutcomes, measure: str = "revenue", *, level: float = 0.95
) -> tuple[Effect, Overlap]:
    """Estimate what a campaign caused from who happened to be shown it; people held out are not looked at.

    Parameters
    ----------
    outcomes
        Of the campaign.
    measure
        One of `training.contribution.outcomes.MEASURES`.
    level
        Of the interval.

    Returns
    -------
    tuple
        The effect on all who were shown the campaign, and how well they could be compared.

    Raises
    ------
    OverlapError
        Chance did not decide enough of it.

    Notes
    -----
    How active people are decides how many ads they see, and their interests decide of what; both also decide what
    they buy. So the number of a person's ads on a day is taken as given, and the chance p that one of them is the
    campaign's is fitted (logistic regression, one level a day, on what was known when the day began). An impression
    is then compared with slots of like people and days that went to other ads, weighed by p / (1 - p), after an
    outcome model fitted with the same weights is taken off: wrong chances or a wrong outcome model alone do no
    harm. The effects of impressions are added up; that is exact as far as a second impression adds as much as the
    first. Source: Robins, Hernán and Brumback, Epidemiology 2000 (chances day by day); Bang and Robins, Biometrics
    2005 (doubly robust regression). Errors are summed by person.
    """
    found = deliveries_of(outcomes, measure)
    if found.served.sum() < FEWEST_SERVED:
        raise OverlapError(
            f"{outcomes.campaign.name} has too few impressions",
            value=int(found.served.sum()),
            valid=[f"{FEWEST_SERVED} or more"],
            next_step="judge it together with the brand's other campaigns, or longer",
        )
    X = design(found)
    chance = fitted_chances(X, found.slots, found.served)
    overlap = overlap_of(found, chance)
    require_overlap(outcomes.campaign.name, overlap)
    return _weighed(found, X, chance, level), overlap


def design(deliveries: Deliveries) -> Floats:
    """Return the columns of both regressions [m, k]: one per day, and what was known, standardised and squared."""
    days, day = np.unique(deliveries.day, return_inverse=True)
    X = np.zeros((len(day), len(days) + 2 * deliveries.known.shape[1]))
    X[np.arange(len(day)), day] = 1
    if deliveries.known.shape[1]:
        spread = deliveries.known.std(axis=0)
        known = (deliveries.known - deliveries.known.mean(axis=0)) / np.where(spread > 0, spread, 1)
        X[:, len(days) :] = np.hstack([known, known**2])
    return X


def fitted_chances(X: Floats, slots: Ints, served: Ints) -> Floats:
    """Fit the chance that a slot is served by logistic regression (Newton's steps).

    Parameters
    ----------
    X
        Columns [m, k].
    slots, served
        Trials and successes [m].

    Examples
    --------
    >>> chances = fitted_chances(np.ones((2, 1)), np.array([30_000, 10_000]), np.array([9_000, 3_000]))
    >>> chances.round(2).tolist()
    [0.3, 0.3]
    """
    share = served.sum() / max(slots.sum(), 1)
    offset = np.log(share / (1 - share)) if 0 < share < 1 else 0.0
    slopes = np.zeros(X.shape[1])
    ridge = _SHRINK * np.eye(X.shape[1])
    chance = np.full(len(X), share)
    for _ in range(_STEPS):
        weight = slots * chance * (1 - chance)
        step = np.linalg.solve(X.T @ (X * weight[:, None]) + ridge, X.T @ (served - slots * chance) - slopes)
        slopes += step
        chance = np.clip(1 / (1 + np.exp(-np.clip(offset + X @ slopes, -30, 30))), _SMALLEST, 1 - _SMALLEST)
        if np.abs(step).max() < _STILL:
            break
    return chance


def _weighed(found: Deliveries, X: Floats, chance: Floats, level: float) -> Effect:
    weight = (found.slots - found.served) * chance / (1 - chance)
    scaled = X * weight[:, None]
    slopes = np.linalg.solve(X.T @ scaled + _SHRINK * 1e-3 * np.eye(X.shape[1]), scaled.T @ found.outcome)
    rest = found.outcome - X @ slopes
    balance = found.served - weight
    total = float(balance @ rest)
    people, who = np.unique(found.person, return_inverse=True)
    served = np.bincount(who, found.served)
    each = total / served.sum()
    error = np.sqrt(((np.bincount(who, balance * rest) - each * served) ** 2).sum())
    plain = found.outcome - weight @ found.outcome / weight.sum()
    plain_error = np.sqrt((np.bincount(who, balance * plain) ** 2).sum())
    reach = stats.norm.ppf(0.5 + level / 2) * error
    treated = int((served > 0).sum())
    return Effect(
        total,
        float(total - reach),
        float(total + reach),
        total / treated,
        float(2 * stats.norm.sf(abs(total) / error)) if error > 0 else float(total == 0),
        treated,
        len(people) - treated,
        float((error / plain_error) ** 2) if plain_error > 0 else 1.0,
        level,
    )
