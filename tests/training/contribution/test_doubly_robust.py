"""Doubly robust effects: confounding taken out, intervals, and refusals where nobody can be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.errors import OverlapError
from tests.training.contribution.small_experiments import delivered
from training.contribution.deliveries import deliveries_of
from training.contribution.disagreement import incremental
from training.contribution.doubly_robust import doubly_robust_effect, fitted_chances
from training.contribution.outcomes import CampaignOutcomes
from training.contribution.overlap import overlap_of, require_overlap


def test_confounded_delivery_is_seen_through() -> None:
    """Who is reached buys more anyway: comparing with those who are not finds several times what was caused."""
    errors, naive, caused, held = [], [], [], []
    for seed in range(20):
        made = delivered(seed)
        effect, overlap = doubly_robust_effect(made.outcomes, "purchases")
        errors.append(effect.total - made.caused)
        held.append(effect.low <= made.caused <= effect.high)
        caused.append(made.caused)
        reached = made.outcomes.served > 0
        bought = made.outcomes.whole["purchases"]
        naive.append(bought[reached].sum() - reached.sum() * bought[~reached].mean() - made.caused)
        assert overlap.recorded > 0.95
        assert 0.8 < overlap.dispersion < 1.3
    noise = np.std(errors) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < 2.5 * noise
    assert noise < 0.1 * np.mean(caused)
    assert np.mean(naive) > 0.5 * np.mean(caused)
    assert sum(held) >= 17  # of 20: fewer come by chance once in seventy times


def test_a_campaign_that_changes_nothing_is_found_to_do_so() -> None:
    found = [doubly_robust_effect(delivered(seed, effect=0).outcomes, "purchases")[0] for seed in range(20)]
    assert sum(effect.low <= 0 <= effect.high for effect in found) >= 16
    assert sum(effect.p_value < 0.05 for effect in found) <= 3


def test_either_model_may_be_wrong() -> None:
    """Without what was known, neither model sees the interest; with it, the fitted chances are the true ones."""
    made = delivered(3, people=6_000)
    found = deliveries_of(made.outcomes, "purchases")
    chance = fitted_chances(found)
    blind = fitted_chances(replace(found, known=found.known[:, :0], names=(), capped=found.capped[:, :0]))
    told = found.served > 0
    assert np.abs(np.log(chance / found.recorded))[told].mean() < 0.05
    assert np.abs(np.log(blind / found.recorded))[told].mean() > 0.3


def test_people_who_were_held_out_are_not_looked_at() -> None:
    made = delivered(4).outcomes
    arm = np.where(np.arange(len(made.person)) % 3 == 0, 0, 1).astype(np.int8)
    found = deliveries_of(replace(made, arm=arm), "revenue")
    assert not (found.person % 3 == 0).any()


def held_out(made: CampaignOutcomes, people: int) -> CampaignOutcomes:
    return replace(made, arm=(np.arange(len(made.person)) >= people).astype(np.int8))


def test_a_hold_out_of_a_handful_is_none() -> None:
    made = held_out(delivered(4).outcomes, 29)
    found = incremental(made)
    assert (found.effect, found.overlap) == doubly_robust_effect(made)
    assert (found.method, found.reason) == ("doubly_robust", "")
    assert found.fallback == "29 people held out of 1500 are no hold-out: each arm needs 30"
    assert incremental(replace(made, arm=np.full(len(made.person), -1, np.int8))).fallback == ""
    short = incremental(held_out(delivered(1, people=60, days=2).outcomes, 5))
    assert (short.effect, short.method) == (None, "refused")
    assert short.reason.startswith("5 people held out of 60 are no hold-out: each arm needs 30; c has too few")


def test_rows_are_people_and_days_and_their_outcome_is_what_follows() -> None:
    made = delivered(5, people=50)
    found = deliveries_of(made.outcomes, "revenue")
    log = made.outcomes.log
    for row in range(0, len(found.person), 7):
        mine = (log.slots["person"] == found.person[row]) & (log.slots["day"] == found.day[row])
        assert found.slots[row] == mine.sum()
        assert found.served[row] == (log.slots["campaign"][mine] == 0).sum()
        later = (log.sales["person"] == found.person[row]) & (log.sales["day"] >= found.day[row])
        assert found.outcome[row] == log.sales["amount"][later].sum()
        before = log.acts["person"] == found.person[row]
        assert np.expm1(found.known[row, found.names.index("clicks_28d")]) == pytest.approx(
            log.acts["number"][before].sum()
        )


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"sure": True}, r"near certain \(chance above 0.9\)"),
        ({"hidden": 2.0}, "chosen by something that the log does not show"),
        ({"people": 30, "days": 3}, "too few impressions"),
    ],
)
def test_it_refuses_where_nobody_can_be_compared(how: dict[str, float], reason: str) -> None:
    made = delivered(6, **how)
    with pytest.raises(OverlapError, match=reason):
        doubly_robust_effect(made.outcomes)
    found = incremental(made.outcomes)
    assert (found.effect, found.method) == (None, "refused")
    assert "c has " in found.reason


def test_few_certain_impressions_count_with_the_mean_effect_of_the_others() -> None:
    made = delivered(7)
    log = made.outcomes.log
    # On the last day there was nothing but the campaign, and a tenth of the ads.
    alone = log.slots["day"] == log.slots["day"].max()
    kept = ~alone | (np.arange(len(alone)) % 10 == 0)
    slots = log.slots | {"campaign": np.where(alone, 0, log.slots["campaign"])}
    less = replace(
        log, slots={name: values[kept] for name, values in slots.items()}, propensity=log.propensity[kept]
    )
    effect, overlap = doubly_robust_effect(replace(made.outcomes, log=less), "purchases")
    others, without = doubly_robust_effect(
        replace(made.outcomes, log=replace(log, slots={n: v[~alone] for n, v in log.slots.items()},
                                           propensity=log.propensity[~alone])), "purchases"
    )  # fmt: skip
    assert overlap.certain_share == pytest.approx(1 - without.served / overlap.served)
    assert 0 < overlap.certain_share < 0.2
    assert effect.total == pytest.approx(others.total * overlap.served / without.served, rel=1e-3)


def test_overlap_figures_of_two_people() -> None:
    made = delivered(8, people=50)
    found = deliveries_of(made.outcomes, "revenue")
    two = replace(
        found,
        person=np.array([0, 1]),
        day=np.array([3, 3]),
        slots=np.array([4, 10]),
        served=np.array([2, 1]),
        recorded=np.array([np.nan, np.nan]),
        outcome=np.zeros(2),
        known=np.array([[1.0], [4.0]]),
        capped=np.ones((2, 1)),
    )
    overlap = overlap_of(two, np.array([0.5, 0.1]))
    assert overlap.served == 3
    assert overlap.effective_size == pytest.approx(3**2 / (2**2 + 1**2))  # weights 2 x 1 and 9 / 9
    assert overlap.tail_share == pytest.approx(2 / 3)
    assert overlap.certain_share == 0
    assert overlap.dispersion == pytest.approx(0)
    assert overlap.imbalance == pytest.approx(0)
    assert overlap.served_chances == (0.1, 0.1, 0.5, 0.5, 0.5)
    assert np.isnan(overlap.recorded)
    with pytest.raises(OverlapError, match="c has too few impressions: 3; valid: 100 or more"):
        require_overlap("c", overlap)
