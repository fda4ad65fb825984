"""What is asked of a delivery plan, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.policy.plan import Plan, make_plan
from training.policy.plan_caused import CausedShare
from training.policy.plan_people import Expected, Reachable, market_of
from training.policy.plan_repeats import Repeats
from training.policy.plan_segments import FEWEST_PEOPLE, Segment, segments_of
from training.quality.metrics import Floats


@dataclass(frozen=True)
class PlanQuestion:
    """What is to be planned.

    Parameters
    ----------
    campaign
        Its id.
    budget
        In whole units of the log's currency.
    days
        How long it may be spent.
    as_of
        Only what was known as of an instant counts.
    cap
        Most impressions of a note per person.
    explore
        Share of the budget that buys slots of all audiences and notes alike.
    most_of_slots
        Share of anybody's ad slots that the campaign may take.
    tags
        Tags at most.
    most
        People who are looked at, by lot where there are more.
    seed
        Of lots and draws.
    """

    campaign: str
    budget: float
    days: int = 14
    as_of: str = "now"
    cap: int = 4
    explore: float = 0.1
    most_of_slots: float = 0.5
    tags: int = 8
    most: int = 20_000
    seed: int = 7


@dataclass(frozen=True)
class Learned:
    """What the log taught.

    Parameters
    ----------
    share
        What is caused of the purchases that follow.
    repeats
        How response falls and hides rise.
    cost
        Of an impression, in whole units of the currency [platforms].
    """

    share: CausedShare
    repeats: Repeats
    cost: Floats


@dataclass(frozen=True)
class DeliveryPlan:
    """The plan, and what it was made of.

    Parameters
    ----------
    question
        What was asked.
    brand, currency, at
        Of the campaign, of the log, and the instant.
    segments, notes, platforms
        Audiences, ids of notes and platforms, in the order of the plan's axes.
    plan, expected
        How to spend, and what comes of it.
    learned, sought
        What the log taught; the step that people are told apart by.
    models
        Versions of tag and conversion models.
    curve
        Budget, expected of the plan, and of broad delivery.
    """

    question: PlanQuestion
    brand: str
    currency: str
    at: int
    segments: list[Segment]
    notes: tuple[str, ...]
    platforms: tuple[str, ...]
    plan: Plan
    expected: Expected
    learned: Learned
    sought: str
    models: tuple[str, str]
    curve: list[tuple[float, float, float]]


def plan_of(
    people: Reachable, tags: tuple[str, ...], learned: Learned, question: PlanQuestion
) -> tuple[list[Segment], Plan]:
    """Split people into audiences and spend the budget on them."""
    share, repeats, cost = learned.share, learned.repeats, learned.cost
    # Where hold-outs show no effect at all, money is still spent best on those who are likeliest to buy.
    shares = share.shares if share.shares.any() else np.ones_like(share.shares)
    # So that most audiences have enough people on each platform.
    fewest = FEWEST_PEOPLE * len(cost)
    segments = segments_of(people.member, tags, people.worth(shares), most=question.tags, fewest=fewest)
    market = market_of(
        people, segments, shares, repeats, cost, cap=question.cap, most_of_slots=question.most_of_slots
    )
    return segments, make_plan(market, question.budget, explore=question.explore)
