"""Two made-up populations with many tags: one where tags share what drives them, one where each has its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

FEATURES = 160
FACTORS = 24
OWN_FEATURES = 6
ZEROS, MISSING = 0.6, 0.03
BASE_RATES = (0.002, 0.10)
BLOCK = 10_000

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class People:
    """Rows and outcomes.

    Parameters
    ----------
    matrix
        float32 [n, FEATURES], about 60 % zeros and 3 % missing values, the rest with heavy tails.
    labels
        uint8 [n, tags].
    """

    matrix: Floats32
    labels: NDArray[np.uint8]


def make(kind: str, people: int, tags: int, *, seed: int, part: int) -> People:
    """Draw people.

    Parameters
    ----------
    kind
        "correlated": 24 latent factors drive the features, each a noisy look at three of them, and the logits of
        all tags, each a mix of six factors with one interaction and noise of its own. "adversarial": features are
        independent and a tag's logit has six that are its own: two ramps, two steps and two bands, one ramp and one
        step interacting.
    people, tags
        How many of each. The first tags are the same whatever their number.
    seed, part
        The seed fixes the world, the part which people are drawn from it: 0 to train, 1 to test.
    """
    draw = {"correlated": _correlated, "adversarial": _adversarial}[kind]
    # Levels that give each tag its base rate, found on people of their own.
    _, logits = draw(BLOCK, tags, seed, np.random.default_rng([seed, 500]))
    levels = np.array([_level(logits[:, tag], _rate(seed, tag)) for tag in range(tags)])
    matrix, labels = [], []
    for start in range(0, people, BLOCK):
        rng = np.random.default_rng([seed, part, start])
        rows, logits = draw(min(BLOCK, people - start), tags, seed, rng)
        matrix.append(rows)
        labels.append((rng.random(logits.shape) < expit(logits + levels)).astype(np.uint8))
    return People(np.concatenate(matrix), np.concatenate(labels))


def _correlated(people: int, tags: int, seed: int, rng: np.random.Generator) -> tuple[Floats32, Floats]:
    world = np.random.default_rng([seed, 100])
    looks = np.zeros((FACTORS, FEATURES))
    for feature in range(FEATURES):
        looks[world.choice(FACTORS, 3, replace=False), feature] = world.normal(size=3)
    looks /= np.linalg.norm(looks, axis=0)
    factors = rng.normal(size=(people, FACTORS))
    seen = (factors @ looks + 0.8 * rng.normal(size=(people, FEATURES))) / np.hypot(1, 0.8)
    logits = np.empty((people, tags))
    for tag in range(tags):
        own = np.random.default_rng([seed, 200, tag])
        chosen = own.choice(FACTORS, 6, replace=False)
        weights = own.normal(size=6)
        weights *= 1.8 / np.linalg.norm(weights)
        mix = factors[:, chosen]
        logits[:, tag] = mix @ weights + 0.3 * mix[:, 0] * mix[:, 1] + 0.5 * rng.normal(size=people)
    return _counted(seen, rng), logits


def _adversarial(people: int, tags: int, seed: int, rng: np.random.Generator) -> tuple[Floats32, Floats]:
    seen = rng.normal(size=(people, FEATURES))
    matrix = _counted(seen, rng)
    logits = np.empty((people, tags))
    for tag in range(tags):
        own = np.random.default_rng([seed, 300, tag])
        chosen = own.choice(FEATURES, OWN_FEATURES, replace=False)
        weights = own.choice([-1.0, 1.0], OWN_FEATURES) * own.uniform(0.7, 1.4, OWN_FEATURES)
        # What is above the zeros counts, so that the features tell all that they know.
        above = np.maximum(seen[:, chosen] - _ZERO_BELOW, 0)
        ramp, step, band = above[:, :2], above[:, 2:4] > 0.4, (above[:, 4:] > 0.2) & (above[:, 4:] < 0.9)
        logits[:, tag] = np.concatenate([ramp, step, band], axis=1) @ weights + 1.5 * (ramp[:, 0] > 0) * step[:, 0]
    return matrix, logits


_ZERO_BELOW = 0.2533471031357997
"""Three in five normal values are below it."""


def _counted(seen: NDArray[np.float64], rng: np.random.Generator) -> Floats32:
    """Turn normal values into what logs hold: mostly zero, some missing, a few very large."""
    matrix = np.where(seen > _ZERO_BELOW, np.exp(1.5 * seen), 0.0).astype(np.float32)
    matrix[rng.random(seen.shape) < MISSING] = np.nan
    return matrix


def _rate(seed: int, tag: int) -> float:
    low, high = np.log(BASE_RATES)
    return float(np.exp(np.random.default_rng([seed, 400, tag]).uniform(low, high)))


def _level(logits: Floats, rate: float) -> float:
    return float(brentq(lambda level: float(expit(logits + level).mean()) - rate, -40, 40))
