from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import OverlapError, TrainingError
from training.policy.off_policy import METHODS, Logged, Method, overlap_of, value_of, weights_of
from training.policy.reward_model import expected_rewards

ACTIONS = 3


def chances(rng: np.random.Generator, rows: int, floor: float = 0.1) -> np.ndarray:
    return (1 - ACTIONS * floor) * rng.dirichlet(np.ones(ACTIONS), rows) + floor


def log_of(rng: np.random.Generator, rows: int, means: np.ndarray) -> tuple[Logged, np.ndarray]:
    """Choices at random by a logging policy, rewards of known means [rows, actions]."""
    logging = chances(rng, rows)
    action = (rng.random(rows)[:, None] > logging.cumsum(axis=1)).sum(axis=1)
    reward = (rng.random(rows) < means[np.arange(rows), action]).astype(float)
    return Logged(action, logging[np.arange(rows), action], reward, np.arange(rows) // 2), logging


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from(["ips", "snips"]))
def test_the_policy_that_delivered_is_worth_what_it_brought(seed: int, method: Method) -> None:
    rng = np.random.default_rng(seed)
    logged, logging = log_of(rng, 400, rng.random((400, ACTIONS)))
    found = value_of(logged, logging, method)
    assert found.value == pytest.approx(logged.reward.mean())
    assert found.overlap.effective == pytest.approx(400)


def test_inverse_propensities_are_unbiased_over_all_that_could_have_happened() -> None:
    logging, target = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]), np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])
    means = np.array([[0.2, 0.9, 0.4], [0.7, 0.1, 0.3]])
    total = 0.0
    for actions in itertools.product(range(3), repeat=2):
        at = np.arange(2), np.array(actions)
        logged = Logged(np.array(actions), logging[at], means[at], np.arange(2))
        total += logging[at].prod() * float((weights_of(logged, target) * logged.reward).mean())
    assert total == pytest.approx((target * means).sum(axis=1).mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100_000), st.floats(-3, 3), st.floats(0.1, 5))
def test_value_moves_with_the_unit_of_the_reward(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logged, _ = log_of(rng, 500, rng.random((500, ACTIONS)))
    target, expected = chances(rng, 500), rng.random((500, ACTIONS))
    moved = Logged(logged.action, logged.propensity, scale * logged.reward + shift, logged.person)
    for method in ("snips", "dr"):
        before = value_of(logged, target, method, expected=expected)
        after = value_of(moved, target, method, expected=scale * expected + shift)
        assert after.value == pytest.approx(scale * before.value + shift)
        assert after.high - after.low == pytest.approx(scale * (before.high - before.low))


def test_a_model_that_is_right_leaves_nothing_to_correct() -> None:
    rng = np.random.default_rng(3)
    means = rng.random((300, ACTIONS))
    logged, _ = log_of(rng, 300, means)
    exact = Logged(logged.action, logged.propensity, means[np.arange(300), logged.action], logged.person)
    target = chances(rng, 300)
    assert value_of(exact, target, "dr", expected=means).value == pytest.approx((target * means).sum(axis=1).mean())


def test_rows_of_one_person_count_once() -> None:
    rng = np.random.default_rng(4)
    logged, _ = log_of(rng, 1000, rng.random((1000, ACTIONS)))
    target = chances(rng, 1000)
    once = value_of(logged, target, "snips")
    twice = [
        np.concatenate([column, column])
        for column in (logged.action, logged.propensity, logged.reward, logged.person)
    ]
    again = value_of(Logged(*twice), np.concatenate([target, target]), "snips")
    assert (again.value, again.low) == pytest.approx((once.value, once.low))


@pytest.mark.parametrize("method", METHODS)
def test_intervals_hold_the_truth_as_often_as_they_say(method: Method) -> None:
    held = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        means = np.tile([0.1, 0.3, 0.5], (600, 1))
        logged, _ = log_of(rng, 600, means)
        target = chances(rng, 600)
        truth = float((target * means).sum(axis=1).mean())
        found = value_of(logged, target, method, expected=means + 0.1)
        held.append(found.low <= truth <= found.high)
    assert 0.88 <= np.mean(held) <= 1


def test_too_little_overlap_is_refused_and_says_why() -> None:
    rng = np.random.default_rng(5)
    logged, _ = log_of(rng, 90, rng.random((90, ACTIONS)))
    with pytest.raises(OverlapError, match=r"worth \d+ rows, 50 are needed.*explore more"):
        value_of(logged, np.tile([1.0, 0, 0], (90, 1)), "snips")
    # What the log never showed cannot be valued, however many rows there are.
    action = rng.integers(0, 2, 2000)
    never = Logged(action, np.full(2000, 0.5), np.ones(2000), np.arange(2000))
    with pytest.raises(OverlapError, match="about 50% of what the target shows was never shown"):
        value_of(never, np.tile([0.25, 0.25, 0.5], (2000, 1)), "ips")
    one = Logged(action, np.full(2000, 0.5), np.ones(2000), np.minimum(np.arange(2000), 100))
    with pytest.raises(OverlapError, match="one person bears"):
        value_of(one, np.tile([0.5, 0.5], (2000, 1)), "ips")
    nothing = np.tile([0.0, 0.0, 1.0], (2000, 1))
    assert overlap_of(never, weights_of(never, nothing)).effective == 0


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (([0], [0.0], [1.0], [0]), "a propensity is none: 0.0; valid: above 0, up to 1"),
        (([0], [0.5], [np.nan], [0]), "a reward is not finite"),
        (([0], [0.5, 0.5], [1.0], [0]), "columns of one length"),
        (([], [], [], []), "with rows in them"),
    ],
)
def test_choices_that_are_none_are_refused(columns: tuple[list[float], ...], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        Logged(np.array(columns[0], np.int64), *(np.array(c, float) for c in columns[1:3]), np.array(columns[3]))


def test_targets_that_are_none_are_refused() -> None:
    logged, _ = log_of(np.random.default_rng(1), 120, np.full((120, ACTIONS), 0.5))
    with pytest.raises(TrainingError, match=r"add up to 1: 1\.5"):
        value_of(logged, np.full((120, ACTIONS), 0.5))
    with pytest.raises(TrainingError, match="probability of every action"):
        value_of(logged, np.full((120, 1), 1.0))
    with pytest.raises(TrainingError, match="expected reward of every action"):
        value_of(logged, np.full((120, ACTIONS), 1 / 3), "dr")
    with pytest.raises(TrainingError, match="unknown way to value a policy: 'dm'; valid: ips, snips, dr"):
        value_of(logged, np.full((120, ACTIONS), 1 / 3), "dm")  # type: ignore[arg-type]


def test_expectations_come_from_other_persons_and_help() -> None:
    rng = np.random.default_rng(8)
    context = rng.random((6000, 2)).astype(np.float32)
    means = np.stack([0.1 + 0.5 * context[:, 0], 0.6 - 0.5 * context[:, 0], np.full(6000, 0.2)], axis=1)
    logged, _ = log_of(rng, 6000, means)
    expected = expected_rewards(logged, context, ACTIONS)
    assert np.abs(expected - means).mean() < 0.06
    # A person's own rewards have no part in what is expected of them.
    own = logged.person == logged.person[0]
    turned = Logged(
        logged.action, logged.propensity, np.where(own, 1 - logged.reward, logged.reward), logged.person
    )
    assert expected_rewards(turned, context, ACTIONS)[own].tolist() == expected[own].tolist()
    target = np.eye(ACTIONS)[(context[:, 0] < 0.5).astype(int)]
    dr, snips = (value_of(logged, target, method, expected=expected) for method in ("dr", "snips"))
    assert dr.high - dr.low < snips.high - snips.low
    assert dr.low < (target * means).sum(axis=1).mean() < dr.high
    same = Logged(logged.action, logged.propensity, np.ones(6000), logged.person)
    assert expected_rewards(same, context, ACTIONS).tolist() == np.ones((6000, ACTIONS)).tolist()


def test_a_gain_over_what_was_logged_is_told_more_exactly_than_either() -> None:
    rng = np.random.default_rng(9)
    means = np.tile([0.1, 0.3, 0.5], (1200, 1)) * rng.random((1200, 1))
    logged, logging = log_of(rng, 1200, means)
    same = value_of(logged, logging, "snips")
    assert (same.gain, same.gain_low, same.gain_high) == pytest.approx((0, 0, 0), abs=1e-9)
    found = value_of(logged, 0.7 * logging + 0.3 * np.eye(ACTIONS)[2], "snips")
    assert found.gain == pytest.approx(found.value - logged.reward.mean())
    assert found.gain_high - found.gain_low < found.high - found.low


def test_clipped_weights_are_cut_and_said_to_be() -> None:
    rng = np.random.default_rng(10)
    logged, _ = log_of(rng, 1000, rng.random((1000, ACTIONS)))
    target = chances(rng, 1000, 0.01)
    whole, cut = value_of(logged, target, "ips"), value_of(logged, target, "ips", clip=1.5)
    weights = weights_of(logged, target)
    assert cut.value == pytest.approx((np.minimum(weights, 1.5) * logged.reward).mean())
    assert cut.clipped == pytest.approx(1 - np.minimum(weights, 1.5).sum() / weights.sum())
    assert whole.clipped == 0
    assert cut.overlap.effective > whole.overlap.effective
    # What was never shown is missing, however weights are cut.
    assert cut.overlap.mean_weight == whole.overlap.mean_weight
    with pytest.raises(TrainingError, match="number above 0: 0"):
        value_of(logged, target, "ips", clip=0)


@pytest.mark.parametrize("method", METHODS)
def test_rewards_of_one_person_are_refused(method: Method) -> None:
    logged, logging = log_of(np.random.default_rng(11), 2000, np.zeros((2000, ACTIONS)))
    expected = np.full((2000, ACTIONS), 0.01)
    for bought in (0, 1):
        reward = (np.arange(2000) < 2 * bought).astype(float)
        few = Logged(logged.action, logged.propensity, reward, logged.person)
        with pytest.raises(OverlapError, match=rf"rewards of about {bought} persons decide, 2 are needed"):
            value_of(few, logging, method, expected=expected)


def test_few_buyers_give_a_wider_interval_than_the_normal_one() -> None:
    rng = np.random.default_rng(12)
    logged, logging = log_of(rng, 4000, np.zeros((4000, ACTIONS)))
    reward = np.zeros(4000)
    reward[rng.choice(2000, 8, replace=False) * 2] = 1
    found = value_of(Logged(logged.action, logged.propensity, reward, logged.person), logging, "snips")
    # Eight of 2,000 persons: Student's t with about eight degrees of freedom, not 1,999.
    error = np.sqrt(8 / 2000 * (1 - 8 / 2000) / 1999) / 2
    assert (found.high - found.low) / 2 / error == pytest.approx(2.306, abs=0.03)
