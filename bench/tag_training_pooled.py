"""A pooled model for a plain matrix: one booster over (person, tag) pairs, with features relative to the tag.

A wide row of a log says itself which columns belong to a tag. A plain matrix does not, so what a person means for a
tag is fitted first: a ridge regression of each tag on all columns, and its best low-rank approximation over all
tags (reduced-rank regression, Izenman 1975), which lets rare tags borrow from frequent ones. For training
pairs both scores come from folds that did not hold the person; so does the penalty's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, ndtri
from threadpoolctl import threadpool_limits

Floats = NDArray[np.float64]

RANK, FOLDS = 24, 3
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Penalties to choose from, for each person; the inputs vary by about one."""
NEGATIVES, MOST_PAIRS = 5, 600_000
TREES, LEAVES = 60, 15
QUANTILES = 64
SCORED_PEOPLE = 5_000


@dataclass(frozen=True)
class NormalScores:
    """Columns turned into normal scores of their quantiles, and one more column each for zero and for missing."""

    edges: list[Floats]

    @classmethod
    def fit(cls, matrix: NDArray[np.float32]) -> NormalScores:
        """Find the quantiles of each column."""
        at = np.linspace(0, 1, QUANTILES + 1)[1:-1]
        return cls([np.unique(np.nanquantile(column[:20_000], at)) for column in matrix.T])

    def apply(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 [n, 3 columns + 1]; the last column is one."""
        n, columns = matrix.shape
        out = np.ones((n, 3 * columns + 1), np.float32)
        for c, edges in enumerate(self.edges):
            codes = np.searchsorted(edges, matrix[:, c], side="right")
            missing, zero = np.isnan(matrix[:, c]), matrix[:, c] == 0
            score = ndtri((codes + 0.5) / (len(edges) + 1))
            out[:, 3 * c] = np.where(missing | zero, 0, score)
            out[:, 3 * c + 1], out[:, 3 * c + 2] = zero, missing
        return out


@dataclass(frozen=True)
class Moments:
    """What ridge regressions of all tags need of the people."""

    people: int
    gram: Floats
    target: Floats

    @classmethod
    def of(cls, inputs: NDArray[np.float32], labels: NDArray[np.uint8]) -> Moments:
        """Sum products of inputs with each other, and with each tag's labels scaled to the same variance."""
        rate = labels.mean(axis=0)
        target = (inputs.T @ labels.astype(np.float32)).astype(np.float64)
        target -= inputs.sum(axis=0, dtype=np.float64)[:, None] * rate
        return cls(len(inputs), (inputs.T @ inputs).astype(np.float64), target / _deviation(rate))


@dataclass(frozen=True)
class Weights:
    """Two linear scores per tag: from the tag alone, and of the low rank that all tags share."""

    own: Floats
    shared: Floats

    @classmethod
    def solve(cls, moments: Moments, ridge: float) -> Weights:
        """Solve the ridge regressions of all tags, scaled to the same variance, and approximate them together."""
        gram = moments.gram + ridge * moments.people * np.eye(len(moments.gram))
        own = np.linalg.solve(gram, moments.target)
        # The directions in which the fitted values of all tags vary most.
        _, directions = np.linalg.eigh(own.T @ gram @ own)
        best = directions[:, -RANK:]
        return cls(own, own @ best @ best.T)

    def apply(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return both scores, float32 [n, T]."""
        return inputs @ self.own.astype(np.float32), inputs @ self.shared.astype(np.float32)


@dataclass(frozen=True)
class PlainPooled:
    """The fitted model."""

    scores: NormalScores
    weights: Weights
    rates: Floats
    booster: lgb.Booster
    offset: float

    @classmethod
    @threadpool_limits.wrap(limits=1, user_api="blas")  # whose threads burn CPU while they wait for each other
    def fit(cls, matrix: NDArray[np.float32], labels: NDArray[np.uint8], *, seed: int, threads: int) -> PlainPooled:
        """Fit scores out of fold, then the booster on all positive pairs, up to a bound, and some negative ones."""
        rng = np.random.default_rng(seed)
        scores = NormalScores.fit(matrix)
        inputs = scores.apply(matrix)
        ridge = _best_ridge(inputs, labels)
        own, shared = np.empty(labels.shape, np.float32), np.empty(labels.shape, np.float32)
        fold = rng.integers(FOLDS, size=len(matrix))
        for number in range(FOLDS):
            rest = Weights.solve(Moments.of(inputs[fold != number], labels[fold != number]), ridge)
            own[fold == number], shared[fold == number] = rest.apply(inputs[fold == number])
        rates = (labels.sum(axis=0) + 1) / (len(labels) + 2)
        positives = int(labels.sum(dtype=np.int64))
        keep_positive = min(1.0, MOST_PAIRS / ((1 + NEGATIVES) * positives))
        keep_negative = keep_positive * min(1.0, NEGATIVES * positives / (labels.size - positives))
        drawn = rng.random(labels.shape, dtype=np.float32)
        people, tags = np.nonzero(drawn < np.where(labels == 1, keep_positive, keep_negative))
        pairs = np.stack([own[people, tags], shared[people, tags], logit(rates)[tags].astype(np.float32)], axis=1)
        params = {
            "objective": "binary", "num_leaves": LEAVES, "learning_rate": 0.15, "min_data_in_leaf": 200,
            "seed": seed, "max_bin": 127, "deterministic": True, "force_row_wise": True, "num_threads": threads,
            "verbosity": -1,
        }  # fmt: skip
        booster = lgb.train(params, lgb.Dataset(pairs, labels[people, tags], params=params), TREES)
        return cls(
            scores,
            Weights.solve(Moments.of(inputs, labels), ridge),
            rates,
            booster,
            float(np.log(keep_negative / keep_positive)),
        )

    def logits(self, matrix: NDArray[np.float32], *, threads: int) -> Floats:
        """Score every tag of every person, float64 [n, T]."""
        tags = len(self.rates)
        base = np.tile(logit(self.rates).astype(np.float32), SCORED_PEOPLE)
        out = np.empty((len(matrix), tags))
        for start in range(0, len(matrix), SCORED_PEOPLE):
            own, shared = self.weights.apply(self.scores.apply(matrix[start : start + SCORED_PEOPLE]))
            pairs = np.stack([own.ravel(), shared.ravel(), base[: own.size]], axis=1)
            raw = self.booster.predict(pairs, raw_score=True, num_threads=threads)
            out[start : start + len(own)] = np.asarray(raw).reshape(own.shape) + self.offset
        return out


def _deviation(rate: Floats) -> Floats:
    return np.sqrt(np.maximum(rate * (1 - rate), 1e-12))


def _best_ridge(inputs: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
    """Choose the penalty whose low-rank scores go best with the labels of the last quarter of the people."""
    cut = len(inputs) * 3 // 4
    deviation = _deviation(labels[cut:].mean(axis=0))
    moments = Moments.of(inputs[:cut], labels[:cut])
    centred = ((labels[cut:] - labels[cut:].mean(axis=0)) / deviation).astype(np.float32)

    def correlation(ridge: float) -> float:
        _, shared = Weights.solve(moments, ridge).apply(inputs[cut:])
        return float(((shared - shared.mean(axis=0)) * centred).mean(axis=0) @ (1 / (shared.std(axis=0) + 1e-12)))

    return max(RIDGES, key=correlation)
