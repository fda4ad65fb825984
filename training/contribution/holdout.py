"""What a campaign caused, from a hold-out: people drawn at random who were kept from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from features.errors import OverlapError
from training.contribution.outcomes import NEVER, CampaignOutcomes

Floats = npt.NDArray[np.float64]

FEWEST: Final = 30
"""People that each arm needs: below, no interval means anything."""

_UNLIKELY: Final = 1e-6
_DEPENDENT: Final = 1e-9


@dataclass(frozen=True)
class Effect:
    """What a campaign caused among the people who were not kept from it.

    Parameters
    ----------
    total
        Caused in all: minor units, purchases or visits. Negative where people would have bought more without.
    low, high
        Ends of the interval.
    per_person
        Caused per person who was not kept from it.
    p_value
        Of the hypothesis that nothing was caused, two-sided.
    people_treated, people_held
        People in the arms; without a hold-out the people who were reached, and those who were not.
    variance_kept
        Variance over that of the plain difference between the arms.
    level
        Share of intervals that hold the truth.
    """

    total: float
    low: float
    high: float
    per_person: float
    p_value: float
    people_treated: int
    people_held: int
    variance_kept: float
    level: float = 0.95


def holdout_effect(outcomes: CampaignOutcomes, measure: str = "revenue", *, level: float = 0.95) -> Effect:
    """Estimate what a campaign caused from its hold-out.

    Parameters
    ----------
    outcomes
        With both arms. Where the log tells whom the hold-out kept from an impression, only people who were or would
        have been shown the campaign are compared, from that first moment on: for all others it caused nothing, and
        what they bought is noise. Else everybody is compared, whether shown or not.
    measure
        One of `training.contribution.outcomes.MEASURES`.
    level
        Of the interval.

    Raises
    ------
    OverlapError
        An arm has too few people, or the arms were not reached alike.

    Notes
    -----
    Source: Johnson, Lewis and Nubbemeyer, Ghost Ads, Journal of Marketing Research 2017 (whom to compare); Deng,
    Xu, Kohavi and Walker, WSDM 2013 (adjusting for what was known before).
    """
    treated = outcomes.arm == 1
    held = int((outcomes.arm == 0).sum())
    if min(treated.sum(), held) < FEWEST:
        raise OverlapError(
            f"an arm of {outcomes.campaign.name} has too few people",
            value=int(min(treated.sum(), held)),
            valid=[f"{FEWEST} or more"],
            next_step=f"keep a {'larger' if held < FEWEST else 'smaller'} share of people from the campaign",
        )
    whole = outcomes.whole[measure]
    plain = difference_effect(whole, treated, level=level)
    if not outcomes.logged:
        found, kept = difference_effect(whole, treated, outcomes.covariates, level=level), treated
    else:
        shown = outcomes.reached > NEVER
        check_alike(outcomes.campaign.name, shown, treated)
        kept = treated[shown]
        found = difference_effect(outcomes.after[measure][shown], kept, outcomes.covariates[shown], level=level)
    return Effect(
        found.total,
        found.low,
        found.high,
        found.total / int(treated.sum()),
        found.p_value,
        int(treated.sum()),
        held,
        ((found.high - found.low) / (plain.high - plain.low)) ** 2 if plain.high > plain.low else 1.0,
        level,
    )


def difference_effect(
    outcome: npt.NDArray[np.int64] | Floats,
    treated: npt.NDArray[np.bool_],
    covariates: Floats | None = None,
    *,
    level: float = 0.95,
) -> Effect:
    """Estimate what a random treatment caused among the treated.

    Parameters
    ----------
    outcome
        Of each person [n].
    treated
        Who was; the others were kept from it at random [n].
    covariates
        What was known of each person before [n, k]. They only narrow the interval.
    level
        Of the interval.

    Returns
    -------
    Effect
        Number of treated times the adjusted difference of means.

    Notes
    -----
    What the treated did is known; unknown is only what they would have done, which the hold-out tells. So the error
    has the variance of the untreated outcome. Purchases are rare and their sums skewed: a hold-out that happens to
    buy little also seems to vary little. The interval therefore holds those totals T that the difference does not
    reject, where the untreated variance under T comes from both arms: the treated arm's is taken to shrink as its
    mean would, by T over the treated's sum, as it does for sums of rare purchases, down to nothing where all of it
    was caused. So an interval reaches further below than above: a held-out arm without purchases says that few are
    made untreated, not that there are none. With slopes common to both arms (centred within each) the adjustment
    needs the few held out only for their mean; what the slopes are wrong by does not shrink.

    Examples
    --------
    >>> bought, shown = np.array([3, 1, 2, 2, 0, 0, 1, 1]), np.arange(8) < 4
    >>> effect = difference_effect(bought, shown)
    >>> effect.total, round(effect.p_value, 2)
    (6.0, 0.0)
    """
    y, one = np.asarray(outcome, np.float64), np.asarray(treated, bool)
    n1, n0 = int(one.sum()), int((~one).sum())
    if not n1 or not n0:
        return Effect(0.0, 0.0, 0.0, 0.0, 1.0, n1, n0, 1.0, level)
    flat = _centred(y, one)
    adjusted, used, apart = y, 0, 0.0
    if covariates is not None and covariates.shape[1]:
        X = _centred(covariates, one)
        slopes, _, rank, _ = np.linalg.lstsq(X, flat, rcond=_DEPENDENT)
        used = int(rank)
        adjusted = y - covariates @ slopes
        between = covariates[one].mean(axis=0) - covariates[~one].mean(axis=0)
        apart = float((np.linalg.lstsq(X.T, between, rcond=_DEPENDENT)[0] ** 2).sum())
    total = n1 * float(adjusted[one].mean() - adjusted[~one].mean())
    squares = _centred(adjusted, one) ** 2
    freedom = max(len(y) - 2 - used, 1)
    of_held, of_treated = (float(squares[arm].sum()) / freedom for arm in (~one, one))
    spread, slope = n1 * len(y) / n0, n1**2 * apart * (of_held + of_treated)
    low, high = _not_rejected(
        total,
        sold=float(np.abs(y[one]).sum()),
        fixed=spread * of_held + slope,
        shrinking=spread * of_treated,
        z=float(stats.norm.ppf(0.5 + level / 2)),
    )
    error = np.sqrt(spread * (of_held + of_treated) + slope)
    p_value = float(2 * stats.norm.sf(abs(total) / error)) if error > 0 else float(total == 0)
    kept = float(squares.sum() / (flat**2).sum()) if (flat**2).sum() > 0 else 1.0
    return Effect(total, low, high, total / n1, p_value, n1, n0, kept, level)


def _not_rejected(total: float, *, sold: float, fixed: float, shrinking: float, z: float) -> tuple[float, float]:
    """Return the ends of those T with (total - T)^2 <= z^2 (fixed + shrinking max(1 - T / sold, 0))."""
    flat = z * np.sqrt(fixed)
    low, high = total - flat, total + flat
    if not sold > 0:
        wide = z * np.sqrt(fixed + shrinking)
        return float(total - wide), float(total + wide)
    slant = z**2 * shrinking / sold
    middle = total - slant / 2
    inside = z**2 * (fixed + shrinking) - slant * total + (slant / 2) ** 2
    if inside >= 0 and middle - np.sqrt(inside) < sold:
        low = min(low, middle - np.sqrt(inside))
        high = max(high, min(middle + np.sqrt(inside), sold))
    return float(low), float(high)


def _centred(values: Floats, treated: npt.NDArray[np.bool_]) -> Floats:
    out = np.array(values, np.float64)
    for arm in (treated, ~treated):
        out[arm] -= out[arm].mean(axis=0)
    return out


def check_alike(campaign: str, shown: npt.NDArray[np.bool_], treated: npt.NDArray[np.bool_]) -> None:
    """Refuse a hold-out whose people had other chances of being shown the campaign than the treated.

    Parameters
    ----------
    campaign
        Its name.
    shown
        Who was shown the campaign, or would have been, bool [n].
    treated
        Who was not held out, bool [n].

    Raises
    ------
    OverlapError
        The shares of the arms that were reached differ by more than chance, or nobody of one arm was.
    """
    counts = np.array([[(shown & arm).sum(), (~shown & arm).sum()] for arm in (treated, ~treated)])
    if counts[:, 0].min() == 0:
        raise OverlapError(
            f"nobody in an arm of {campaign} was reached",
            value=counts[:, 0].tolist(),
            next_step="check the assignments and the policy column of its impressions",
        )
    if counts[:, 1].sum() and stats.chi2_contingency(counts, correction=False).pvalue < _UNLIKELY:
        shares = counts[:, 0] / counts.sum(axis=1)
        raise OverlapError(
            f"the treated and the held out of {campaign} were not reached alike: they differ by more than the arm",
            value=[round(float(share), 4) for share in shares],
            next_step="check that arms are drawn at random and that withheld impressions are all logged",
        )
