"""Evaluation of a tag model on a later window, beside its baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.processes import in_threads
from training.quality.json_figures import from_json, to_json
from training.quality.metrics import Floats, MacroMetrics, TagMetrics, equal_count_bins, macro_metrics, tag_metrics
from training.tags.baselines import PooledLogisticRegression, history_count_probabilities
from training.tags.model import TagModel
from training.tags.pairs import Window
from training.tags.slices import Slice, measure_slices, tag_groups
from training.tags.stability import Stability, compare_assignments

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Evaluation:
    """What a model and its baselines reached on one window.

    Parameters
    ----------
    instant
        The window's instant, epoch seconds.
    people
        People scored.
    macro
        Name of the model or baseline → its macro metrics, over the same tags.
    per_tag
        Tag id → the model's metrics.
    count_per_tag
        Tag id → AUC of the history count, the baseline that needs no model.
    reliability
        Pairs of mean predicted and observed share in 20 equal-count bins of the model's probabilities.
    assigned
        Tag id → share of people assigned.
    reliability_by_rarity
        Group of tags, by how often they came true → the same pairs for its tags alone.
    slices
        The model's quality by slice.
    stability
        How assignments move within a week; None where the log ends before it is over.
    """

    instant: int
    people: int
    macro: dict[str, MacroMetrics]
    per_tag: dict[str, TagMetrics]
    count_per_tag: dict[str, float]
    reliability: Points
    assigned: dict[str, float]
    reliability_by_rarity: dict[str, Points] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    stability: Stability | None = None

    @property
    def worse_than_base_rate(self) -> list[str]:
        """Ids of the tags that people are assigned though normalised entropy is not below 1."""
        return [
            tag
            for tag, metrics in self.per_tag.items()
            if self.assigned[tag] > 0 and metrics.normalised_entropy >= 1
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able form; figures that are not defined become null."""
        return dict(to_json(asdict(self)))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Evaluation:
        """Read what `as_dict` wrote; null becomes NaN again."""
        return cls(
            instant=document["instant"],
            people=document["people"],
            macro={name: MacroMetrics(**from_json(values)) for name, values in document["macro"].items()},
            per_tag={tag: TagMetrics(**from_json(values)) for tag, values in document["per_tag"].items()},
            count_per_tag=from_json(document["count_per_tag"]),
            reliability=_points(document["reliability"]),
            assigned=from_json(document["assigned"]),
            reliability_by_rarity={
                name: _points(points) for name, points in document["reliability_by_rarity"].items()
            },
            slices=[Slice.from_dict(one) for one in document["slices"]],
            stability=Stability.from_dict(document["stability"]) if document["stability"] else None,
        )


def evaluate_tags(
    model: TagModel,
    test: Window,
    validation: Window,
    train: Sequence[Window],
    *,
    platforms: Mapping[str, NDArray[np.bool_]],
    later: Window | None,
    seed: int,
    threads: int,
    advance: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Score the test window with the model and with the baselines.

    Parameters
    ----------
    model
        Trained on nothing that arrived after `test.instant`.
    test
        The later window, with outcomes.
    validation, train
        Windows that the baselines are fitted on, the same that the model had.
    platforms
        Platform → who was there, bool [n].
    later
        The window a week after `test`, for which outcomes are not needed; None where the log does not reach it.
    seed, threads
        Of the logistic regression's sample, and of scoring.
    advance
        Called after each window that a model scores, and after slices and stability.
    """
    view = model.view
    active = model.active
    labels = test.outcomes[:, active]
    ids = [tag.id for tag, ok in zip(model.taxonomy.tags, active, strict=True) if ok]

    def predicted(window: Window) -> Floats:
        return model.predict(np.asarray(window.rows), threads=threads)[:, active]

    # Each keeps one thread busy for much of its time.
    work: list[Callable[[], Floats]] = [
        lambda: PooledLogisticRegression(view, seed).fit(train).predict(test)[:, active],
        lambda: history_count_probabilities(view, validation, test.rows)[:, active],
        *(partial(predicted, window) for window in (test, later) if window is not None),
    ]
    made = []
    for probabilities in in_threads(lambda one: one(), work, threads):
        made.append(probabilities)
        advance()
    logistic, count, ours, *then = made
    slices = measure_slices(
        view, np.asarray(test.rows), labels, ours, active=active, platforms=platforms, threads=threads
    )
    stability = None
    if later is not None:
        stability = compare_assignments(
            (test.persons, ours), (later.persons, then[0]), model.assign_at[active], ids
        )
    advance()
    per_tag = {tag: tag_metrics(labels[:, i], ours[:, i]) for i, tag in enumerate(ids)}
    per_tag_count = [tag_metrics(labels[:, i], count[:, i]) for i in range(len(ids))]
    return Evaluation(
        instant=test.instant,
        people=len(labels),
        macro={
            "zhongcao": macro_metrics(labels, ours, list(per_tag.values())),
            "history_count": macro_metrics(labels, count, per_tag_count),
            "logistic_regression": macro_metrics(labels, logistic),
        },
        per_tag=per_tag,
        count_per_tag={tag: metrics.auc for tag, metrics in zip(ids, per_tag_count, strict=True)},
        reliability=reliability(labels, ours),
        assigned={
            tag: float(share)
            for tag, share in zip(ids, (ours >= model.assign_at[active]).mean(axis=0), strict=True)
        },
        reliability_by_rarity={
            name: reliability(labels[:, group], ours[:, group], bins=10)
            for name, group in tag_groups(labels).items()
        },
        slices=slices,
        stability=stability,
    )


def reliability(labels: np.ndarray[Any, Any], probabilities: Floats, bins: int = 20) -> Points:
    """Return mean predicted and observed share in equal-count bins of the probabilities.

    Examples
    --------
    >>> reliability(np.array([0, 1], np.uint8), np.array([0.2, 0.9]), bins=2)
    [(0.2, 0.0), (0.9, 1.0)]
    """
    flat, truth = probabilities.ravel(), labels.ravel()
    return [(float(flat[part].mean()), float(truth[part].mean())) for part in equal_count_bins(flat, bins)]


def _points(pairs: Sequence[Sequence[float]]) -> Points:
    return [(predicted, observed) for predicted, observed in pairs]
