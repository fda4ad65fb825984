"""Plots of an evaluation, as PNG files for the report page and for MLflow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from features.taxonomy.taxonomy import Taxonomy
from training.quality.figures import OURS, PEER, draw
from training.tags.evaluation import Evaluation

_SHADES: Final = ("#f2a65a", "#e0364c", "#5b2a86")


def draw_evaluation(evaluation: Evaluation, taxonomy: Taxonomy, folder: Path) -> list[Path]:
    """Draw reliability over all and by rarity of tags, AUC per tag beside the history count, and lift by vertical.

    Parameters
    ----------
    evaluation
        What to draw.
    taxonomy
        Names of the verticals.
    folder
        Where the PNG files go; made if missing.

    Returns
    -------
    list of Path
        The files, in the order in which a report shows them.
    """
    drawings = {
        "reliability": _reliability,
        "reliability_by_rarity": _reliability_by_rarity,
        "auc_per_tag": _auc_per_tag,
        "lift_by_vertical": _lift_by_vertical,
    }
    return [
        draw(folder / f"{name}.png", partial(fill, evaluation=evaluation, taxonomy=taxonomy))
        for name, fill in drawings.items()
    ]


def _reliability(axes: Axes, evaluation: Evaluation, taxonomy: Taxonomy) -> None:  # noqa: ARG001
    points = np.array(evaluation.reliability)
    axes.plot([0, 1], [0, 1], color=PEER, linewidth=1, linestyle="--", label="perfect")
    axes.plot(points[:, 0], points[:, 1], color=OURS, marker="o", markersize=4, label="zhongcao")
    axes.set(
        xlabel="predicted probability", ylabel="share that came true", title="Reliability, all person-tag pairs"
    )
    axes.legend(frameon=False)


def _reliability_by_rarity(axes: Axes, evaluation: Evaluation, taxonomy: Taxonomy) -> None:  # noqa: ARG001
    # Half an outcome stands for none, which a logarithmic axis has no place for.
    floor = 0.5 / max(evaluation.people, 1)
    axes.plot([floor, 1], [floor, 1], color=PEER, linewidth=1, linestyle="--")
    for (name, points), shade in zip(evaluation.reliability_by_rarity.items(), _SHADES, strict=False):
        places = np.maximum(np.array(points), floor)
        axes.plot(places[:, 0], places[:, 1], color=shade, marker="o", markersize=4, label=name)
    axes.set(
        xscale="log", yscale="log", xlabel="predicted probability", ylabel="share that came true",
        title="Reliability of rare and of common tags",
    )  # fmt: skip
    if evaluation.reliability_by_rarity:
        axes.legend(frameon=False, title="came true for", alignment="left")


def _auc_per_tag(axes: Axes, evaluation: Evaluation, taxonomy: Taxonomy) -> None:  # noqa: ARG001
    ours = np.array([metrics.auc for metrics in evaluation.per_tag.values()])
    count = np.array([evaluation.count_per_tag[tag] for tag in evaluation.per_tag])
    low = float(np.nanmin(np.concatenate([ours, count, [0.5]])))
    axes.plot([low, 1], [low, 1], color=PEER, linewidth=1, linestyle="--")
    axes.scatter(count, ours, s=14, color=OURS, alpha=0.7, edgecolors="none")
    better = int(np.nansum(ours > count))
    axes.set(
        xlabel="AUC of the history count", ylabel="AUC of zhongcao",
        title=f"Each point a tag: better on {better} of {len(ours)}",
    )  # fmt: skip


def _lift_by_vertical(axes: Axes, evaluation: Evaluation, taxonomy: Taxonomy) -> None:
    names = {vertical.id: vertical.name for vertical in taxonomy.verticals} | {"all": "everything"}
    lifts: dict[str, list[float]] = {}
    for tag_id, metrics in evaluation.per_tag.items():
        scope = taxonomy.tag(tag_id).scope
        if np.isfinite(metrics.lift_top_decile):
            lifts.setdefault(names.get(scope, scope), []).append(metrics.lift_top_decile)
    means = sorted(((float(np.mean(values)), name) for name, values in lifts.items()), reverse=True)[:25][::-1]
    axes.barh([name for _, name in means], [value for value, _ in means], color=OURS)
    axes.axvline(1.0, color=PEER, linewidth=1, linestyle="--")
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="lift in the top decile (1 = as everybody)", title="Lift by vertical, mean over its tags")
