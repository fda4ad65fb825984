from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.errors import TrainingError
from training.quality.metrics import normalised_entropy
from training.tags.assignment import NOBODY, AssignmentRule, assignment_thresholds, beats_base_rate


def one_tag(people: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties, and outcomes that follow them."""
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.uniform(0.05, 0.95, (people, 1)), 1)
    return probabilities, (rng.random((people, 1)) < probabilities).astype(np.uint8)


def test_a_tag_that_came_true_for_nobody_assigns_nobody() -> None:
    probabilities = np.array([[0.2, 0.1], [0.1, 0.1], [0.7, 0.2], [0.6, 0.1]])
    labels = np.array([[0, 0], [0, 0], [1, 0], [1, 0]], np.uint8)
    for rule in (None, AssignmentRule("precision"), AssignmentRule("value")):
        assert assignment_thresholds(probabilities, labels, rule)[1] == NOBODY
    assert assignment_thresholds(probabilities, labels).tolist() == [0.6, NOBODY]


@given(truths=st.lists(st.booleans(), min_size=2, max_size=40), seed=st.integers(0, 99))
def test_as_many_are_assigned_as_came_true(truths: list[bool], seed: int) -> None:
    probabilities = np.random.default_rng(seed).permutation(len(truths))[:, None] / len(truths)
    labels = np.array(truths, np.uint8)[:, None]
    thresholds = assignment_thresholds(probabilities, labels)
    assigned = (probabilities >= thresholds).sum()
    assert assigned == (sum(truths) if beats_base_rate(probabilities, labels)[0] else 0)


@settings(max_examples=80, deadline=None)
@given(people=st.integers(2, 60), seed=st.integers(0, 999), target=st.floats(0.1, 0.9))
def test_precision_is_reached_by_the_lowest_threshold_that_can(people: int, seed: int, target: float) -> None:
    probabilities, labels = one_tag(people, seed)
    assume(beats_base_rate(probabilities, labels)[0])

    def precision(threshold: float) -> float:
        taken = probabilities[:, 0] >= threshold
        people = taken.sum()
        return float((labels[taken].sum() + 20 * probabilities[taken].mean()) / (people + 20))

    reaching = [p for p in np.unique(probabilities) if precision(p) >= target]
    found = assignment_thresholds(probabilities, labels, AssignmentRule("precision", precision=target))[0]
    assert found == (min(reaching) if reaching else NOBODY)


def test_value_assigns_whoever_is_worth_it() -> None:
    probabilities, labels = one_tag(50, 3)
    threshold = assignment_thresholds(probabilities, labels, AssignmentRule.parse("value=4:1"))[0]
    worth = probabilities * 4 - (1 - probabilities) > -1e-12
    assert ((probabilities >= threshold) == worth).all()


@settings(max_examples=60, deadline=None)
@given(people=st.integers(2, 60), seed=st.integers(0, 999), wrong=st.booleans())
def test_only_tags_with_a_normalised_entropy_below_one_are_assigned(people: int, seed: int, wrong: bool) -> None:
    probabilities, labels = one_tag(people, seed)
    probabilities = 1 - probabilities if wrong else probabilities
    entropy = normalised_entropy(labels[:, 0], probabilities[:, 0])
    assume(not abs(entropy - 1) < 1e-9)
    assert beats_base_rate(probabilities, labels)[0] == bool(entropy < 1)
    if not entropy < 1:
        assert assignment_thresholds(probabilities, labels, AssignmentRule("value")).tolist() == [NOBODY]


@pytest.mark.parametrize("text", ["share", "precision=0.35", "value=3:1", "value=0.5:2"])
def test_a_rule_is_written_as_it_is_read(text: str) -> None:
    assert str(AssignmentRule.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("best", "no such rule of assignment: 'best'"),
        ("share=3", "no such rule of assignment: 'share=3'; valid: share, precision=0.5, value=3:1"),
        ("precision", "cannot be read: 'precision'"),
        ("precision=1.5", "between 0 and 1: 1.5"),
        ("precision=nan", "between 0 and 1: nan"),
        ("value=3", "cannot be read: 'value=3'"),
        ("value=3:-1", "are positive: '3.0:-1.0'"),
        ("value=inf:1", "are positive: 'inf:1.0'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        AssignmentRule.parse(text)
