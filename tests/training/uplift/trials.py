"""A made-up trial whose effects are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class MadeTrial(NamedTuple):
    X: np.ndarray
    treatment: np.ndarray
    y: np.ndarray
    effect: np.ndarray


def made_trial(people: int = 3_000, seed: int = 1, *, arms: int = 1) -> MadeTrial:
    """People whose chance to buy grows with column 1, and with the first arm by 0.3 where column 0 is positive.

    Other arms have no effect on anybody. Column 2 is noise with gaps.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(people, 3))
    X[rng.random(people) < 0.1, 2] = np.nan
    treatment = rng.integers(0, arms + 1, people)
    effect = np.where(X[:, 0] > 0, 0.3, 0.0)
    chance = 0.2 + 0.1 * (X[:, 1] > 0) + effect * (treatment == 1)
    return MadeTrial(X, treatment, (rng.random(people) < chance).astype(float), effect)
