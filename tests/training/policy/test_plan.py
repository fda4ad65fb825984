from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import OverlapError, TrainingError
from training.policy.plan import broad_value, make_plan
from training.policy.plan_market import CHANCES, Market, bought

PIECES = len(CHANCES)


def market(seed: int = 0, *, audiences: int = 2, notes: int = 2, platforms: int = 1, people: int = 400) -> Market:
    """Audiences of so many people with ten slots each, whose response falls by half with every repeat."""
    rng = np.random.default_rng(seed)
    impressions, worth, hidden, reached = bought(np.full(1, 10.0), np.array([1.0, 0.5]), np.array([0.8, 1.6]))
    room = np.diff(impressions, prepend=0.0)
    shape = (audiences, platforms, PIECES)
    hides = rng.uniform(0.001, 0.004, (audiences, 1, 1)) * np.diff(hidden, prepend=0.0) / room
    return Market(
        value=rng.uniform(0.001, 0.01, (audiences, notes, platforms)),
        room=np.broadcast_to(people * room, shape).copy(),
        response=np.broadcast_to(np.diff(worth, prepend=0.0) / room, shape).copy(),
        hides=np.broadcast_to(hides, shape).copy(),
        reached=np.broadcast_to(people * reached, shape).copy(),
        usual_hides=0.003,
        cost=rng.uniform(0.02, 0.05, platforms),
        slots=np.full((audiences, platforms), people * 10.0),
        most_of_slots=0.5,
        cap=2,
    )


@given(seed=st.integers(0, 500), budget=st.floats(20, 400), explore=st.sampled_from([0.0, 0.1, 0.4]))
@settings(max_examples=20, deadline=None)
def test_a_plan_keeps_to_its_rules(seed: int, budget: float, explore: float) -> None:
    there = market(seed, audiences=3, notes=2, platforms=2)
    plan = make_plan(there, budget, explore=explore)
    assert plan.cost <= budget + 1e-6
    assert plan.total.sum(axis=(0, 1)) @ there.cost == pytest.approx(plan.cost)
    assert (plan.total.sum(axis=1) <= there.slots * there.most_of_slots + 1e-6).all()
    assert (plan.total >= plan.explored - 1e-9).all()
    bought_on_purpose = plan.total - plan.explored
    reaches = plan.total >= np.floor(there.least(50)[:, None])
    assert (reaches | (bought_on_purpose < 1)).all()
    over = there.hidden(plan.total) - there.hidden(plan.explored)
    assert over <= there.usual_hides * bought_on_purpose.sum() + 1e-2
    assert plan.value <= plan.bound + 1e-9
    assert -1e-9 <= plan.gap < 0.25
    assert (plan.share >= 0).all() and (plan.share <= 1 + 1e-9).all()  # noqa: PT018


def test_it_is_the_best_of_all_that_a_search_finds() -> None:
    there = market(3)
    budget = 60.0
    plan = make_plan(there, budget, explore=0.0, fewest=0)
    step = budget / 12 / float(there.cost[0])
    best = 0.0
    for shares in itertools.product(range(13), repeat=4):
        if sum(shares) > 12:
            continue
        total = np.array(shares, float).reshape(2, 2, 1) * step
        if (total > there.room.sum(axis=-1)[:, None]).any() or (total.sum(axis=1) > there.slots * 0.5).any():
            continue
        if there.hidden(total) > there.usual_hides * total.sum() + 1e-9:
            continue
        best = max(best, float((there.worth(total) * there.value).sum()))
    assert best > 0
    assert best <= plan.bound
    assert best <= plan.value * 1.005
    assert plan.gap < 0.01


def test_money_goes_to_the_better_audience_and_note_first() -> None:
    there = replace(market(), value=np.array([[[0.01], [0.002]], [[0.001], [0.001]]]), usual_hides=1.0)
    plan = make_plan(there, 10.0, explore=0.0)
    assert plan.total[0, 0, 0] > 0
    assert plan.total.sum() == plan.total[0, 0, 0]
    # The price of money is what the last impression brings per cost.
    assert plan.money_price <= 0.01 / there.cost[0]
    assert plan.bid_factor[0, 0, 0] > plan.bid_factor[1, 0, 0] == 1
    assert plan.value > 2 * broad_value(there, plan.cost)


def test_who_hides_much_is_shown_less_than_is_paid_for() -> None:
    """Tolerance, not money, is what ends the plan where all would hide more than they did."""
    there = market()
    hides = there.hides / there.hides[:, :, :1]
    hides = hides * np.array([0.004, 0.002])[:, None, None]
    there = replace(there, hides=hides, value=np.array([[[0.01]] * 2, [[0.001]] * 2]), usual_hides=0.003)
    plan = make_plan(there, 1_000.0, explore=0.0)
    assert plan.hides <= 0.003 * plan.total.sum() + 1e-6
    assert plan.tolerance_price > 0
    assert plan.total[1].sum() > 0
    free = make_plan(replace(there, usual_hides=1.0), 1_000.0, explore=0.0)
    assert free.tolerance_price == 0
    assert free.value > plan.value


def test_a_share_brings_the_impressions_that_the_plan_counts_on() -> None:
    """Slots are filled by chance up to the cap: a simulation counts what the share brings."""
    there = market(5, audiences=1, notes=1)
    plan = make_plan(there, 15.0, explore=0.0)
    share = float(plan.share[0, 0, 0])
    rng = np.random.default_rng(1)
    slots = rng.poisson(10.0, (300, 400))
    shown = np.minimum(rng.binomial(slots, share), there.cap).sum(axis=1).mean()
    assert shown == pytest.approx(plan.total[0, 0, 0], rel=0.03)


def test_small_buys_are_left_out_and_the_next_best_is_made() -> None:
    there = market(1, audiences=2, notes=1)
    there = replace(there, value=np.array([[[0.02]], [[0.01]]]), usual_hides=1.0)
    reached = there.reached.copy()
    reached[0] *= 49 / reached[0, 0, -1]
    plan = make_plan(replace(there, reached=reached), 30.0, explore=0.0)
    assert plan.total[0].sum() == 0
    assert plan.total[1].sum() > 500
    assert plan.gap > 0.3


def test_what_cannot_be_planned_is_refused() -> None:
    there = market()
    with pytest.raises(TrainingError, match="does not pay for one impression each of 50 people"):
        make_plan(there, 0.5)
    with pytest.raises(TrainingError, match="share of exploration"):
        make_plan(there, 50.0, explore=1.0)
    with pytest.raises(OverlapError, match="no ad slot"):
        make_plan(replace(there, slots=np.zeros((2, 1))), 50.0)
