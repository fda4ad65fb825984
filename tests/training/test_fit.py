"""Who is assigned: as many people as came true on the validation window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.fit import assignment_thresholds


def test_a_tag_that_came_true_for_nobody_assigns_nobody() -> None:
    probabilities = np.array([[0.2, 0.9], [0.1, 0.8], [0.4, 0.999], [0.3, 0.7]])
    thresholds = assignment_thresholds(probabilities, np.array([0.5, 0.0]))
    assert thresholds.tolist() == [0.3, 1.0]
    assert (probabilities >= thresholds).sum(axis=0).tolist() == [2, 0]


@given(truths=st.lists(st.booleans(), min_size=1, max_size=40), seed=st.integers(0, 99))
def test_as_many_are_assigned_as_came_true(truths: list[bool], seed: int) -> None:
    probabilities = np.random.default_rng(seed).permutation(len(truths))[:, None] / len(truths)
    thresholds = assignment_thresholds(probabilities, np.array([np.mean(truths)]))
    assert (probabilities >= thresholds).sum() == sum(truths)
