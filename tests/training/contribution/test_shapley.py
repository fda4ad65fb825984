from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.contribution.credit_cases import journeys, paths_of_touches, sequences
from training.contribution.credit import credits
from training.contribution.journeys import Journeys, members_of
from training.contribution.shapley import Game

CHANNELS = 5


def worth(game: Game, members: tuple[int, ...], path: int) -> float:
    pairs = sum(game.pair[a, b] for a, b in combinations(members, 2))
    return sum(game.single[a] for a in members) + pairs / max(path - 1, 1)


def brute_force(game: Game, members: list[int]) -> list[float]:
    """What each member adds when it joins, averaged over every order of joining."""
    added = dict.fromkeys(members, 0.0)
    orders = list(permutations(members))
    for order in orders:
        for place, member in enumerate(order):
            added[member] += worth(game, order[: place + 1], len(order)) - worth(game, order[:place], len(order))
    return [added[member] / len(orders) for member in members]


def values_of(game: Game, path: list[int]) -> list[float]:
    found = members_of(np.array([0, len(path)]), np.array(path), len(game.single))
    return game.values(found).tolist()


def test_rates_by_hand() -> None:
    # 5 journeys, 2 of them converted: rate 2/5, so what is not known counts as 2.5 journeys with one conversion.
    game = Game.from_journeys(journeys([[0], [1, 0]], [[0], [0, 0], [0, 1, 1]], 3))
    a, b, c = (2 + 1) / (5 + 2.5), (1 + 1) / (2 + 2.5), 1 / 2.5
    assert game.single == pytest.approx([a, b, c])
    both = (1 + 2.5 * (a + b - 0.4)) / (2 + 2.5)
    assert game.pair[0] == pytest.approx([0, both - a - b, -0.4])


@settings(max_examples=40, deadline=None)
@given(sequences(CHANNELS, min_size=1, max_size=12), sequences(CHANNELS, max_size=12))
def test_rates_are_those_of_journeys_with_the_channels(won: list[list[int]], lost: list[list[int]]) -> None:
    found = Game.from_journeys(journeys(won, lost, CHANNELS))
    rate = len(won) / (len(won) + len(lost))

    def drawn_in(members: set[int], expected: float) -> float:
        converted, seen = sum(members <= set(p) for p in won), sum(members <= set(p) for p in [*won, *lost])
        return (converted + expected / rate) / (seen + 1 / rate)

    single = [drawn_in({a}, rate) for a in range(CHANNELS)]
    assert found.single == pytest.approx(single)
    for a, b in permutations(range(CHANNELS), 2):
        apart = single[a] + single[b]
        assert found.pair[a, b] == pytest.approx(drawn_in({a, b}, max(apart - rate, 0)) - apart)
    assert not np.diag(found.pair).any()


def test_of_two_channels_the_rates_themselves_are_divided() -> None:
    game = Game(np.array([0.3, 0.1]), np.array([[0.0, 0.2], [0.2, 0.0]]))  # together 0.6
    assert values_of(game, [0, 1]) == pytest.approx([(0.3 + 0.6 - 0.1) / 2, (0.1 + 0.6 - 0.3) / 2])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.sets(st.integers(0, 7), min_size=1, max_size=6))
def test_values_are_those_over_all_orders_of_joining(seed: int, members: set[int]) -> None:
    random = np.random.default_rng(seed)
    pair = np.triu(random.normal(0, 0.3, (8, 8)), 1)
    game = Game(random.uniform(0, 1, 8), pair + pair.T)
    path = sorted(members)
    exact = brute_force(game, path)
    assert sum(exact) == pytest.approx(worth(game, tuple(path), len(path)))
    assert values_of(game, path) == pytest.approx([max(value, 0) for value in exact])


def test_large_sets_are_exact() -> None:
    random = np.random.default_rng(2)
    pair = np.triu(random.uniform(0, 0.1, (300, 300)), 1)
    game = Game(random.uniform(0, 1, 300), pair + pair.T)
    assert sum(values_of(game, list(range(300)))) == pytest.approx(worth(game, tuple(range(300)), 300))


def test_nothing_converts() -> None:
    game = Game.from_journeys(journeys([], [[0, 1]], 2))
    assert (game.single.tolist(), game.pair.any()) == ([0, 0], False)
    none = Game.from_journeys(Journeys(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, bool), 0))
    assert none.single.tolist() == []


def test_a_note_that_converts_alone_gets_more_than_one_beside_it() -> None:
    both = [("a1", True, 3), ("b1", True, 2), ("b1", True, 1)]
    alone = [[("a1", True, 1)]] * 8
    paths = paths_of_touches([both, *alone], [1000] * 9, [["b1"]] * 30 + [["a1"]] * 4)
    found = credits(paths, paths.values, "shapley").tolist()
    game = Game.from_journeys(journeys([[0, 1, 1], *[[0]] * 8], [[1]] * 30 + [[0]] * 4, 2))
    values = brute_force(game, [0, 1])
    assert found[0] == pytest.approx(1000 * values[0] / sum(values), abs=1)
    assert found[0] > 800
    assert abs(found[1] - found[2]) <= 1
