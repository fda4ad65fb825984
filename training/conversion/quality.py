"""How good probabilities of impressions are: ranking, sharpness, and whether they add up to what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from training.conversion.examples import Floats, Ints
from training.quality.json_figures import from_json
from training.quality.metrics import Labels, equal_count_bins, log_loss, normalised_entropy
from training.quality.ranking import average_precision, roc_auc

DECILES: Final = 10
RESAMPLES: Final = 200


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
        See `training.quality.metrics`.
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
        rng = np.random.default_rng(seed)
        draws = (rng.integers(self.number, size=self.number) for _ in range(RESAMPLES))
        # How often each person was drawn; more than 255 times is beyond all chance.
        self._weights = np.stack([np.bincount(d, minlength=self.number).astype(np.uint8) for d in draws])

    def ratios(self, predicted: Floats, observed: Floats, rows: Ints) -> list[Ratio]:
        """Return the ratio of sums with its interval, for each column.

        Parameters
        ----------
        predicted, observed
            float64 [m, k].
        rows
            Numbers of the m impressions that they are of.
        """
        top, base = (self._sums(columns, rows) for columns in (predicted, observed))
        ratios = _divided(self._weights @ top, self._weights @ base)
        low, high = np.percentile(ratios, [2.5, 97.5], axis=0, method="nearest")
        values = _divided(top.sum(axis=0), base.sum(axis=0))
        return [Ratio(*map(float, figures)) for figures in zip(values, low, high, strict=True)]

    def mean(self, values: Floats) -> Ratio:
        """Return the mean of values over all impressions, float64 [n], with its interval."""
        every = np.arange(len(values))
        return self.ratios(values[:, None], np.ones((len(values), 1)), every)[0]

    def _sums(self, columns: Floats, rows: Ints) -> Floats:
        codes = self._codes[rows]
        return np.stack([np.bincount(codes, column, self.number) for column in columns.T], axis=1)


def quality(labels: Labels, probabilities: Floats, people: People, rows: Ints | None = None) -> Quality:
    """Measure one target.

    Parameters
    ----------
    labels, probabilities
        Of n impressions.
    people
        Whose impressions they are.
    rows
        Numbers of the impressions to measure on; all by default.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    y, p = labels[rows], probabilities[rows]
    both = 0 < y.sum() < len(y)
    parts = equal_count_bins(p, DECILES)
    groups = np.zeros((len(y), 1 + len(parts)))
    groups[:, 0] = 1.0
    for number, part in enumerate(parts):
        groups[part, 1 + number] = 1.0
    total, *deciles = people.ratios(groups * p[:, None], groups * y[:, None], rows)
    return Quality(
        impressions=len(y),
        positives=int(y.sum()),
        auc=roc_auc(y, p) if both else float("nan"),
        ap=average_precision(y, p) if both else float("nan"),
        log_loss=log_loss(y, p),
        normalised_entropy=normalised_entropy(y, p),
        total=total,
        deciles=tuple(deciles),
        shares=tuple((float(p[part].mean()), float(y[part].mean())) for part in parts),
    )


def _divided(top: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(top, base, out=np.full_like(top, np.inf), where=base > 0)
