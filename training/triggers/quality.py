"""Whether the champion predicts worse than when it was promoted, beyond noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import CLIP, Floats, Labels
from training.triggers.trigger import Trigger

WORSE: Final = 0.02
"""Normalised entropy must have risen by so much: less, nobody would notice."""
OFF: Final = 0.1
"""Probabilities must be further off the outcomes, in all, by so much (as a log ratio)."""
LEVEL: Final = 0.99
DRAWS: Final = 400


@dataclass(frozen=True)
class Quality:
    """How a model did on one window, with draws of people anew.

    Parameters
    ----------
    entropy
        Log loss over that of the window's own base rates, tag by tag: comparable between months whose base rates
        differ (He et al., Practical Lessons from Predicting Clicks on Ads at Facebook, 2014).
    calibration
        Log of the sum of probabilities over the sum of outcomes: 0 is right.
    people, pairs
        Of the window.
    """

    entropy: float
    calibration: float
    people: int
    pairs: int


def quality(labels: Labels, probabilities: Floats, *, draws: int = DRAWS, seed: int = 1) -> tuple[Quality, Floats]:
    """Return how a model did, and entropy and calibration of people drawn anew [draws, 2].

    Parameters
    ----------
    labels, probabilities
        People × tags.
    draws, seed
        Of the bootstrap over people, who come with all their tags.
    """
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    rates = np.clip(labels.mean(axis=0), CLIP, 1 - CLIP)
    sums = np.column_stack([
        -np.where(labels == 1, np.log(p), np.log1p(-p)).sum(axis=1),
        -np.where(labels == 1, np.log(rates), np.log1p(-rates)).sum(axis=1),
        probabilities.sum(axis=1),
        labels.sum(axis=1, dtype=np.float64),
    ])  # fmt: skip
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums))) @ sums for _ in range(draws)])
    (entropy, calibration), again = _figures(sums.sum(axis=0)), _figures(drawn.T)
    return Quality(float(entropy), float(calibration), *labels.shape), np.column_stack(again)


def _figures(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    loss, base, said, came = sums
    return loss / base, np.log(np.maximum(said, 0.5) / np.maximum(came, 0.5))


def worse(then: tuple[Quality, Floats], now: tuple[Quality, Floats]) -> tuple[Trigger, Trigger]:
    """Return the triggers ``loss`` and ``calibration``.

    Parameters
    ----------
    then, now
        As `quality` returns them: of the window by which the champion was promoted, and of the latest one.
    """
    (old, old_draws), (new, new_draws) = then, now
    evidence = {"at_promotion": asdict(old), "now": asdict(new)}
    lower = float(np.quantile(new_draws[:, 0] - old_draws[:, 0], (1 - LEVEL) / 2))
    loss = Trigger(
        "loss",
        lower > 0 and new.entropy - old.entropy > WORSE,
        f"normalised entropy {new.entropy:.3f}, {old.entropy:.3f} at promotion (99 % sure of {lower:+.3f} more)",
        evidence | {"lower": lower},
    )
    further = np.abs(new_draws[:, 1]) - np.abs(old_draws[:, 1])
    least, off = float(np.quantile(further, (1 - LEVEL) / 2)), abs(new.calibration) - abs(old.calibration)
    calibration = Trigger(
        "calibration",
        least > 0 and off > OFF,
        f"{np.exp(new.calibration):.2f} × as many were expected as came, "
        f"{np.exp(old.calibration):.2f} × at promotion",
        evidence | {"lower": least},
    )
    return loss, calibration
