"""What share of the purchases after impressions was caused by them, from people kept from campaigns by lot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.contribution.outcomes import CampaignOutcomes
from training.quality.metrics import Floats

STRATA: Final = ("bought the brand lately", "bought of the category lately", "neither")
_FEWEST: Final = 30
_NARROWEST: Final = 1e-12


@dataclass(frozen=True)
class Trials:
    """People of campaigns with a hold-out, a row per person and campaign.

    Parameters
    ----------
    person
        Whose row, numbered over all campaigns from 0 [n].
    campaign
        Number of the campaign [n].
    treated
        False for those who were kept from it [n].
    bought
        Purchases of the brand from the first impression on, or the first one withheld, less what was known before
        says of them [n].
    followed
        Purchases that the conversion model would count after impressions of the campaign [n].
    stratum
        Number in `STRATA`, as of before [n].
    """

    person: NDArray[np.int64]
    campaign: NDArray[np.int64]
    treated: NDArray[np.bool_]
    bought: Floats
    followed: Floats
    stratum: NDArray[np.int64]


@dataclass(frozen=True)
class CausedShare:
    """How much is caused for each purchase that follows an impression.

    Parameters
    ----------
    shares
        By stratum, drawn towards all together, at least 0 [strata].
    whole, low, high
        Of all together, with a 95 % interval over people.
    draws
        `shares` on people drawn anew [draws, strata].
    campaigns, people
        What it was learned from; 0 where no campaign had a hold-out, and 1 is assumed.
    """

    shares: Floats
    whole: float
    low: float
    high: float
    draws: Floats
    campaigns: int
    people: int


def stratum_of(brand: NDArray[np.bool_], category: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number in `STRATA` from who bought the brand, and who bought of its category."""
    return np.where(brand, 0, np.where(category, 1, 2))


def trials_of(outcomes: Sequence[CampaignOutcomes], followed: Sequence[dict[str, int]]) -> Trials | None:
    """Put the hold-outs of campaigns together.

    Parameters
    ----------
    outcomes
        Of campaigns; those without enough people in both arms are left out.
    followed
        Person → purchases after impressions of that campaign, as the conversion model counts them.

    Returns
    -------
    Trials or None
        None where no campaign has enough of them.
    """
    parts = []
    keys: dict[str, int] = {}
    for number, (one, after) in enumerate(zip(outcomes, followed, strict=True)):
        used = one.reached > 0 if one.logged else one.arm >= 0
        treated = one.arm == 1
        if min((used & treated).sum(), (used & ~treated & (one.arm >= 0)).sum()) < _FEWEST:
            continue
        used &= one.arm >= 0
        names = one.keys().to_pylist()
        bought = (one.after if one.logged else one.whole)["purchases"].astype(np.float64)
        known = {name: one.covariates[:, place] > 0 for place, name in enumerate(one.names)}
        never = np.zeros(len(bought), bool)
        rows = np.flatnonzero(used)
        parts.append(
            Trials(
                np.array([keys.setdefault(names[row], len(keys)) for row in rows], np.int64),
                np.full(len(rows), number),
                treated[rows],
                _adjusted(bought[rows], one.covariates[rows], treated[rows]),
                np.array([after.get(names[row], 0) for row in rows], np.float64),
                stratum_of(known.get("brand_purchases", never), known.get("category_purchases", never))[rows],
            )
        )
    if not parts:
        return None
    return Trials(*(np.concatenate([getattr(part, name) for part in parts]) for name in Trials.__annotations__))


def caused_share(trials: Trials | None, *, draws: int = 200, seed: int = 7) -> CausedShare:
    """Estimate the share by stratum, drawn towards that of all by how sure each is.

    Parameters
    ----------
    trials
        None, or without any purchase that followed: what follows is taken to be caused.
    draws, seed
        People drawn anew for intervals.

    Notes
    -----
    Caused by a campaign in a stratum is the treated times the difference of the arms' means (intention to treat
    where it is not logged who would have been reached). Shares of strata are drawn together by their variances
    (normal means of unknown spread, DerSimonian and Laird 1986), and none lies below 0.
    """
    if trials is None or trials.followed.sum() <= 0:
        one = np.ones(len(STRATA))
        return CausedShare(one, 1.0, float("nan"), float("nan"), np.ones((draws, len(STRATA))), 0, 0)
    rng = np.random.default_rng(seed)
    many = int(trials.person.max()) + 1
    drawn = [_sums(trials, rng.poisson(1.0, many).astype(np.float64)[trials.person]) for _ in range(draws)]
    caused, followed = _sums(trials, np.ones(len(trials.person)))
    all_caused, all_followed = (np.array(parts) for parts in zip(*drawn, strict=True))
    enough = followed > 0
    apart = np.divide(all_caused, followed, out=np.zeros_like(all_caused), where=enough)
    variance = np.where(enough, apart.var(axis=0, ddof=1), np.inf)
    wholes = all_caused.sum(axis=1) / np.maximum(all_followed.sum(axis=1), 1.0)
    low, high = np.quantile(wholes, [0.025, 0.975])
    whole = float(caused.sum() / followed.sum())

    def together(caused: Floats, followed: Floats) -> Floats:
        own = np.divide(caused, followed, out=np.zeros(len(STRATA)), where=followed > 0)
        return drawn_together(own, variance, max(float(caused.sum() / max(followed.sum(), 1.0)), 0.0))

    return CausedShare(
        together(caused, followed), whole, float(low), float(high),
        np.array([together(a, b) for a, b in zip(all_caused, all_followed, strict=True)]),
        len(np.unique(trials.campaign)), many,
    )  # fmt: skip


def drawn_together(values: Floats, variance: Floats, towards: float) -> Floats:
    """Draw noisy values towards one, the less sure the more; none lies below 0.

    Examples
    --------
    >>> drawn_together(np.array([0.0, 2.0]), np.array([0.01, 0.01]), 1.0).round(3).tolist()
    [0.005, 1.995]
    >>> drawn_together(np.array([0.9, 1.1]), np.array([1.0, 1.0]), 1.0).tolist()
    [1.0, 1.0]
    """
    known = np.isfinite(variance)
    weight = 1 / np.maximum(variance[known], _NARROWEST)
    spread = 0.0
    if known.sum() > 1:
        mean = weight @ values[known] / weight.sum()
        scatter = weight @ (values[known] - mean) ** 2 - (known.sum() - 1)
        spread = max(scatter / (weight.sum() - (weight**2).sum() / weight.sum()), 0.0)
    trust = np.where(known, spread / (spread + np.where(known, variance, 1.0)), 0.0) if spread > 0 else 0.0
    return np.asarray(np.maximum(trust * values + (1 - trust) * towards, 0.0))


def _adjusted(bought: Floats, before: Floats, treated: NDArray[np.bool_]) -> Floats:
    """Take off what was known before, with slopes common to both arms (Deng et al., WSDM 2013)."""
    if not before.shape[1]:
        return bought
    centred, flat = before.copy(), bought.copy()
    for arm in (treated, ~treated):
        centred[arm] -= centred[arm].mean(axis=0)
        flat[arm] -= flat[arm].mean()
    return np.asarray(bought - (before - before.mean(axis=0)) @ np.linalg.lstsq(centred, flat, rcond=1e-9)[0])


def _sums(trials: Trials, weight: Floats) -> tuple[Floats, Floats]:
    """Return what was caused and what followed, by stratum."""
    cell = trials.campaign * len(STRATA) + trials.stratum
    size = (int(trials.campaign.max()) + 1) * len(STRATA)
    n1, n0, y1, y0 = (
        np.bincount(cell[arm], (weight * of)[arm], minlength=size)
        for of in (np.ones(len(cell)), trials.bought)
        for arm in (trials.treated, ~trials.treated)
    )
    both = (n1 > 0) & (n0 > 0)
    caused = np.where(both, y1 - n1 * y0 / np.where(both, n0, 1.0), 0.0)
    followed = np.bincount(cell, weight * trials.followed * both[cell], minlength=size)
    by_stratum = np.array([caused, followed]).reshape(2, -1, len(STRATA)).sum(axis=1)
    return by_stratum[0], by_stratum[1]
