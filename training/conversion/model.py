"""The conversion model: one probability per target and impression, along the chain from seeing to buying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.days import DAY_SECONDS
from features.errors import FeatureError
from training.calibration import Platt, sigmoid
from training.conversion.examples import Floats, Matrix
from training.saved_booster import AnyBooster

if TYPE_CHECKING:
    from training.compact.candidates import CandidateForest

_LEAST = 1e-9


def log_odds(probabilities: Floats) -> Floats:
    """Return log odds, with probabilities kept 1e-9 away from 0 and 1: conversions are rarer than tags."""
    p = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(p) - np.log1p(-p))


@dataclass(frozen=True)
class Booster:
    """A booster by its number among the model's, and the logit to add to its raw score."""

    number: int
    start: float

    def logits(self, raw: Floats) -> Floats:
        """Return its logits from the raw scores of all boosters, float64 [n, boosters]."""
        return np.asarray(raw[:, self.number] + self.start)


@dataclass(frozen=True)
class Curve:
    """Calibration of logits: a line, and where that was not enough a rising curve on top of it.

    Parameters
    ----------
    line
        Slope and intercept.
    at, to
        Logits after the line and what they become, between which is interpolated; empty for the line alone.
    """

    line: Platt = field(default_factory=Platt)
    at: tuple[float, ...] = ()
    to: tuple[float, ...] = ()

    def apply(self, logits: Floats) -> Floats:
        """Return probabilities."""
        z = self.line.slope * logits + self.line.intercept
        if self.at:
            # Beyond its ends the curve goes on in parallel to the line.
            inside = np.clip(z, self.at[0], self.at[-1])
            z = np.interp(inside, self.at, self.to) + (z - inside)
        return sigmoid(z)


@dataclass(frozen=True)
class Stage:
    """How one target's probability is made.

    Parameters
    ----------
    target
        What is predicted.
    within
        Targets of which it is a part, nearest first: its probability is never above theirs.
    direct
        The booster over all impressions.
    chain
        The booster over the impressions that led to the first of `within`, which gives the probability of the
        target once that has happened.
    chain_share
        Share of the chain in the blended logit; 0 without, 1 where the direct booster is left out.
    curve
        Calibration of the blended logit.
    """

    target: str
    within: tuple[str, ...] = ()
    direct: Booster | None = None
    chain: Booster | None = None
    chain_share: float = 0.0
    curve: Curve = field(default_factory=Curve)

    def logits(self, raw: Floats, known: Mapping[str, Floats]) -> Floats:
        """Return blended logits.

        Parameters
        ----------
        raw
            Raw scores of all boosters, float64 [n, boosters].
        known
            Probabilities of the targets before.
        """
        blended = np.zeros(len(raw))
        if self.direct is not None:
            blended += (1 - self.chain_share) * self.direct.logits(raw)
        if self.chain is not None:
            chained = known[self.within[0]] * sigmoid(self.chain.logits(raw))
            blended += self.chain_share * log_odds(chained)
        return blended

    def probabilities(self, raw: Floats, known: Mapping[str, Floats]) -> Floats:
        """Return calibrated probabilities; for the parameters see `logits`."""
        p = self.curve.apply(self.logits(raw, known))
        for target in self.within:
            p = np.minimum(p, known[target])
        return p

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "target": self.target,
            "within": list(self.within),
            "direct": self.direct and [self.direct.number, self.direct.start],
            "chain": self.chain and [self.chain.number, self.chain.start],
            "chain_share": self.chain_share,
            "line": [self.curve.line.slope, self.curve.line.intercept],
            "curve": [list(self.curve.at), list(self.curve.to)],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Stage:
        """Read what `to_dict` wrote."""
        direct, chain = (document[name] and Booster(*document[name]) for name in ("direct", "chain"))
        at, to = document["curve"]
        return cls(
            target=document["target"],
            within=tuple(document["within"]),
            direct=direct,
            chain=chain,
            chain_share=float(document["chain_share"]),
            curve=Curve(Platt(*document["line"]), tuple(at), tuple(to)),
        )


@dataclass(frozen=True)
class ConversionModel:
    """Scores impressions: a person who is about to see a note.

    Parameters
    ----------
    features
        Names of the rows' columns, [F].
    stages
        One per target, each after those that it depends on.
    boosters
        All boosters, by number.
    windows
        Target → seconds: its probability is that of the target within so long after the impression.
    """

    features: tuple[str, ...]
    stages: tuple[Stage, ...]
    boosters: tuple[AnyBooster, ...]
    windows: Mapping[str, int]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the columns of what `predict` returns."""
        return tuple(stage.target for stage in self.stages)

    @property
    def window_days(self) -> dict[str, float]:
        """Target → days after the impression within which it counts."""
        return {target: self.windows[target] / DAY_SECONDS for target in self.targets}

    @cached_property
    def _forest(self) -> CandidateForest:
        # Who scores with LightGBM alone, as the check of a bundle does, need not wait for the compiler.
        from training.compact.candidates import CandidateForest  # noqa: PLC0415

        return CandidateForest.from_boosters(self.boosters, len(self.features))

    def warm(self) -> None:
        """Prepare what the first score would have to wait for."""
        self._forest.warm()

    def predict(self, rows: Matrix, *, threads: int = 1, compact: bool = True) -> Floats:
        """Return calibrated probabilities, float64 [n, targets]; none is above that of a target it is part of.

        Parameters
        ----------
        rows
            Impression rows, float32 [n, F].
        threads
            Threads that share the rows.
        compact
            Whether the compact scorer scores: the same bits as LightGBM's in a fraction of the time.

        Raises
        ------
        FeatureError
            The rows have another number of columns.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise FeatureError(
                "impression rows have another shape than the model reads",
                value=rows.shape,
                valid=[("n", len(self.features))],
                next_step="train again with this version of zhongcao",
            )
        if compact:
            raw = self._forest.raw(rows, threads=threads)
        else:
            scores = [booster.predict(rows, raw_score=True, num_threads=threads) for booster in self.boosters]
            raw = np.stack(scores, axis=1)
        return self.combine(raw)

    def combine(self, raw: Floats) -> Floats:
        """Return probabilities from the raw scores of all boosters, float64 [n, boosters]."""
        known: dict[str, Floats] = {}
        for stage in self.stages:
            known[stage.target] = stage.probabilities(raw, known)
        return np.stack(list(known.values()), axis=1)
