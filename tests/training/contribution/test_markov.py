from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from tests.training.contribution.credit_cases import journeys, paths_of_touches, sequences
from training.contribution.credit import credits
from training.contribution.markov import removal_effects, transitions

CHANNELS = 4


def chance_without(steps: np.ndarray, removed: int | None) -> float:
    """Chance of a conversion from the start where a channel's steps end; N = (I - Q)^-1 of the whole chain."""
    channels = len(steps) - 1
    between = np.zeros((channels + 1, channels + 1))
    between[:, :channels] = steps[:, :channels]
    converts = steps[:, channels].copy()
    if removed is not None:
        between[:, removed] = 0
        between[removed] = 0
        converts[removed] = 0
    fundamental = np.linalg.inv(np.eye(channels + 1) - between)
    return float(fundamental[channels] @ converts)


def test_a_chain_by_hand() -> None:
    # start -> 0 (2 of 3), start -> 1 (1 of 3); 0 -> 1 (1 of 2), 0 -> end (1 of 2); 1 -> conversion (2 of 2)
    found = journeys([[0, 1], [1]], [[0]], 2)
    assert transitions(found).tolist() == [[0, 1, 0, 1], [0, 0, 2, 0], [2, 1, 0, 0]]
    assert removal_effects(found) == pytest.approx([(2 / 3 - 1 / 3) / (2 / 3), 1.0])


@settings(max_examples=60, deadline=None)
@given(sequences(CHANNELS, min_size=1, max_size=8), sequences(CHANNELS, max_size=8))
def test_effects_are_those_of_taking_each_channel_out(won: list[list[int]], lost: list[list[int]]) -> None:
    found = journeys(won, lost, CHANNELS)
    counts = np.zeros((CHANNELS + 1, CHANNELS + 2))
    for path in [*won, *lost]:
        states = [CHANNELS, *path]
        for before, after in zip(states, path, strict=False):
            counts[before, after] += 1
    for paths, end in ((won, CHANNELS), (lost, CHANNELS + 1)):
        for path in paths:
            counts[path[-1], end] += 1
    assert transitions(found).tolist() == counts.tolist()
    steps = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    whole = chance_without(steps, None)
    expected = [1 - chance_without(steps, channel) / whole for channel in range(CHANNELS)]
    assert removal_effects(found) == pytest.approx(expected, abs=1e-9)


def test_effects_are_what_simulated_journeys_lose() -> None:
    found = journeys([[0, 1], [1, 1, 0], [2]], [[0], [1, 0], [2, 1]], 3)
    steps = transitions(found) / transitions(found).sum(axis=1, keepdims=True)
    random = np.random.default_rng(5)
    passed, conversions = np.zeros(3), 0
    for _ in range(4000):
        state, seen = 3, set()
        while state < 3 or not seen:
            state = int(random.choice(5, p=steps[state]))
            seen.add(state)
        conversions += state == 3
        passed += [state == 3 and channel in seen for channel in range(3)]
    assert removal_effects(found) == pytest.approx(passed / conversions, abs=0.04)


def test_nothing_converts() -> None:
    assert removal_effects(journeys([], [[0, 1]], 2)).tolist() == [0, 0]


def test_a_conversion_is_divided_by_the_effects_of_its_own_channels() -> None:
    # Effects: a and b as by hand, 1/2 and 1; c is on no path of this conversion.
    path = [("a1", True, 3), ("a1", True, 2), ("b1", True, 1)]
    paths = paths_of_touches([path, [("b1", True, 1)]], [300, 10], [["a1", "a1"], ["c1"]])
    effects = removal_effects(journeys([[0, 0, 1], [1]], [[0, 0], [2]], 3))
    share = effects[0] / (effects[0] + effects[1]) * 300
    found = credits(paths, paths.values, "markov").tolist()
    assert found[3] == 10
    assert abs(found[0] + found[1] - share) <= 1  # a1 gets its part once, half of it for each touch
    assert abs(found[0] - found[1]) <= 1
