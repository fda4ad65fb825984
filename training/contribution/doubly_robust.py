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
from training.contribution.overlap import FEWEST_SERVED, Overlap, comparable, overlap_of, require_overlap

_STEPS: Final = 25
_STILL: Final = 0.02
"""Gain in log likelihood that is not worth another step: noise alone moves it by half a unit a column."""

_MANY, _SOME, _LAST = 20_000, 8, 3
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
    harm. Rows that leave nobody to compare with count with the mean effect of the others. Effects are added up over
    impressions; that is exact as far as a second impression adds as much as the first. Errors are summed by person.
    Source: Robins, Hernán and Brumback, Epidemiology 2000 (chances day by day); Bang and Robins, Biometrics 2005
    (doubly robust regression).
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
    rows = comparable(found, chance)
    return _weighed(found.take(rows), X[rows], chance[rows], int(found.served.sum()), level), overlap


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
    slopes = np.zeros(X.shape[1])
    if not 0 < share < 1:
        return np.full(len(X), np.clip(share, _SMALLEST, 1 - _SMALLEST))
    offset = float(np.log(share / (1 - share)))
    if len(X) > _MANY:  # some rows bring it near enough for a few more steps
        slopes = _newton(X[::_SOME], slots[::_SOME], served[::_SOME], offset, slopes, steps=_STEPS)
    slopes = _newton(X, slots, served, offset, slopes, steps=_LAST if len(X) > _MANY else _STEPS)
    return _chances(X, offset, slopes)


def _newton(X: Floats, slots: Ints, served: Ints, offset: float, slopes: Floats, *, steps: int) -> Floats:
    for _ in range(steps):
        chance = _chances(X, offset, slopes)
        weight = slots * chance * (1 - chance)
        curvature = X.T @ (X * weight[:, None]) + _SHRINK * np.eye(X.shape[1])
        uphill = X.T @ (served - slots * chance) - _SHRINK * slopes
        step = np.linalg.solve(curvature, uphill)
        slopes = slopes + step
        if step @ uphill / 2 < _STILL:
            break
    return slopes


def _chances(X: Floats, offset: float, slopes: Floats) -> Floats:
    return np.clip(1 / (1 + np.exp(-np.clip(offset + X @ slopes, -30, 30))), _SMALLEST, 1 - _SMALLEST)


def _weighed(found: Deliveries, X: Floats, chance: Floats, impressions: int, level: float) -> Effect:
    weight = (found.slots - found.served) * chance / (1 - chance)
    scaled = X * weight[:, None]
    slopes = np.linalg.solve(X.T @ scaled + _SHRINK * 1e-3 * np.eye(X.shape[1]), scaled.T @ found.outcome)
    rest = found.outcome - X @ slopes
    balance = found.served - weight
    scale = impressions / found.served.sum()
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
        float(scale * total),
        float(scale * (total - reach)),
        float(scale * (total + reach)),
        float(scale * total / treated),
        float(2 * stats.norm.sf(abs(total) / error)) if error > 0 else float(total == 0),
        treated,
        len(people) - treated,
        float((error / plain_error) ** 2) if plain_error > 0 else 1.0,
        level,
    )
