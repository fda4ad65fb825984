from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bench.uplift import ask_peers, chance_of_best


def test_peers_that_cannot_be_run_are_named() -> None:
    arrays = {
        "X": np.zeros((4, 1)),
        "treated": np.array([0, 1, 0, 1]),
        "y": np.zeros(4),
        "fold": np.array([0, 0, 1, 1]),
    }
    effects, said = ask_peers(Path(sys.executable), arrays, [{}, {}])
    assert effects == {}
    assert set(said["missing"]) == {"causalml", "sklift", "econml"}
    assert "ModuleNotFoundError: No module named 'causalml'" in said["missing"]["causalml"]


def test_best_of_equal_rivals_is_ahead_by_luck_as_often_as_is_said() -> None:
    rng = np.random.default_rng(0)
    chances = []
    for _ in range(300):
        seen = rng.normal(size=(6, 1))
        chances.append(chance_of_best(np.concatenate([seen, seen + rng.normal(size=(6, 300))], axis=1)))
    assert abs(np.mean(np.array(chances) < 0.1) - 0.1) < 0.06
    assert abs(np.mean(np.array(chances) < 0.5) - 0.5) < 0.1


def test_a_rival_that_is_clearly_ahead_is_no_luck() -> None:
    noise = np.random.default_rng(1).normal(size=(3, 200))
    ahead = np.array([[0.0], [6.0], [1.0]])
    assert chance_of_best(np.concatenate([ahead, ahead + noise], axis=1)) == 0.0
