"""Two models on the same later window: what each said of the same pairs, and how their figures move with people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.quality.calibration import fit_platt, logit
from training.quality.metrics import CLIP, Floats, Labels, equal_count_bins

Mask = NDArray[np.bool_]

RESAMPLES: Final = 1_000
_BINS: Final = 20
_WEIGHTS_AT_ONCE: Final = 8_000_000
"""People × draws that are weighed at once: bounds memory at about 100 MB."""


class Drawn(NamedTuple):
    """Figures with what they are when people are drawn anew: float64 [S] and float64 [draws, S]."""

    value: Floats
    draws: Floats

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the ends of the percentile intervals, each float64 [S]."""
        low, high = np.percentile(self.draws, [50 * (1 - level), 50 * (1 + level)], axis=0)
        return np.asarray(low), np.asarray(high)

    def lower_together(self, level: float) -> Floats:
        """Return lower ends that all hold at once in that share of the draws, float64 [S].

        Notes
        -----
        The largest studentised deviation of the family decides (Romano and Wolf, Exact and Approximate Stepdown
        Methods for Multiple Hypothesis Testing, 2005, section 4, first step), so that many guards fail no oftener
        than one, and guards that hang together are not paid for twice.
        """
        spread = self.draws.std(axis=0)
        steady = spread > 0
        if not steady.any():
            return self.value
        furthest = ((self.draws - self.value)[:, steady] / spread[steady]).max(axis=1)
        return np.asarray(self.value - max(0.0, float(np.quantile(furthest, level))) * spread)


@dataclass(frozen=True)
class Contest:
    """What two models said of the same rows, and what came of them.

    Parameters
    ----------
    columns
        Tags or targets that both models know, [K].
    labels
        Outcomes, uint8 [n, K].
    champion, challenger
        Probabilities, float64 [n, K].
    person
        Number of the person of each row, int64 [n].
    slices
        Name → which pairs belong to it, bool [n] or [n, K].
    chosen
        Pairs that each of the models would act on, bool [n, K] each: people assigned, or the best tenth.
    seed
        Fixes the draws of people.

    Raises
    ------
    TrainingError
        The tables are not of one shape, or hold nothing.
    """

    columns: tuple[str, ...]
    labels: Labels
    champion: Floats
    challenger: Floats
    person: NDArray[np.int64]
    slices: Mapping[str, Mask] = field(default_factory=dict)
    chosen: tuple[Mask, Mask] | None = None
    seed: int = 7

    def __post_init__(self) -> None:
        shapes = (self.labels.shape, self.champion.shape, self.challenger.shape)
        if len(set(shapes)) != 1 or not self.labels.size or len(self.person) != len(self.labels):
            raise TrainingError(
                "two models are compared on the same rows and tags only, at least one of each",
                value=(*shapes, self.person.shape),
            )

    @property
    def people(self) -> int:
        """How many people the rows are of."""
        return int(self._codes.max()) + 1

    @cached_property
    def primary(self) -> Drawn:
        """Log loss per pair of the challenger less that of the champion, [1]; below 0 is better."""
        return self._ratio(_whole(self._gap), _whole(self._ones))

    @cached_property
    def by_slice(self) -> Drawn:
        """By how much the challenger's log loss is larger in each slice, as share of the champion's."""
        masks = [np.broadcast_to(m if m.ndim == 2 else m[:, None], self.labels.shape) for m in self.slices.values()]
        gaps = [np.where(mask, self._gap, 0.0).sum(axis=1) for mask in masks]
        losses = [np.where(mask, self._losses[0], 0.0).sum(axis=1) for mask in masks]
        return self._ratio(np.stack(gaps, axis=1), np.stack(losses, axis=1))

    @cached_property
    def by_column(self) -> Drawn:
        """By how much the challenger's log loss is larger for each column, as share of the champion's."""
        return self._ratio(self._gap, self._losses[0])

    @cached_property
    def calibration(self) -> Drawn:
        """Calibration error, in 20 equal-count bins of each model's own probabilities, challenger less champion."""
        value, draws = np.zeros(1), np.zeros((RESAMPLES, 1))
        for sign, probabilities in ((-1, self.champion), (1, self.challenger)):
            flat = probabilities.ravel()
            off = np.zeros((self.people, _BINS))
            rows = np.repeat(self._codes, len(self.columns))
            for number, part in enumerate(equal_count_bins(flat, _BINS)):
                off[:, number] = np.bincount(rows[part], (flat - self.labels.ravel())[part], self.people)
            sums = self._sums(off)
            pairs = self._sums(self._per_person(_whole(self._ones)))
            gaps = [np.abs(s).sum(axis=1, keepdims=True) / p for s, p in zip(sums, pairs, strict=True)]
            value, draws = value + sign * gaps[0][0], draws + sign * gaps[1]
        return Drawn(value, draws)

    @cached_property
    def slopes(self) -> tuple[float, float]:
        """Slopes with which the champion's and the challenger's logits would be calibrated; 1 is right."""
        theirs, ours = self._both_slopes
        return float(theirs.value[0]), float(ours.value[0])

    @cached_property
    def slope_distance(self) -> Drawn:
        """How much further from 1 the challenger's slope is than the champion's."""
        theirs, ours = self._both_slopes
        return Drawn(*(np.abs(a - 1) - np.abs(b - 1) for a, b in zip(ours, theirs, strict=True)))

    @cached_property
    def _both_slopes(self) -> tuple[Drawn, Drawn]:
        return self._slope(self.champion), self._slope(self.challenger)

    def _slope(self, probabilities: Floats) -> Drawn:
        """Return the slope and, to first order, what it is in each draw.

        Source: the influence of a person on a maximum likelihood estimate is the inverse information times their
        score (Hampel et al., Robust Statistics, 1986, section 6.3).
        """
        z = logit(probabilities)
        platt = fit_platt(z, self.labels)
        p = platt.apply(z)
        weight = p * (1 - p)
        cross = float((weight * z).sum())
        information = np.array([[(weight * z * z).sum(), cross], [cross, weight.sum()]])
        off = self.labels - p
        scores = self._per_person(np.stack([(off * z).sum(axis=1), off.sum(axis=1)], axis=1))
        moved = self._sums(scores @ np.linalg.pinv(information)[:, :1])[1]
        return Drawn(np.array([platt.slope]), platt.slope + moved)

    @cached_property
    def _codes(self) -> NDArray[np.int64]:
        return np.unique(self.person, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def _ones(self) -> Floats:
        return np.ones(self.labels.shape)

    @cached_property
    def _losses(self) -> tuple[Floats, Floats]:
        return _loss(self.labels, self.champion), _loss(self.labels, self.challenger)

    @cached_property
    def _gap(self) -> Floats:
        return self._losses[1] - self._losses[0]

    def _per_person(self, columns: Floats) -> Floats:
        return np.stack([np.bincount(self._codes, column, self.people) for column in columns.T], axis=1)

    def _ratio(self, top: Floats, base: Floats) -> Drawn:
        """Return the ratio of sums of each column; 0 in a draw that has nothing of it."""
        width = top.shape[1]
        value, draws = self._sums(self._per_person(np.concatenate([top, base], axis=1)))
        split = [(part[:, :width], part[:, width:]) for part in (value, draws)]
        ratios = [np.divide(t, b, out=np.zeros_like(t), where=b > 0) for t, b in split]
        return Drawn(ratios[0][0], ratios[1])

    @cached_property
    def _drawn(self) -> NDArray[np.uint8]:
        """How often each person is in each draw, [draws, people]; more than 255 times is beyond all chance."""
        rng = np.random.default_rng(self.seed)
        people = self.people
        draws = (rng.integers(people, size=people) for _ in range(RESAMPLES))
        return np.stack([np.bincount(draw, minlength=people).astype(np.uint8) for draw in draws])

    def _sums(self, columns: Floats) -> tuple[Floats, Floats]:
        """Return sums over the people, [1, C], and over those of each draw, [draws, C]."""
        at_once = max(1, _WEIGHTS_AT_ONCE // len(columns))
        blocks = (self._drawn[start : start + at_once] for start in range(0, RESAMPLES, at_once))
        return columns.sum(axis=0, keepdims=True), np.concatenate(
            [block.astype(float) @ columns for block in blocks]
        )


def _whole(table: Floats) -> Floats:
    return np.asarray(table.sum(axis=1, keepdims=True))


def _loss(labels: Labels, probabilities: Floats) -> Floats:
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.where(labels == 1, -np.log(p), -np.log1p(-p))
