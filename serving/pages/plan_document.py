"""A delivery plan as the file that an ad server reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.policy.plan_made import DeliveryPlan


def as_dict(found: DeliveryPlan) -> dict[str, Any]:
    """Return the file that an ad server reads, and all figures; nothing in it is about fewer than 50 people."""
    question, plan, share, repeats = found.question, found.plan, found.learned.share, found.learned.repeats
    return {
        "campaign": question.campaign, "brand": found.brand, "as_of": found.at, "days": question.days,
        "budget": question.budget, "currency": found.currency, "explore": question.explore,
        "cap_per_note": question.cap, "most_of_slots": question.most_of_slots,
        "models": {"tags": found.models[0], "conversion": found.models[1], "people_differ_by": found.sought},
        "expected": vars(found.expected) | {
            "cost": plan.cost, "impressions": float(plan.total.sum()),
            "hides_per_1000": 1000 * plan.hides / max(plan.total.sum(), 1.0),
            "hides_per_1000_so_far": 1000 * plan.market.usual_hides,
        },
        "optimum": {
            "value": plan.value, "bound": plan.bound, "gap": plan.gap, "value_of_one_more_unit": plan.money_price,
            "value_of_one_more_hide": plan.tolerance_price,
        },
        "caused_per_purchase_that_follows": {
            "value": share.whole, "low": share.low, "high": share.high, "by_stratum": share.shares.tolist(),
            "campaigns": share.campaigns, "people": share.people,
        },
        "fatigue": {"response": repeats.response.tolist(), "hides": repeats.hides.tolist()},
        "lines": lines_of(found),
        "curve": [dict(zip(("budget", "plan", "broad"), point, strict=True)) for point in found.curve],
    }  # fmt: skip


def lines_of(found: DeliveryPlan) -> list[dict[str, Any]]:
    """Return what to buy, most spending first."""
    plan = found.plan
    total, share, factor = plan.total, plan.share, plan.bid_factor
    caused = plan.market.worth(total) * plan.market.value
    lines = [
        {
            "audience": found.segments[s].audience, "name": found.segments[s].name, "note": found.notes[n],
            "platform": found.platforms[f], "share": float(share[s, n, f]), "cap": plan.market.cap,
            "bid_factor": float(factor[s, n, f]), "impressions": float(total[s, n, f]),
            "explored": float(plan.explored[s, n, f]), "spend": float(total[s, n, f] * plan.market.cost[f]),
            "caused": float(caused[s, n, f]),
        }
        for s, n, f in np.argwhere(total > 0).tolist()
    ]  # fmt: skip
    return sorted(lines, key=lambda line: -line["spend"])
