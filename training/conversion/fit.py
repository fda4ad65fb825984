"""Fitting a conversion model: choices on a later slice, then a fit on everything known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from features.days import DAY_SECONDS
from features.errors import LogTooShortError, TrainingError
from training.conversion.boosting import BoosterSettings, binned
from training.conversion.chain import Fitter, parts_of
from training.conversion.choose import FEW, Chooser, StageLog
from training.conversion.examples import Examples, Known, Mask, Strategy
from training.conversion.model import Booster, ConversionModel, Stage
from training.saved_booster import AnyBooster


@dataclass(frozen=True)
class FitSettings:
    """Everything that, with the data and the code, fixes a conversion model byte for byte."""

    booster: BoosterSettings = field(default_factory=BoosterSettings)
    strategy: Strategy = "corrected"
    min_positives: int = 50
    """A target that fewer impressions led to is left out, and said; so is one that came true only lately."""
    slice_share: float = 0.2
    """Share of the time before the last window that the later slice takes."""
    seed: int = 7


@dataclass(frozen=True)
class ConversionLog:
    """What made a model: returned with it, written beside it."""

    examples: int
    slice_start: int
    left_out: tuple[str, ...]
    same: Mapping[str, str]
    stages: Mapping[str, StageLog]


def fit_conversion(
    examples: Examples,
    as_of: int,
    settings: FitSettings,
    *,
    threads: int,
    advance: Callable[[], object] = lambda: None,
) -> tuple[ConversionModel, ConversionLog]:
    """Choose numbers of trees and calibrations on a later slice, then fit on all impressions before an instant.

    Parameters
    ----------
    examples
        Impressions before `as_of`, and what was known of them by then; later knowledge is not looked at.
    as_of
        The present, epoch seconds.
    settings
        Parameters and seed.
    threads
        Threads of the boosters; the model does not depend on them.
    advance
        Called after each booster.

    Raises
    ------
    TrainingError
        No target came true often enough, by the later slice or at all, or the log is too short for a later slice
        whose windows are over.
    """
    positives = {target: int(examples.seen(target, as_of).sum()) for target in examples.targets}
    targets = [target for target, number in positives.items() if number >= settings.min_positives]
    if not targets:
        raise TrainingError(
            f"no target came true for {settings.min_positives} impressions",
            value=positives,
            next_step="use a longer log, or longer windows",
        )
    start = _slice_start(examples, as_of, settings)
    # What is fitted as of the slice's start must have come true before it.
    then = Known(examples, start, settings.strategy)
    early = {target: int((then.seen(target) & then.usable(target)).sum()) for target in targets}
    targets = [target for target in targets if early[target] >= FEW]
    if not targets:
        raise TrainingError(
            "no target was known to have come true often enough by the start of the later slice",
            value=early,
            valid=[f"{FEW} or more"],
            next_step="use a longer log, a shorter window, or the strategy corrected",
        )
    seen = {target: examples.seen(target, as_of) for target in targets}
    same = _same(seen)
    parts = parts_of({target: hits for target, hits in seen.items() if target not in same})
    data = binned(examples.rows, settings.booster)

    def fitter(known: Known) -> Fitter:
        return Fitter(data, known, settings.booster, settings.seed, threads)

    chooser = Chooser(fitter(then), np.flatnonzero(examples.time >= start), as_of, advance)
    logs = {target: chooser.choose(target, within) for target, within in parts.items()}
    last = fitter(Known(examples, as_of, settings.strategy))
    boosters: list[AnyBooster] = []
    stages = {stage.target: _refit(stage, last, chooser.trees, boosters, advance) for stage in chooser.stages}
    for target, other in same.items():
        stages[target] = replace(stages[other], target=target, within=(*stages[other].within, other))
        logs[target] = logs[other]
    model = ConversionModel(
        features=examples.features,
        stages=tuple(stages[target] for target in targets),
        boosters=tuple(boosters),
        windows={target: int(examples.windows[examples.targets.index(target)]) for target in targets},
    )
    left_out = tuple(target for target in examples.targets if target not in targets)
    return model, ConversionLog(len(examples), start, left_out, same, logs)


def _refit(
    stage: Stage,
    fitter: Fitter,
    trees: Mapping[str, int],
    boosters: list[AnyBooster],
    advance: Callable[[], object],
) -> Stage:
    """Fit a stage's booster on all that is known."""
    booster, start = fitter.fit(stage.target, stage.after, trees[stage.target])
    boosters.append(booster)
    advance()
    return replace(stage, booster=Booster(len(boosters) - 1, start))


def _same(seen: Mapping[str, Mask]) -> dict[str, str]:
    """Return targets whose impressions are exactly those of an earlier target, with that target's name."""
    names = list(seen)
    return {
        target: other
        for number, target in enumerate(names)
        for other in names[:number]
        if np.array_equal(seen[target], seen[other])
    }


def _slice_start(examples: Examples, as_of: int, settings: FitSettings) -> int:
    """Return when the later slice starts: the last part of the impressions whose windows are all over."""
    over = np.sort(examples.time[examples.time + int(examples.windows.max()) + examples.arrival_delay <= as_of])
    start = int(over[int((1 - settings.slice_share) * len(over))]) if len(over) else as_of
    # Impressions may come in bursts; those before the slice must have had time to be answered.
    if not len(over) or start - int(over[0]) < DAY_SECONDS:
        raise LogTooShortError(
            "the log is too short before the as-of date: no later slice of it has windows that are over",
            value=f"{(as_of - int(examples.time.min())) / DAY_SECONDS:.1f} days",
            next_step="use a longer log, a later date or a shorter window",
        )
    return start
