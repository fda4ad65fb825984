"""A new tag from a list of people: a head that tells them from everybody else, on everybody's present features."""

from __future__ import annotations

from typing import Final

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from features.taxonomy.taxonomy import Taxonomy
from training.new_tags.choice import ModelChoices, choices_of, measured
from training.new_tags.model import NewTag, extended_layout, rescaled, with_tags
from training.new_tags.rule import Added
from training.quality.calibration import fit_platt
from training.quality.metrics import Floats, Labels
from training.tags.binned import Bins, bin_matrix
from training.tags.bundle import Bundle
from training.tags.pairs import Matrix
from training.tags.statics import STATIC_NAMES

LEAST_SEEDS: Final = 100
"""As many positives as any head needs: with fewer, trees find what the listed people happen to have in common."""

OTHERS_PER_SEED: Final = 20
LEAST_OTHERS: Final = 10_000
"""Others who stand for everybody not in the list; more of them change little and cost time."""

_FOLDS: Final = 5


def others_wanted(seeds: int) -> int:
    """Return how many people beside the list are enough.

    Examples
    --------
    >>> others_wanted(1_000), others_wanted(100)
    (20000, 10000)
    """
    return max(LEAST_OTHERS, OTHERS_PER_SEED * seeds)


def learn_seed_tag(
    bundle: Bundle, taxonomy: Taxonomy, seeds: Matrix, others: Matrix, people: int, *, threads: int
) -> Added:
    """Learn the last tag of a taxonomy from a list.

    Each of five heads is trained on four fifths of the people and scores the last fifth; calibration, threshold and
    quality come from these scores. The head that serves is trained on all of them.

    Parameters
    ----------
    bundle
        The champion.
    taxonomy
        See `features.taxonomy.addition.added_seed_tag`.
    seeds, others
        Head columns of the wide rows of the listed people and of some others, float32 [n, columns], each in the
        order of the people's keys.
    people
        How many people there are, listed ones included; the others stand for all who are not.
    threads
        Threads of LightGBM, which do not change the result.

    Raises
    ------
    TrainingError
        There are fewer seeds than `LEAST_SEEDS`, or nobody else.
    """
    require_seeds(len(seeds))
    if not len(others):
        raise TrainingError("everybody is in the list: there is nobody to tell its people from", value=len(seeds))
    model, choices = bundle.model, choices_of(bundle)
    matrix = np.concatenate([seeds, others])
    labels = np.repeat(np.array([1, 0], np.uint8), [len(seeds), len(others)])
    fold = np.concatenate([np.arange(len(seeds)), np.arange(len(others))]) % _FOLDS
    bins = bin_matrix([matrix], max_bin=choices.heads.max_bin)
    logits = np.empty(len(labels))
    for held in range(_FOLDS):
        head = _fit(bins, labels, np.flatnonzero(fold != held), choices, threads)
        logits[fold == held] = head.predict(matrix[fold == held], raw_score=True, num_threads=threads)
    truth, out_of_fold = everybody(labels, logits, people)
    platt = fit_platt(out_of_fold, truth)
    tag = taxonomy.tags[-1].id
    quality = measured(
        tag, truth, platt.apply(out_of_fold), choices.assign, head_share=1.0, learned_from=len(seeds)
    )
    head = _fit(bins, labels, np.arange(len(labels)), choices, threads)
    learned = NewTag(
        rescaled(head, platt, model.platt), 1.0, quality.assign_at, np.full(len(STATIC_NAMES), np.nan, np.float32)
    )
    layout = extended_layout(model.layout, taxonomy)
    how = {"seeds": len(seeds), "others": len(others), "people": people, "folds": _FOLDS}
    return Added(with_tags(model, layout, taxonomy, model.fitted, [learned]), [quality], how)


def require_seeds(matched: int) -> None:
    """Refuse a list that is too short.

    Raises
    ------
    TrainingError
        Names how many more are needed.
    """
    if matched < LEAST_SEEDS:
        raise TrainingError(
            f"too few seeds: {matched} people of the list are known, {LEAST_SEEDS} are needed",
            next_step=f"add at least {LEAST_SEEDS - matched} people who are in the event log",
        )


def everybody(labels: Labels, logits: Floats, people: int) -> tuple[Labels, Floats]:
    """Return labels and scores of everybody, where each of the others stands for as many who were not looked at.

    Parameters
    ----------
    labels, logits
        Of the listed people, and of some others after them.
    people
        How many people there are.

    Examples
    --------
    >>> everybody(np.array([1, 0, 0], np.uint8), np.array([3.0, 1.0, 2.0]), 5)[1].tolist()
    [3.0, 1.0, 1.0, 2.0, 2.0]
    """
    seeds = int(labels.sum())
    others = len(labels) - seeds
    rest = max(people - seeds, others)
    place = np.concatenate([np.arange(seeds), seeds + np.arange(rest) * others // rest])
    return labels[place], logits[place]


def _fit(bins: Bins, labels: Labels, rows: NDArray[np.int64], choices: ModelChoices, threads: int) -> lgb.Booster:
    params = {**bins.params, **choices.heads.params(choices.seed), "num_threads": threads}
    return lgb.train(params, bins.labelled(labels[rows], rows), num_boost_round=choices.heads.trees)
