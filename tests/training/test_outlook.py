from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.tags.outlook import BASIS, Basis, Moments, Outlook

NAMES = ("purchase_days_30d", "purchase_decayed90_all@tag", "purchase_recency_all@tag", "something_else")
NAN = float("nan")


def moments(terms: np.ndarray, truth: np.ndarray) -> Moments:
    """Sums over people, one tag at a time: terms [people, tags, size], truth [people, tags]."""
    tags = range(truth.shape[1])
    return Moments(
        np.stack([terms[:, t].T @ terms[:, t] for t in tags]),
        np.stack([terms[:, t].T @ truth[:, t] for t in tags]),
    )


def test_terms_are_on_scales_that_add_up() -> None:
    basis = Basis(NAMES)
    pairs = np.array([[3, 65_536, 30 * 86_400, 9], [0, NAN, NAN, 9]], np.float32)
    terms = basis.terms(pairs)
    two, four, fade = np.log(2), np.log(4), np.exp(-1)
    # decayed count 1, recency of 30 days, 3 days with purchases, their product, and the constant
    np.testing.assert_allclose(terms[0], [two, fade, four, two * four, 1], rtol=1e-12)
    np.testing.assert_array_equal(terms[1], [0, 0, 0, 0, 1])
    assert basis.size == terms.shape[1]


def test_features_that_a_log_does_not_have_are_left_out() -> None:
    assert Basis(("purchase_days_30d",)).size == 2
    assert Basis([name for name, _ in BASIS]).size == len(BASIS) + 2


def test_moments_of_some_terms_are_those_of_a_basis_without_the_others() -> None:
    rng = np.random.default_rng(4)
    pairs = rng.uniform(1, 9, (30, len(NAMES))).astype(np.float32)
    truth = (rng.random((30, 1)) < 0.4).astype(float)
    whole = Basis(NAMES)
    told = moments(whole.terms(pairs)[:, None], truth)
    for left_out in ("purchase_recency_all@tag", "purchase_days_30d"):
        part = Basis(NAMES, [left_out])
        expected = moments(part.terms(pairs)[:, None], truth)
        found = told.of_terms(part.within(whole))
        np.testing.assert_array_equal(found.squares, expected.squares)
        np.testing.assert_array_equal(found.outcomes, expected.outcomes)
    assert whole.size - Basis(NAMES, ["purchase_recency_all@tag"]).size == 1
    assert whole.size - Basis(NAMES, ["purchase_days_30d"]).size == 2, "the product goes with its factor"


def test_a_tag_without_outcomes_of_its_own_gets_the_shared_effects() -> None:
    rng = np.random.default_rng(0)
    terms = np.concatenate([rng.normal(size=(4_000, 1, 2)), np.ones((4_000, 1, 1))], axis=2)
    truth = terms[:, :, 0] > 0.3
    outlook = Outlook.fit([moments(terms, truth)]).with_tags(1)
    np.testing.assert_array_equal(outlook.own[1], outlook.shared)
    np.testing.assert_array_equal(outlook.of_tags([1]).own, outlook.shared[None])
    assert outlook.shared[0] == pytest.approx(outlook.own[0, 0], rel=0.05)


def test_rare_tags_are_drawn_to_the_shared_effects_and_common_ones_follow_their_own() -> None:
    rng = np.random.default_rng(1)
    people = 5_000
    terms = np.stack([np.stack([rng.normal(size=people), np.ones(people)], axis=1) for _ in range(3)], axis=1)
    truth = np.stack([terms[:, 0, 0] > 0, terms[:, 1, 0] > 0, terms[:, 2, 0] < 0], axis=1).astype(float)
    all_of_them = Outlook.fit([moments(terms, truth)])
    few = terms.copy()
    few[40:, 2] = 0  # of the last tag, forty people are known
    of_few = Outlook.fit([moments(few, truth)])
    assert all_of_them.own[2, 0] < -0.3
    assert of_few.own[2, 0] > 0
    assert of_few.own[0, 0] > 0.3


@given(seed=st.integers(0, 2**32 - 1), people=st.integers(3, 60), split=st.integers(1, 59))
def test_effects_solve_the_penalised_least_squares_whatever_the_windows(seed: int, people: int, split: int) -> None:
    rng = np.random.default_rng(seed)
    terms, truth = rng.normal(size=(people, 2, 3)), (rng.random((people, 2)) < 0.4).astype(float)
    cut = min(split, people - 1)
    outlook = Outlook.fit([moments(terms[:cut], truth[:cut]), moments(terms[cut:], truth[cut:])])
    # the oracle: rows of the prior are appended to the data and plain least squares is solved
    flat, answers = terms.reshape(-1, 3), truth.ravel()
    rows = np.concatenate([flat, np.sqrt(50) * np.eye(3)])
    shared = np.linalg.lstsq(rows, np.concatenate([answers, np.zeros(3)]), rcond=None)[0]
    np.testing.assert_allclose(outlook.shared, shared, atol=1e-9)
    for tag in range(2):
        rows = np.concatenate([terms[:, tag], 10 * np.eye(3)])
        own = np.linalg.lstsq(rows, np.concatenate([truth[:, tag], 10 * shared]), rcond=None)[0]
        np.testing.assert_allclose(outlook.own[tag], own, atol=1e-9)


def test_nothing_is_expected_before_a_window_was_over() -> None:
    expected = Outlook.unknown(2, 3).expect(np.ones((2, 3)), np.array([0, 1]))
    assert np.isnan(expected).all()
    assert expected.dtype == np.float32
