"""Hold-outs: the right number, intervals that hold the truth as often as they say, refusals, disagreement."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import OverlapError
from features.paths.conversions import read_conversions
from features.paths.paths import Windows, paths_of
from features.paths.touches import read_touches
from tests.training.contribution.small_experiments import arms_of, at, events_of
from training.contribution.credit import credit_by
from training.contribution.credit import credits as credited_by
from training.contribution.disagreement import disagreement, incremental
from training.contribution.holdout import Effect, difference_effect, holdout_effect
from training.contribution.outcomes import CampaignOutcomes, campaign_outcomes


def experiment(rng: np.random.Generator, effect: float, people: int = 3_000) -> tuple[Any, Any, Any, int]:
    """Rare purchases at skewed prices; who bought before buys more; caused ones come on top."""
    habit = rng.gamma(0.5, 0.2, people)
    before = rng.poisson(habit * 4).astype(np.float64)[:, None]
    treated = rng.random(people) >= 0.1

    def paid(counts: Any) -> Any:
        return np.round(100 * counts * np.exp(0.6 * rng.normal(size=people))).astype(np.int64)

    caused = paid(rng.poisson(effect, people)) * treated
    return paid(rng.poisson(habit)) + caused, treated, before, int(caused.sum())


def test_the_adjusted_difference_is_that_of_a_regression_on_arm_and_covariates() -> None:
    rng = np.random.default_rng(1)
    outcome, treated, before, _ = experiment(rng, 0.05)
    found = difference_effect(outcome, treated, before)
    design = np.column_stack([np.ones(3_000), treated, before])
    assert found.total == pytest.approx(np.linalg.lstsq(design, outcome, rcond=None)[0][1] * treated.sum())
    plain = difference_effect(outcome, treated)
    assert plain.per_person == pytest.approx(outcome[treated].mean() - outcome[~treated].mean())
    assert plain.variance_kept == 1
    assert found.variance_kept < 0.98
    assert found.high - found.low < plain.high - plain.low


@pytest.mark.parametrize("effect", [0.0, 0.03])
def test_intervals_hold_what_was_caused_as_often_as_they_say(effect: float) -> None:
    rng = np.random.default_rng(5)
    held, errors, rejected = [], [], []
    for _ in range(400):
        outcome, treated, before, caused = experiment(rng, effect)
        found = difference_effect(outcome, treated, before)
        held.append(found.low <= caused <= found.high)
        rejected.append(found.p_value < 0.05)
        errors.append(found.total - caused)
    assert 0.92 <= np.mean(held) <= 0.98
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 20
    if effect == 0:
        assert 0.02 <= np.mean(rejected) <= 0.09


def test_intervals_of_a_handful_of_purchases_hold_their_estimate_and_the_truth() -> None:
    rng = np.random.default_rng(8)
    treated, held = np.arange(1_000) < 900, []
    for _ in range(300):
        anyway = (rng.random(1_000) < 0.002) * rng.lognormal(9, 0.7, 1_000)
        caused = (rng.random(1_000) < 0.02) * rng.lognormal(9, 0.7, 1_000) * treated
        found = difference_effect(anyway + caused, treated, rng.normal(size=(1_000, 9)))
        assert found.low <= found.total <= found.high
        held.append(found.low <= caused.sum() <= found.high)
    assert np.mean(held) >= 0.92


def test_columns_that_follow_from_others_change_nothing() -> None:
    outcome, treated, before, _ = experiment(np.random.default_rng(1), 0.05)
    twice = np.column_stack([before, before, np.ones(len(before))])
    alone, doubled = (difference_effect(outcome, treated, columns) for columns in (before, twice))
    assert [doubled.total, doubled.low, doubled.high] == pytest.approx([alone.total, alone.low, alone.high])


def test_nothing_bought_is_nothing_caused() -> None:
    treated = np.arange(200) % 2 == 0
    assert difference_effect(np.zeros(200), treated, np.zeros((200, 1))) == Effect(
        0.0, 0.0, 0.0, 0.0, 1.0, 100, 100, 1.0
    )


SHOWN = {"kind": "impression", "propensity": 0.2}


def collected(events: list[dict[str, Any]], arms: dict[str, str]) -> CampaignOutcomes:
    campaigns = pa.table({"campaign": ["c"], "brand": ["b"], "starts_at": [at(10)], "ends_at": [at(20) - 1]})
    return campaign_outcomes(events_of(events), None, arms_of(arms), campaigns, window_days=30, known_at=at(90))[
        "c"
    ]


def people_of(treated: int, held: int) -> dict[str, str]:
    return {f"t{n}": "treated" for n in range(treated)} | {f"h{n}": "hold_out" for n in range(held)}


def impression(account: str, t: float = 11, *, withheld: bool = False) -> dict[str, Any]:
    if withheld:
        return SHOWN | {"account": account, "t": t, "note": "house", "policy": "hold_out:c"}
    return SHOWN | {"account": account, "t": t, "note": "n", "campaign": "c", "brand": "b", "policy": "broad"}


def test_a_note_that_only_prepares_sales_is_seen_by_the_hold_out_and_not_by_last_touch() -> None:
    arms = people_of(300, 100)
    events = [impression(account, withheld=arm == "hold_out") for account, arm in arms.items()]
    # A tenth buys anyway; another fifth of the treated comes back two weeks later, through no link.
    buyers = [f"t{n}" for n in range(90)] + [f"h{n}" for n in range(10)]
    events += [
        {"kind": "purchase", "account": who, "t": 25, "amount": 1000, "brand": "b", "order": who} for who in buyers
    ]
    outcomes = collected(events, arms)
    effect = holdout_effect(outcomes)
    assert effect.total == pytest.approx(60_000)
    assert effect.low > 0
    assert effect.p_value < 0.001
    assert (effect.people_treated, effect.people_held) == (300, 100)

    stretch = {"start": at(0), "end": at(60), "known_at": at(90)}
    table = events_of(events)
    notes = pa.table({"note": ["n", "house"], "brand": ["b", None], "campaign": ["c", None], "paid": [True, True]})
    paths = paths_of(
        read_touches(table, notes, **stretch), read_conversions(table, **stretch), **stretch, windows=Windows(30, 1)
    )
    credit = credit_by(paths, credited_by(paths, paths.values, "last"), "campaign").get("c", 0)
    assert credit == 0
    assert disagreement(credit, effect) == "under"
    assert incremental(outcomes).method == "hold_out"


def test_what_was_bought_before_the_first_impression_is_no_noise() -> None:
    arms = people_of(400, 200)
    events = [impression(account, 15, withheld=arm == "hold_out") for account, arm in arms.items()]
    rng = np.random.default_rng(3)
    events += [
        {"kind": "purchase", "account": account, "t": 11, "amount": int(rng.integers(1, 10_000)), "brand": "b"}
        for account in arms
    ]
    events += [{"kind": "purchase", "account": "t1", "t": 16, "amount": 50, "brand": "b"}]
    found = holdout_effect(collected(events, arms))
    assert found.total == pytest.approx(50, rel=0.05)
    assert found.variance_kept < 0.01


def test_everybody_is_compared_where_withheld_impressions_are_not_logged() -> None:
    arms = people_of(100, 50)
    events = [impression(account) for account, arm in arms.items() if arm == "treated"]
    events += [{"kind": "store_visit", "account": account, "t": 12, "brand": "b"} for account in arms]
    events += [{"kind": "purchase", "account": "h1", "t": 12, "amount": 50, "brand": "b"}]
    outcomes = collected(events, arms)
    assert not outcomes.logged
    assert holdout_effect(outcomes).total == pytest.approx(-100)


def test_refusals_say_what_is_wrong() -> None:
    few = people_of(100, 29)
    with pytest.raises(OverlapError, match="an arm of c has too few people: 29; valid: 30 or more"):
        holdout_effect(collected([impression(account) for account in few], few))
    everybody = dict.fromkeys(few, "hold_out")
    with pytest.raises(OverlapError, match="too few people: 0; valid: 30 or more; keep a smaller share"):
        holdout_effect(collected([impression(account) for account in few], everybody))
    arms = people_of(400, 400)
    half = [impression(a, withheld=arm == "hold_out") for a, arm in arms.items() if arm == "treated" or a < "h2"]
    seen = [{"kind": "click", "account": account, "t": 5} for account in arms]
    with pytest.raises(OverlapError, match="were not reached alike"):
        holdout_effect(collected(half + seen, arms))
    found = incremental(collected(half + seen, arms))
    assert (found.effect, found.method) == (None, "refused")
    assert "not reached alike" in found.reason
    withheld = [impression(account, withheld=True) for account, arm in arms.items() if arm == "hold_out"]
    with pytest.raises(OverlapError, match="nobody in an arm of c was reached"):
        holdout_effect(collected(withheld + seen, arms))
