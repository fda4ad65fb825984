"""Plots of a study, as PNG files for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes

from features.days import day_text
from training.quality.figures import OURS, PEER, Fill, draw
from training.study.refits import Refit
from training.study.study import Study

_FIGURES: Final = (("macro_auc", "macro AUC"), ("log_loss", "log loss"))


def draw_study(study: Study, timezone: str, folder: Path) -> list[Path]:
    """Draw quality by instant, the worth of each family, and the learning curves.

    Parameters
    ----------
    study
        What to draw; parts that were not run are left out.
    timezone
        In which days are named.
    folder
        Where the PNG files go; made if missing.

    Returns
    -------
    list of Path
        The files, in the order in which a page shows them.
    """
    drawings: dict[str, tuple[Fill, ...]] = {}
    if study.windows:
        days = [day_text(evaluation.instant, timezone) for evaluation in study.windows]
        values = {
            model: [evaluation.macro[model] for evaluation in study.windows]
            for model in ("history_count", "zhongcao")
        }
        drawings["quality_by_instant"] = _curves(days, values, "Quality by instant")
    if study.features:
        drawings["without_each_family"] = (partial(_ablation, refits=study.features[1:]),)
    for name, refits, title in (
        ("people", study.people, "Quality by people trained on"),
        ("instants", study.instants, "Quality by instants trained on"),
    ):
        if refits:
            values = {"zhongcao": [refit.metrics for refit in refits]}
            drawings[f"by_{name}"] = _curves([refit.name for refit in refits], values, title)
    return [draw(folder / f"{name}.png", *fills, label_size=8) for name, fills in drawings.items()]


def _curves(places: list[str], values: Mapping[str, Sequence[Any]], title: str) -> tuple[Fill, ...]:
    """Return the drawings of macro AUC and of log loss, the title and the models' names above the first."""
    return tuple(
        partial(_curve, places=places, values=values, name=name, label=label, title="" if below else title)
        for below, (name, label) in enumerate(_FIGURES)
    )


def _curve(
    axes: Axes, *, places: list[str], values: Mapping[str, Sequence[Any]], name: str, label: str, title: str
) -> None:
    for model, metrics in values.items():
        shade = PEER if model == "history_count" else OURS
        found = [getattr(metric, name) for metric in metrics]
        axes.plot(places, found, color=shade, marker="o", markersize=4, label=model.replace("_", " "))
    axes.set_ylabel(label)
    if title:
        axes.set_title(title)
        if len(values) > 1:
            axes.legend(frameon=False)


def _ablation(axes: Axes, refits: list[Refit]) -> None:
    ranked = sorted(refits, key=lambda refit: refit.differences["log_loss"].difference)
    for place, refit in enumerate(ranked):
        found = refit.differences["log_loss"]
        axes.plot([found.low, found.high], [place, place], color=PEER, linewidth=2)
        axes.plot([found.difference], [place], color=OURS, marker="o", markersize=5)
    axes.axvline(0.0, color=PEER, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(ranked)), [refit.name for refit in ranked])
    axes.set(xlabel="log loss above that of everything, 95 % interval", title="Worth of each family of features")
