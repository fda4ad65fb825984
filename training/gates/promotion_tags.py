"""Compares two bundles of tag models on the last window that neither knows, each by its own columns."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import LogTooShortError
from features.rows.outcomes import fit_thresholds, outcomes
from features.settings import Settings
from training.gates.promotion import Policy, Sides, Verdict, judge
from training.gates.promotion_contest import Contest, Mask
from training.gates.promotion_cost import cost_of
from training.gates.promotion_meanings import common_tags, lost_tags
from training.quality.metrics import Floats, Labels, log_loss
from training.source import LogSource, open_source
from training.splits import last_mature
from training.steps import Steps
from training.tags.baselines import history_count_probabilities
from training.tags.bundle import Bundle, load_bundle
from training.tags.pairs import Window
from training.tags.slices import platforms_of, slice_masks
from training.tags.windows import WindowBuilder

Numbers = NDArray[np.int64]

COUNT: Final = "the history count"
RATE: Final = "the base rate"
FEWEST_PAIRS: Final = 500
"""A slice is judged by so many pairs or more."""


def compare_tags(
    settings: Settings, champion: Path | None, challenger: Path, *, present: int, steps: Steps,
    policy: Policy | None = None, version: int | None = None, source: LogSource | None = None,
) -> Verdict:  # fmt: skip
    """Compare two bundles on the last window that is over by the present.

    Parameters
    ----------
    settings
        Where the log lies; windows that a training run built are reused.
    champion
        Folder of the bundle that serves; None where none does: the better of two baselines stands in for it.
    challenger
        Folder of the bundle that may.
    present
        What arrived later is not looked at, epoch seconds.
    steps
        Shows progress.
    policy
        What a promotion needs.
    version
        Of the log's events; the latest by default.
    source
        That version as tags are learned from it, where it is open already.

    Raises
    ------
    TrainingError
        They have no tag in common that means the same.
    LogTooShortError
        No window after both is over yet.
    """
    ours, theirs = load_bundle(challenger), None if champion is None else load_bundle(champion)
    source = source or open_source(settings, version=version, most_people=settings.train_people)
    instant = _instant(source, ours, theirs, present)
    with steps.step("both models on the same later window", 3) as advance:
        builder = _builder(settings, source, ours)
        window, labels = _outcomes(builder, ours, instant, present)
        people = np.arange(len(window.persons))
        said = ours.model.predict(np.asarray(window.rows), threads=settings.threads)
        advance()
        if theirs is None:
            tags = np.flatnonzero(ours.model.active[: labels.shape[1]])
            other, name = _baseline(builder, window, labels[:, tags], ours, tags)
        else:
            held, name = _builder(settings, source, theirs).build(instant), theirs.version
            _, people, before = np.intersect1d(
                window.persons, held.persons, assume_unique=True, return_indices=True
            )
            their_tags, tags = common_tags(theirs, ours)
            rows = np.asarray(held.rows)[before]
            other = theirs.model.predict(rows, threads=settings.threads)[:, their_tags]
        advance()
        shown = said[np.ix_(people, tags)]
        slices = _slices(ours, builder, window, labels[:, tags], tags)
        contest = Contest(
            columns=tuple(ours.taxonomy.tags[number].id for number in tags),
            labels=labels[np.ix_(people, tags)],
            champion=other,
            challenger=shown,
            person=people,
            slices={name: mask[people] for name, mask in slices.items()},
            chosen=None
            if theirs is None
            else (other >= theirs.model.assign_at[their_tags], shown >= ours.model.assign_at[tags]),
        )
        advance()
    end = instant + ours.taxonomy.base.horizon_days * DAY_SECONDS
    if theirs is None or champion is None:
        return judge(contest, Sides(name, ours.version, ours.as_of, ours.as_of, instant, end), policy, first=True)
    cost = cost_of((champion, theirs.model.predict), (challenger, ours.model.predict))
    sides = Sides(name, ours.version, theirs.as_of, ours.as_of, instant, end)
    return judge(contest, sides, policy, cost=cost, further=(lost_tags(theirs, ours),))


def _instant(source: LogSource, ours: Bundle, theirs: Bundle | None, present: int) -> int:
    delay = int(ours.about.get("choices", {}).get("delay_days", 0)) * DAY_SECONDS
    horizon = ours.taxonomy.base.horizon_days
    instant = last_mature(present, horizon, delay, source.timezone)
    if instant < max(ours.as_of, 0 if theirs is None else theirs.as_of):
        raise LogTooShortError(
            f"no window of {horizon} days after what both models know is over yet",
            next_step="compare again once the events of such a window have come",
        )
    return instant


def _builder(settings: Settings, source: LogSource, bundle: Bundle) -> WindowBuilder:
    kinds = bundle.about.get("choices", {}).get("kinds")
    folder = settings.work_dir / "windows"
    return WindowBuilder(source, bundle.taxonomy, bundle.layout, folder, None if kinds is None else tuple(kinds))


def _outcomes(builder: WindowBuilder, ours: Bundle, instant: int, known_at: int) -> tuple[Window, Labels]:
    if not ours.taxonomy.added_tags:
        window = builder.build(instant, known_at)
        return window, window.outcomes
    # What was learned from lists comes true for nobody: outcomes are those of the tags with rules.
    events, spine, taxonomy = builder.source.events, builder.spine(instant), ours.taxonomy.base
    labels = outcomes(taxonomy, events, spine.known(known_at), fit_thresholds(taxonomy, events, spine))
    return builder.build(instant), labels


def _baseline(
    builder: WindowBuilder, window: Window, truth: Labels, ours: Bundle, tags: Numbers
) -> tuple[Floats, str]:
    """Return what the better of two baselines says, and its name."""
    # The window's own rates: nobody knew them before, so this baseline is stronger than any that is trained.
    found = {RATE: np.tile(truth.mean(axis=0), (len(truth), 1))}
    plan = ours.about.get("plan")
    if plan is not None and not ours.taxonomy.added_tags:
        validation = builder.build(int(plan["validation"]), ours.as_of)
        counted = history_count_probabilities(ours.model.view, validation, np.asarray(window.rows))
        found[COUNT] = counted[:, tags]
    name = min(found, key=lambda each: log_loss(truth.ravel(), found[each].ravel()))
    return found[name], name


def _slices(ours: Bundle, builder: WindowBuilder, window: Window, labels: Labels, tags: Numbers) -> dict[str, Mask]:
    """Return the slices of the window that are large enough to judge by, of all its people."""
    active = np.isin(np.arange(len(ours.taxonomy.tags)), tags)
    platforms = platforms_of(builder.source.events, builder.spine(window.instant))
    masks = slice_masks(ours.model.view, np.asarray(window.rows), active, labels, platforms)
    sizes = {1: len(tags), 2: 1}
    return {f"{of}: {name}": mask for of, name, mask in masks if mask.sum() * sizes[mask.ndim] >= FEWEST_PAIRS}
