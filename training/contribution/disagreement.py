"""Caused beside credited: the best effect that the data can carry, and whether the credit lies outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from features.errors import OverlapError
from training.contribution.doubly_robust import doubly_robust_effect
from training.contribution.holdout import Effect, holdout_effect
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
        ``hold_out`` where people were kept from the campaign, else ``doubly_robust``, else ``refused``.
    reason
        Of the refusal; empty otherwise.
    overlap
        Of the doubly robust estimate.
    """

    effect: Effect | None
    method: Method
    reason: str = ""
    overlap: Overlap | None = None


def incremental(outcomes: CampaignOutcomes, measure: str = "revenue", *, level: float = 0.95) -> Incremental:
    """Estimate what a campaign caused: from its hold-out where it has one, else doubly robust.

    Parameters
    ----------
    outcomes
        Of the campaign.
    measure
        One of `training.contribution.outcomes.MEASURES`.
    level
        Of the interval.
    """
    held = bool((outcomes.arm == 0).any())
    try:
        if held:
            return Incremental(holdout_effect(outcomes, measure, level=level), "hold_out")
        effect, overlap = doubly_robust_effect(outcomes, measure, level=level)
    except OverlapError as refusal:
        return Incremental(None, "refused", str(refusal))
    return Incremental(effect, "doubly_robust", overlap=overlap)


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
