"""The conversion model: one probability per target and impression, along the chain from seeing to buying."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from features.days import DAY_SECONDS
from features.errors import FeatureError
from training.conversion.examples import Floats, Matrix
from training.quality.calibration import Platt, sigmoid
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
    after
        The nearest of them, None without one: the booster says how likely the target is once that has happened.
    booster
        Its number and start.
    curve
        Calibration of the logit of that.
    """

    target: str
    within: tuple[str, ...]
    after: str | None
    booster: Booster
    curve: Curve = field(default_factory=Curve)

    def logits(self, raw: Floats, known: Mapping[str, Floats]) -> Floats:
        """Return logits before calibration.

        Parameters
        ----------
        raw
            Raw scores of all boosters, float64 [n, boosters].
        known
            Probabilities of the targets before.
        """
        logits = self.booster.logits(raw)
        return logits if self.after is None else log_odds(known[self.after] * sigmoid(logits))

    def probabilities(self, raw: Floats, known: Mapping[str, Floats]) -> Floats:
        """Return calibrated probabilities; for the parameters see `logits`."""
        return self.calibrated(self.logits(raw, known), known)

    def calibrated(self, logits: Floats, known: Mapping[str, Floats]) -> Floats:
        """Return calibrated probabilities of logits, none above that of a target it is part of."""
        p = self.curve.apply(logits)
        for target in self.within:
            p = np.minimum(p, known[target])
        return p

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return {
            "target": self.target,
            "within": list(self.within),
            "after": self.after,
            "booster": [self.booster.number, self.booster.start],
            "line": [self.curve.line.slope, self.curve.line.intercept],
            "curve": [list(self.curve.at), list(self.curve.to)],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Stage:
        """Read what `to_dict` wrote."""
        at, to = document["curve"]
        return cls(
            target=document["target"],
            within=tuple(document["within"]),
            after=document["after"],
            booster=Booster(*document["booster"]),
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
        self.check(rows)
        if compact:
            raw = self._forest.raw(rows, threads=threads)
        else:
            scores = [booster.predict(rows, raw_score=True, num_threads=threads) for booster in self.boosters]
            raw = np.stack(scores, axis=1)
        return self.combine(raw)

    def check(self, rows: Matrix) -> None:
        """Refuse rows of another number of columns with a `FeatureError`."""
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise FeatureError(
                "impression rows have another shape than the model reads",
                value=rows.shape,
                valid=[("n", len(self.features))],
                next_step="train again with this version of zhongcao",
            )

    def combine(self, raw: Floats) -> Floats:
        """Return probabilities from the raw scores of all boosters, float64 [n, boosters]."""
        known: dict[str, Floats] = {}
        for stage in self.stages:
            known[stage.target] = stage.probabilities(raw, known)
        return np.stack(list(known.values()), axis=1)
