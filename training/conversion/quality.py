"""How good probabilities of impressions are: ranking, sharpness, and whether they add up to what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from training.conversion.examples import Floats, Ints
from training.json_figures import from_json
from training.metrics import Labels, equal_count_bins, log_loss, normalised_entropy
from training.ranking import average_precision, roc_auc

DECILES: Final = 10
RESAMPLES: Final = 200
_WEIGHTS_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True)
class Ratio:
    """What was predicted over what was observed, with a 95 % interval over people."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """One target's probabilities on a stretch of impressions; NaN where a figure is not defined.

    Parameters
    ----------
    impressions, positives
        How many, and how many led to the target.
    auc, ap, log_loss, normalised_entropy
        See `training.metrics`.
    total
        Sum of the probabilities over the number of positives.
    deciles
        The same in ten equally large groups, lowest probabilities first.
    shares
        Mean probability and share of positives in each of them.
    """

    impressions: int
    positives: int
    auc: float
    ap: float
    log_loss: float
    normalised_entropy: float
    total: Ratio
    deciles: tuple[Ratio, ...]
    shares: tuple[tuple[float, float], ...]

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form; null is NaN."""
        figures = from_json(document)
        return cls(
            **{
                **figures,
                "total": Ratio(**from_json(document["total"])),
                "deciles": tuple(Ratio(**from_json(ratio)) for ratio in document["deciles"]),
                "shares": tuple((predicted, observed) for predicted, observed in document["shares"]),
            }
        )


class People:
    """Draws people anew, each with all their impressions.

    Parameters
    ----------
    person
        Number of the person of each impression, int64 [n].
    seed
        Fixes the draws.
    """

    def __init__(self, person: Ints, seed: int) -> None:
        _, self._codes = np.unique(person, return_inverse=True)
        self.number = int(self._codes.max(initial=-1)) + 1
        self._seed = seed

    def drawn(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return the sums of columns over all impressions, [k], and over each draw's, [draws, k].

        Parameters
        ----------
        columns
            float64 [n, k].
        """
        sums = np.stack([np.bincount(self._codes, column, self.number) for column in columns.T], axis=1)
        rng = np.random.default_rng(self._seed)
        at_once = max(1, _WEIGHTS_AT_ONCE // max(self.number, 1))
        blocks = []
        for start in range(0, RESAMPLES, at_once):
            draws = [rng.integers(self.number, size=self.number) for _ in range(min(at_once, RESAMPLES - start))]
            weights = np.stack([np.bincount(draw, minlength=self.number) for draw in draws])
            blocks.append(weights @ sums)
        return sums.sum(axis=0), np.concatenate(blocks)

    def ratios(self, predicted: Floats, observed: Floats) -> list[Ratio]:
        """Return the ratio of sums with its interval, for each column of [n, k]."""
        k = predicted.shape[1]
        sums, draws = self.drawn(np.concatenate([predicted, observed], axis=1))
        ratios = _divided(draws[:, :k], draws[:, k:])
        low, high = np.percentile(ratios, [2.5, 97.5], axis=0, method="nearest")
        values = _divided(sums[:k], sums[k:])
        return [Ratio(*map(float, figures)) for figures in zip(values, low, high, strict=True)]

    def mean_difference(self, values: Floats) -> Ratio:
        """Return the mean of values over impressions, [n], with its interval."""
        sums, draws = self.drawn(np.stack([values, np.ones(len(values))], axis=1))
        means = draws[:, 0] / draws[:, 1]
        return Ratio(float(sums[0] / sums[1]), *map(float, np.percentile(means, [2.5, 97.5])))


def quality(labels: Labels, probabilities: Floats, people: People) -> Quality:
    """Measure one target.

    Parameters
    ----------
    labels, probabilities
        Of n impressions.
    people
        Whose impressions they are.
    """
    both = 0 < labels.sum() < len(labels)
    parts = equal_count_bins(probabilities, DECILES)
    groups = np.zeros((len(labels), 1 + len(parts)))
    groups[:, 0] = 1.0
    for number, part in enumerate(parts):
        groups[part, 1 + number] = 1.0
    total, *deciles = people.ratios(groups * probabilities[:, None], groups * labels[:, None])
    return Quality(
        impressions=len(labels),
        positives=int(labels.sum()),
        auc=roc_auc(labels, probabilities) if both else float("nan"),
        ap=average_precision(labels, probabilities) if both else float("nan"),
        log_loss=log_loss(labels, probabilities),
        normalised_entropy=normalised_entropy(labels, probabilities),
        total=total,
        deciles=tuple(deciles),
        shares=tuple((float(probabilities[part].mean()), float(labels[part].mean())) for part in parts),
    )


def _divided(top: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(top, base, out=np.full_like(top, np.inf), where=base > 0)
