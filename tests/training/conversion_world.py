"""A small world of impressions whose probabilities and delays are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.conversion.examples import Examples

DAY = 86_400
TARGETS = ("click", "link_click", "purchase", "ctcvr")
WINDOW = 5 * DAY


@dataclass(frozen=True)
class Known:
    """Examples of a month, and each one's true probabilities of click, link_click and purchase."""

    examples: Examples
    truth: NDArray[np.float64]
    end: int


def tiny_world(n: int, seed: int = 5, days: int = 30) -> Known:
    """Draw clicks within seconds, jumps within minutes and purchases within days, by three features."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 5)).astype(np.float32)
    time = np.sort(rng.integers(0, days * DAY, n)) + 1_600_000_000
    group = np.where(rng.random(n) < 0.5, "fast", "slow")
    steps = np.stack([rows[:, 0] - 1.0, rows[:, 1] - 0.5, rows[:, 2] * 0.8 - 0.2 + 0.5 * rows[:, 0]], axis=1)
    steps = 1 / (1 + np.exp(-steps.astype(np.float64)))
    truth = np.cumprod(steps, axis=1)
    happened = np.cumprod(rng.random((n, 3)) < steps, axis=1).astype(bool)
    mean = np.where(group == "fast", 0.4, 2.5)
    late = -mean * np.log(1 - rng.random(n) * (1 - np.exp(-5 / mean)))
    delays = np.stack([np.full(n, 5), np.full(n, 90), (late * DAY).astype(np.int64) + 91], axis=1)
    known_at = np.where(happened, time[:, None] + np.minimum(delays, WINDOW), 0)
    examples = Examples(
        features=tuple("abcde"),
        targets=TARGETS,
        rows=rows,
        time=time,
        known_at=known_at[:, [0, 1, 2, 2]],
        windows=np.array([DAY, DAY, WINDOW, WINDOW]),
        weight=np.ones(n),
        group=group,
        person=rng.integers(0, n // 10, n),
    )
    return Known(examples, truth, 1_600_000_000 + days * DAY)
