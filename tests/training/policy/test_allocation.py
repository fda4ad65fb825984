from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import TrainingError
from training.policy.allocation import Offers, allocate, draw


def offers(seed: int, notes: int, campaigns: int) -> Offers:
    rng = np.random.default_rng(seed)
    campaign = np.concatenate([np.arange(campaigns), rng.integers(0, campaigns, notes - campaigns)])
    usual = rng.uniform(0.5, 2, notes)
    return Offers(campaign, rng.uniform(0.2, 3, notes), usual / usual.sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 5), st.floats(0.02, 0.9), st.floats(0.1, 2))
def test_every_campaign_spends_what_it_would_have_spent(
    seed: int, persons: int, campaigns: int, explore: float, temperature: float
) -> None:
    found = offers(seed, campaigns + 3, campaigns)
    rng = np.random.default_rng(seed + 1)
    values, weight = rng.gamma(0.5, size=(persons, campaigns + 3)), rng.integers(1, 9, persons).astype(float)
    chances = allocate(values, found, weight, explore=explore, temperature=temperature)
    assert chances.sum(axis=1) == pytest.approx(np.ones(persons))
    assert (chances >= explore * found.usual - 1e-12).all()
    spent = np.bincount(found.campaign, weights=(weight @ chances / weight.sum()) * found.cost)
    assert spent == pytest.approx(np.bincount(found.campaign, weights=found.usual * found.cost), rel=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 2))
def test_no_other_way_to_spend_the_same_is_worth_more(seed: int, temperature: float) -> None:
    found = Offers(np.array([0, 1]), np.ones(2), np.array([0.5, 0.5]))
    values = np.random.default_rng(seed).gamma(0.5, size=(6, 2))
    chances = allocate(values, found, np.ones(6), explore=0, temperature=temperature)

    def worth(p: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.nansum(p * np.log(p / found.usual))
        return float((p * values).sum() + temperature * values.mean() * entropy)

    best = worth(chances)
    for one in range(6):
        for other in range(6):
            moved = chances.copy()
            step = 0.2 * min(moved[one, 0], moved[other, 1])
            moved[one] += [-step, step]
            moved[other] += [step, -step]
            assert worth(moved) <= best + 1e-3 * values.sum()


def test_value_that_is_nowhere_changes_nothing() -> None:
    found = offers(1, 4, 2)
    assert allocate(np.zeros((3, 4)), found, np.ones(3)).tolist() == [found.usual.tolist()] * 3


def test_values_that_are_none_are_refused() -> None:
    with pytest.raises(
        TrainingError, match=r"every person and note, all of them finite: \(2, 3\); valid: \(2, 4\)"
    ):
        allocate(np.ones((2, 3)), offers(1, 4, 2), np.ones(2))
    with pytest.raises(TrainingError, match="finite"):
        allocate(np.full((1, 4), np.nan), offers(1, 4, 2), np.ones(1))


def test_draws_have_the_logged_chances_and_repeat_less_often() -> None:
    rng = np.random.default_rng(5)
    chances = np.tile([0.6, 0.3, 0.1], (4_000, 1))
    person = np.repeat(np.arange(4_000), 2)
    note, propensity = draw(chances, person, rng.uniform(size=8_000))
    first, second = note[::2], note[1::2]
    assert np.bincount(first) / 4_000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert propensity[::2].tolist() == pytest.approx(chances[0][first].tolist())
    again = (first == 0) & (second == 0)
    assert again.mean() == pytest.approx(0.6 * 0.15 / 0.55, abs=0.03)
    assert set(np.round(propensity[1::2][again], 6)) == {round(0.15 / 0.55, 6)}
    assert [found.tolist() for found in draw(chances, np.empty(0, np.int64), np.empty(0))] == [[], []]
