"""What campaigns caused, compared with what they are credited with where both are of the same orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS, day_text, days_text
from training.contribution.attributed import Credit
from training.contribution.disagreement import Incremental, disagreement, incremental
from training.contribution.holdout import Effect
from training.contribution.outcomes import campaign_outcomes
from training.contribution.question import Question

NOT_OF_ONE: Final = (
    "people are held out of a campaign, not of one of its notes or creators: what these caused by themselves is "
    "not known"
)
NOT_A_SUM: Final = "effects of campaigns that run beside each other do not add up: see the campaigns"
NO_CAMPAIGN: Final = "no campaign paid for these touches, so nobody was held out of them"
NOT_RUNNING: Final = "the campaign did not run in the period"
NOT_LISTED: Final = "the campaigns table does not say when this campaign of the brand ran"


@dataclass(frozen=True)
class Caused:
    """What a row caused 增量, or why that is not known.

    Parameters
    ----------
    found
        Effect on the brand's revenue in minor units, with its method; None where nothing was estimated.
    reason
        Why there is no effect, or why it is not compared with the credit; empty where neither is so.
    disagreement
        Per rule ``over`` (credited with more than it caused, beyond noise), ``under`` or nothing.
    """

    found: Incremental | None
    reason: str
    disagreement: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        effect = self.found.effect if self.found is not None else None
        return {
            "value": round(effect.total) if effect is not None else None,
            "low": round(effect.low) if effect is not None else None,
            "high": round(effect.high) if effect is not None else None,
            "p_value": effect.p_value if effect is not None else None,
            "method": self.found.method if self.found is not None else "refused",
            "people_treated": effect.people_treated if effect is not None else None,
            "people_held": effect.people_held if effect is not None else None,
            "reason": self.reason,
            "fallback": self.found.fallback if self.found is not None else "",
        }


def without_effect(reason: str) -> Caused:
    """Return what stands where nothing was estimated."""
    return Caused(None, reason, {})


def caused_by_campaigns(
    events: Any,
    identities: Any,
    assignments: Any,
    *,
    campaigns: pa.Table,
    notes: Any,
    items: Any,
    question: Question,
    credit: Mapping[str | None, Mapping[str, Credit]],
    timezone: str,
) -> dict[str, Caused]:
    """Estimate what each campaign of the brand caused that ran in the period.

    Parameters
    ----------
    events, identities, assignments
        Canonical tables of the log.
    campaigns
        Canonical rows of the campaigns table.
    notes, items
        Canonical tables: they say what events do not.
    question
        Brand, period and windows.
    credit
        Of the campaigns in the period, by rule.
    timezone
        In which days are named.

    Returns
    -------
    dict
        By campaign. The effect is of the campaign's whole run and the post-click window after it, up to the as-of
        instant.
    """
    dated = _dated(campaigns, question.brand)
    starts, ends = (np.asarray(dated[name].to_numpy()) for name in ("starts_at", "ends_at"))
    mine = dated.filter(pa.array((starts < question.end) & (ends >= question.start)))
    result = {name: without_effect(NOT_RUNNING) for name in dated["campaign"].to_pylist()}
    if not mine.num_rows:
        return result
    outcomes = campaign_outcomes(
        events,
        identities,
        assignments,
        mine,
        window_days=question.windows.click_days,
        known_at=question.as_of,
        timezone=timezone,
        notes=notes,
        items=items,
    )
    for row in mine.to_pylist():
        name = row["campaign"]
        found = incremental(outcomes[name], "revenue")
        if found.effect is None:
            result[name] = Caused(found, found.reason, {})
            continue
        reason = _not_comparable(question, row["starts_at"], row["ends_at"], timezone)
        flags = {} if reason else _flags(credit.get(name, {}), found.effect)
        result[name] = Caused(found, reason, flags)
    return result


def _dated(campaigns: pa.Table, brand: str) -> pa.Table:
    known = campaigns.filter(pc.equal(campaigns["brand"], brand))
    return known.filter(pc.and_(known["starts_at"].is_valid(), known["ends_at"].is_valid()))


def _flags(credit: Mapping[str, Credit], effect: Effect) -> dict[str, str]:
    flags = {rule: disagreement(given.value, effect) for rule, given in credit.items()}
    return {rule: flag for rule, flag in flags.items() if flag}


def _not_comparable(question: Question, starts_at: int, ends_at: int, timezone: str) -> str:
    """Say why credit and effect are not of the same orders, or nothing."""
    if starts_at < question.start or ends_at > question.end:
        days = f"{day_text(starts_at, timezone)} to {day_text(ends_at, timezone)}"
        return f"the effect is of the whole campaign, {days}, the credit of the period alone: not compared"
    window = question.windows.click_days
    if question.by == "order_date" and ends_at + window * DAY_SECONDS > question.end:
        return (
            f"the effect reaches {days_text(window)} beyond the campaign, the orders by date end with the period: "
            "not compared"
        )
    return ""
