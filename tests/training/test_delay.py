"""The delay model finds the delays behind those that could be seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import TrainingError
from training.delay import DelayModel

DAY = 86_400


def seen(mean_days: float, n: int, oldest_days: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw conversions within 10 days of impressions of the last days, and keep what is over by now."""
    rng = np.random.default_rng(seed)
    delays = (rng.exponential(mean_days * DAY, n * 4) + 1).astype(np.int64)
    delays = delays[delays <= 10 * DAY][:n]
    ages = (rng.random(len(delays)) * oldest_days * DAY).astype(np.int64)
    shown = delays <= ages
    return delays[shown], ages[shown]


def truth(days: np.ndarray, mean_days: float) -> np.ndarray:
    return (1 - np.exp(-days / mean_days)) / (1 - np.exp(-10 / mean_days))


def test_delays_are_recovered_where_the_seen_ones_are_too_short() -> None:
    delays, ages = seen(3.0, 40_000, 14, seed=1)
    days = np.array([0.1, 0.5, 1, 2, 4, 7])
    found = DelayModel.fit(delays, ages).cdf((days * DAY).astype(np.int64))
    assert np.abs(found - truth(days, 3.0)).max() < 0.015
    naive = (delays[None, :] <= (days * DAY)[:, None]).mean(axis=1)
    assert (naive - truth(days, 3.0)).max() > 0.05


def test_groups_have_curves_of_their_own_and_small_ones_the_shared_curve() -> None:
    fast, slow, few = seen(0.5, 20_000, 14, 2), seen(5.0, 20_000, 14, 3), seen(5.0, 2, 400, 4)
    delays, ages = (np.concatenate(parts) for parts in zip(fast, slow, few, strict=True))
    groups = np.repeat(["fast", "slow", "few"], [len(fast[0]), len(slow[0]), len(few[0])])
    model = DelayModel.fit(delays, ages, groups)
    days = np.array([0.5, 1, 2, 4])
    at = (days * DAY).astype(np.int64)
    assert np.abs(model.cdf(at, "fast") - truth(days, 0.5)).max() < 0.02
    assert np.abs(model.cdf(at, "slow") - truth(days, 5.0)).max() < 0.03
    assert np.abs(model.cdf(at, "few") - model.cdf(at)).max() < 0.05
    assert (model.cdf(at, "never seen") == model.cdf(at)).all()
    assert model.cdf(np.array([DAY, DAY]), ["slow", "fast"]).tolist() == [
        float(model.cdf(DAY, "slow")),
        float(model.cdf(DAY, "fast")),
    ]


def test_old_impressions_alone_give_the_plain_distribution() -> None:
    delays = np.array([1, 2, 2, 5], np.int64) * DAY
    model = DelayModel.fit(delays, np.full(4, 100 * DAY))
    assert model.cdf(np.array([1, 2, 3, 4, 5, 9]) * DAY).tolist() == pytest.approx([0.25, 0.75, 0.75, 0.75, 1, 1])
    assert model.reach == 5 * DAY


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 500_000), st.sampled_from("ab")), min_size=1))
def test_curves_rise_from_zero_to_one(rows: list[tuple[int, int, str]]) -> None:
    delays = np.array([delay for delay, _, _ in rows])
    ages = delays + np.array([more for _, more, _ in rows])
    model = DelayModel.fit(delays, ages, [group for _, _, group in rows])
    assert model.curves.shape == (1 + len(model.groups), len(model.edges))
    assert (np.diff(model.curves, axis=1) >= 0).all()
    assert (model.curves[:, 0] == 0).all()
    assert (model.cdf(model.reach, ["a", "b", "c"]) == 1).all()


def test_what_cannot_be_is_refused() -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(TrainingError, match="needs conversions"):
        DelayModel.fit(none, none)
    with pytest.raises(TrainingError, match=r"longer than its impression is old: \(5, 4\)"):
        DelayModel.fit(np.array([5]), np.array([4]))
