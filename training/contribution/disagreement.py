"""Caused beside credited: the best effect that the data can carry, and whether the credit lies outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.errors import OverlapError
from training.contribution.doubly_robust import doubly_robust_effect
from training.contribution.holdout import FEWEST, Effect, holdout_effect
from training.contribution.outcomes import CampaignOutcomes
from training.contribution.overlap import Overlap

Method = Literal["hold_out", "doubly_robust", "refused"]


@dataclass(frozen=True)
class Incremental:
    """What a campaign caused, how that was estimated, or why it was not.

    Parameters
    ----------
    effect
        None where it was refused.
    method
        ``hold_out`` where enough people were kept from the campaign, else ``doubly_robust``, else ``refused``.
    reason
        Of the refusal; empty otherwise.
    fallback
        Why its hold-out was not used; empty where it was, or where there is none.
    overlap
        Of the doubly robust estimate.
    """

    effect: Effect | None
    method: Method
    reason: str = ""
    fallback: str = ""
    overlap: Overlap | None = None


def incremental(outcomes: CampaignOutcomes, measure: str = "revenue", *, level: float = 0.95) -> Incremental:
    """Estimate what a campaign caused: from its hold-out where it has one that is large enough, else doubly robust.

    Parameters
    ----------
    outcomes
        Of the campaign.
    measure
        One of `training.contribution.outcomes.MEASURES`.
    level
        Of the interval.
    """
    held, treated = (int((outcomes.arm == arm).sum()) for arm in (0, 1))
    fallback = ""
    if held and min(held, treated) < FEWEST:
        fallback = f"{held} people held out of {held + treated} are no hold-out: each arm needs {FEWEST}"
    try:
        if held and not fallback:
            return Incremental(holdout_effect(outcomes, measure, level=level), "hold_out")
        effect, overlap = doubly_robust_effect(outcomes, measure, level=level)
    except OverlapError as refusal:
        return Incremental(None, "refused", "; ".join(filter(None, (fallback, str(refusal)))), fallback)
    return Incremental(effect, "doubly_robust", fallback=fallback, overlap=overlap)


def disagreement(attributed: float, effect: Effect) -> Literal["over", "under", ""]:
    """Say whether a credited value is larger or smaller than what was caused, beyond noise.

    Parameters
    ----------
    attributed
        Credited by some rule, in the unit of the effect.
    effect
        What was caused, with its interval.

    Examples
    --------
    >>> effect = Effect(100.0, 60.0, 140.0, 0.1, 0.001, 1000, 100, 1.0)
    >>> [disagreement(value, effect) for value in (200, 100, 0)]
    ['over', '', 'under']
    """
    if attributed > effect.high:
        return "over"
    return "under" if attributed < effect.low else ""
