"""Small logs of campaigns: literal ones, and made-up ones whose caused sales are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from features.events import ASSIGNMENTS, EVENTS, IDENTITIES
from training.contribution.outcome_log import OutcomeLog
from training.contribution.outcomes import Campaign, CampaignOutcomes, outcomes_of

DAY = 86_400
BEGIN = 20_000 * DAY


def at(day: float) -> int:
    """Return a moment, counted in days from the beginning."""
    return BEGIN + round(day * DAY)


def events_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Make events: `t` is in days from the beginning; they arrive at once unless `arrives` says otherwise."""
    made = [
        {
            "event_id": f"e{n}", "source": "test", "platform": "p", "event_time": at(row["t"]), "currency": "CNY",
            "arrived_at": at(row.get("arrives", row["t"])), "day": at(row["t"]) // DAY,
            **{name: value for name, value in row.items() if name not in {"t", "arrives"}},
        }
        for n, row in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, EVENTS.schema)


def links_of(rows: list[tuple[str, str, float]], *, against: tuple[str, ...] = ()) -> pa.Table:
    """Make links of (account, person, day from which it is known)."""
    made = [
        {
            "row_id": f"l{n}", "source": "test", "platform": "p", "account": account, "person": person,
            "valid_from": at(day), "arrived_at": at(day), "consent": person not in against,
        }
        for n, (account, person, day) in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, IDENTITIES.schema)


def arms_of(arms: dict[str, str], campaign: str = "c") -> pa.Table:
    """Assign accounts to arms from the beginning on."""
    made = [
        {
            "row_id": f"{campaign}-{account}", "source": "test", "platform": "p", "account": account, "arm": arm,
            "campaign": campaign, "valid_from": at(0), "arrived_at": at(0),
        }
        for account, arm in arms.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(made, ASSIGNMENTS.schema)


@dataclass(frozen=True)
class Delivered:
    """A made-up campaign and the purchases that it really caused."""

    outcomes: CampaignOutcomes
    caused: int


def delivered(
    seed: int,
    *,
    people: int = 1_500,
    days: int = 8,
    tilt: float = 1.0,
    hidden: float = 0.0,
    effect: float = 0.05,
    chance: float = 0.1,
    sure: bool = False,
) -> Delivered:
    """Make a campaign that goes rather to the interested and the active, who buy more anyway.

    Parameters
    ----------
    tilt, hidden
        How much the chance of the campaign grows with interest that clicks before the start show, and with a liking
        that nothing shows.
    effect
        Chance that an impression causes a purchase.
    chance
        Of the campaign in a slot of one with mean interest.
    sure
        Whether the interested half gets nothing else, and the others never.
    """
    rng = np.random.default_rng(seed)
    activity = rng.gamma(1.5, 1.0, people)
    interest, liking = rng.normal(size=people), rng.normal(size=people)
    before = rng.poisson(np.exp(1.0 + 0.6 * interest))
    person, day = (part.ravel() for part in np.meshgrid(np.arange(people), np.arange(days), indexing="ij"))
    slots = rng.poisson(activity[person])
    seen = np.log1p(before) - np.log1p(before).mean()
    logit = np.log(chance / (1 - chance)) + tilt * seen + hidden * liking
    odds = 1 / (1 + np.exp(-logit))
    if sure:
        odds = (seen > 0).astype(np.float64)
    served = rng.binomial(slots, odds[person])
    caused = rng.binomial(served, effect)
    # Both interest and liking sell without any ad, and active people buy more.
    base = rng.poisson(0.02 * activity[person] * np.exp(0.5 * seen[person] + 0.5 * liking[person]))
    slot_rows, own = np.repeat(np.arange(len(person)), slots), np.zeros(int(slots.sum()), np.int64)
    first = np.cumsum(slots) - slots
    own[:] = np.arange(len(own)) - np.repeat(first, slots) < np.repeat(served, slots)
    sales = np.concatenate([np.repeat(np.arange(len(person)), base), np.repeat(np.arange(len(person)), caused)])
    log = _log(
        people,
        slots={"row": slot_rows, "own": own},
        sales=sales,
        clicks=before,
        cells=(person, day),
        recorded=odds[person][slot_rows],
    )
    campaign = Campaign("c", "b", BEGIN, BEGIN + days * DAY)
    return Delivered(outcomes_of(log, campaign, window_days=1), int(caused.sum()))


def _log(
    people: int,
    *,
    slots: dict[str, np.ndarray],
    sales: np.ndarray,
    clicks: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray],
    recorded: np.ndarray,
) -> OutcomeLog:
    person, day = cells
    first = BEGIN // DAY
    order = np.argsort(day[slots["row"]], kind="stable")
    rows = slots["row"][order]
    bought = sales[np.argsort(day[sales], kind="stable")]
    clicked = np.flatnonzero(clicks)
    none = np.full(len(clicked), 0)
    return OutcomeLog(
        people=pa.array([f"p{n}" for n in range(people)]),
        known_at=BEGIN + 100 * DAY,
        timezone="UTC",
        slots={
            "time": BEGIN + day[rows] * DAY + 100,
            "day": first + day[rows],
            "person": person[rows],
            "campaign": slots["own"][order] - 1,
            "withheld": np.full(len(rows), -1),
        },
        propensity=recorded[order],
        acts={
            "person": clicked,
            "day": np.full(len(clicked), first - 2),
            "click": none + 1,
            "brand": none - 1,
            "category": none,
            "number": clicks[clicked],
        },
        sales={
            "time": BEGIN + day[bought] * DAY + 200,
            "day": first + day[bought],
            "person": person[bought],
            "brand": np.zeros(len(bought), np.int64),
            "category": np.zeros(len(bought), np.int64),
            "what": np.zeros(len(bought), np.int64),
            "amount": np.full(len(bought), 100),
        },
        arms={},
        campaigns=("c",),
        brands=("b",),
        categories=("k",),
    )
