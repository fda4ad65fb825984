"""What is chosen on a slice of impressions that are later than those that were learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import lightgbm as lgb
import numpy as np

from training.conversion.chain import Fitter
from training.conversion.curves import choose_trees, fit_curve, losses
from training.conversion.examples import Floats, Ints
from training.conversion.model import Booster, Curve, Stage

_PARTS: Final = 5
FEW: Final = 20
"""With fewer conversions nothing is chosen or calibrated."""


@dataclass(frozen=True)
class StageLog:
    """What was found for a target on the later slice, and what it was learned from."""

    impressions: int
    positives: int
    trees: int
    slope: float
    bent: bool
    slice_positives: int
    slice_log_loss: float
    slice_base_log_loss: float
    median_delay: int | None


class Chooser:
    """Fits each target as of the slice's start, and chooses on the slice how it is to be made."""

    def __init__(self, fitter: Fitter, rows: Ints, as_of: int, advance: Callable[[], object]) -> None:
        self.stages: list[Stage] = []
        self.trees: dict[str, int] = {}
        self._fitter = fitter
        self._examples = fitter.known.examples
        self._rows = rows
        self._matrix = self._examples.rows[rows]
        self._as_of = as_of
        self._advance = advance
        self._known: dict[str, Floats] = {}

    def choose(self, target: str, within: tuple[str, ...]) -> StageLog:
        """Choose the number of trees and the calibration of a target."""
        examples = self._examples
        before = int((self._fitter.known.seen(target) & self._fitter.known.usable(target)).sum())
        judged = examples.mature(target, self._as_of)[self._rows]
        labels = examples.seen(target, self._as_of)[self._rows].astype(np.uint8)
        weight, person = examples.weight[self._rows][judged], examples.person[self._rows][judged]
        y = labels[judged]
        enough = bool(y.sum() >= FEW)
        stage = Stage(target, within, within[0] if within else None, Booster(0, 0.0))
        fitted = self._fitter.fit(target, stage.after)
        logits = [stage.logits(scores, self._known) for scores in self._scores(*fitted)]
        self._advance()
        best = choose_trees([z[judged] for z in logits], y, weight) if enough else len(logits) - 1
        self.trees[target] = self._trees[best]
        curve = Curve()
        if enough:
            curve = fit_curve(logits[best][judged], y, weight, person, threads=self._fitter.threads)
        stage = replace(stage, curve=curve)
        self._known[target] = stage.calibrated(logits[best], self._known)
        self.stages.append(stage)
        base = np.full(len(y), np.average(y, weights=weight))
        delays = self._fitter.known.delays.get(target)
        return StageLog(
            impressions=int(self._fitter.known.usable(target).sum()),
            positives=before,
            trees=self.trees[target],
            slope=curve.line.slope,
            bent=bool(curve.at),
            slice_positives=int(y.sum()),
            slice_log_loss=float(np.average(losses(y, self._known[target][judged]), weights=weight)),
            slice_base_log_loss=float(np.average(losses(y, base), weights=weight)),
            median_delay=None if delays is None else delays.quantile(0.5),
        )

    @property
    def _trees(self) -> list[int]:
        """Numbers of trees that are tried."""
        most = self._fitter.settings.trees
        return sorted({max(most * part // _PARTS, 1) for part in range(1, _PARTS + 1)})

    def _scores(self, booster: lgb.Booster, start: float) -> Iterator[Floats]:
        """Yield the scores of ever more trees, each of which is gone through once."""
        scores, done = np.full(len(self._matrix), start), 0
        for number in self._trees:
            scores = scores + booster.predict(
                self._matrix, raw_score=True, start_iteration=done, num_iteration=number - done,
                num_threads=self._fitter.threads,
            )  # fmt: skip
            done = number
            yield scores[:, None]
