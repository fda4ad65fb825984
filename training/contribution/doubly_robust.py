"""What a campaign caused where nobody was held out: every ad slot is a small draw whose chances can be fitted."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import stats

from features.errors import OverlapError
from training.contribution.deliveries import Deliveries, deliveries_of
from training.contribution.holdout import Effect
from training.contribution.outcomes import CampaignOutcomes, Floats
from training.contribution.overlap import (
    FEWEST_SERVED,
    NEAR_CERTAIN,
    Overlap,
    comparable,
    overlap_of,
    require_overlap,
)

_STEPS: Final = 25

_SHRINK: Final = 1.0
"""Ridge on the slopes: one unit each only keeps directions without data at 0."""

_STILL: Final = 0.1
"""Gain in log likelihood that is not worth another step: noise alone moves it by half a unit a column."""

_FARTHEST: Final = 3.0
"""Logits by which a step may move a row."""

_TINY: Final = 1e-3
_STRONGEST: Final = 0.9

_ENOUGH: Final = 50_000
"""Rows that chances are fitted on, evenly spaced."""

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
    mixed = shares_of_days(found) <= NEAR_CERTAIN  # on other days there is nobody to compare with
    chance = np.ones(len(mixed))
    chance[mixed] = fitted_chances(found.take(mixed))
    overlap = overlap_of(found, chance)
    require_overlap(outcomes.campaign.name, overlap)
    rows = comparable(found, chance)
    return _weighed(found.take(rows), chance[rows], int(found.served.sum()), level), overlap


def shares_of_days(deliveries: Deliveries) -> Floats:
    """Return the share of each row's day that the campaign had of all ads."""
    _, day = np.unique(deliveries.day, return_inverse=True)
    share: Floats = (np.bincount(day, deliveries.served) / np.bincount(day, deliveries.slots))[day]
    return share


def design(deliveries: Deliveries) -> Floats:
    """Return the columns of both regressions [m, k]: one per day, what was known, its squares, capped clicks."""
    days, day = np.unique(deliveries.day, return_inverse=True)
    known = _standardised(deliveries.known)
    columns = (known, known**2, _standardised(deliveries.capped))
    X = np.zeros((len(day), len(days) + sum(part.shape[1] for part in columns)))
    X[np.arange(len(day)), day] = 1
    X[:, len(days) :] = np.hstack(columns)
    return X


def _standardised(columns: Floats) -> Floats:
    if not columns.size:
        return columns
    spread = columns.std(axis=0)
    out: Floats = (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return out


def fitted_chances(deliveries: Deliveries) -> Floats:
    """Fit the chance that an ad is the campaign's by logistic regression (Newton's steps).

    Parameters
    ----------
    deliveries
        Of days on which it had neither all ads nor, at first sight, none.
    """
    X = design(deliveries)
    slots, served = deliveries.slots.astype(np.float64), deliveries.served.astype(np.float64)
    share = np.clip(shares_of_days(deliveries), _SMALLEST, 1 - _SMALLEST)
    start = np.log(share / (1 - share))
    # The outcome model takes out what more rows would still mend.
    some = slice(None, None, max(len(X) // _ENOUGH, 1))
    slopes = _newton(X[some], slots[some], served[some], start[some])
    return _chances(start + X @ slopes)


def _newton(X: Floats, slots: Floats, served: Floats, start: Floats) -> Floats:
    slopes, logits = np.zeros(X.shape[1]), start
    for _ in range(_STEPS):
        chance = _chances(logits)
        weight = slots * chance * (1 - chance)
        curvature = X.T @ (X * weight[:, None]) + _SHRINK * np.eye(X.shape[1])
        uphill = X.T @ (served - slots * chance) - _SHRINK * slopes
        step = np.linalg.solve(curvature, uphill)
        moved = X @ step
        # A step that moves some row far is only good near where it was taken.
        part = min(1.0, _FARTHEST / max(float(np.abs(moved).max(initial=0.0)), _SMALLEST))
        slopes, logits = slopes + part * step, logits + part * moved
        if part * step @ uphill < _STILL:
            break
    return slopes


def _chances(logits: Floats) -> Floats:
    return np.clip(1 / (1 + np.exp(-np.clip(logits, -30, 30))), _SMALLEST, 1 - _SMALLEST)


def _weighed(found: Deliveries, chance: Floats, impressions: int, level: float) -> Effect:
    X = design(found)
    weight = (found.slots - found.served) * chance / (1 - chance)
    scaled = X * weight[:, None]
    spread = np.linalg.inv(X.T @ scaled + _TINY * np.eye(X.shape[1]))
    rest = found.outcome - X @ (spread @ (scaled.T @ found.outcome))
    balance = found.served - weight
    scale = impressions / found.served.sum()
    total = float(balance @ rest)
    people, who = np.unique(found.person, return_inverse=True)
    served = np.bincount(who, found.served)
    each = total / served.sum()
    # A person whose own outcome pulls the outcome model towards it would seem too well predicted.
    pull = np.minimum(np.bincount(who, (scaled @ spread * X).sum(axis=1)), _STRONGEST)
    error = np.sqrt(((np.bincount(who, balance * rest) - each * served) ** 2 / (1 - pull)).sum())
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
