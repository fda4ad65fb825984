"""Plots of a study, as PNG files for its page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from features.days import day_text
from training.refits import Refit
from training.study import Study

_INK: Final = "#1f2a37"
_OURS: Final = "#e0364c"
_PEER: Final = "#8a94a3"
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
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    if study.windows:
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        days = [day_text(evaluation.instant, timezone) for evaluation in study.windows]
        for place, (name, label) in enumerate(_FIGURES):
            axes = figure.add_subplot(2, 1, place + 1, ylabel=label)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=_INK, labelsize=8)
            for model, shade in (("history_count", _PEER), ("zhongcao", _OURS)):
                values = [getattr(evaluation.macro[model], name) for evaluation in study.windows]
                axes.plot(days, values, color=shade, marker="o", markersize=4, label=model.replace("_", " "))
            if not place:
                axes.legend(frameon=False)
                axes.set_title("Quality by instant")
        files.append(_save(figure, folder / "quality_by_instant.png"))
    if study.features:
        files.append(_save(_ablation(study.features[1:]), folder / "without_each_family.png"))
    for name, refits, title in (
        ("people", study.people, "Quality by people trained on"),
        ("instants", study.instants, "Quality by instants trained on"),
    ):
        if refits:
            files.append(_save(_curve(refits, title), folder / f"by_{name}.png"))
    return files


def _ablation(refits: list[Refit]) -> Figure:
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=8)
    ranked = sorted(refits, key=lambda refit: refit.differences["log_loss"].difference)
    for place, refit in enumerate(ranked):
        found = refit.differences["log_loss"]
        axes.plot([found.low, found.high], [place, place], color=_PEER, linewidth=2)
        axes.plot([found.difference], [place], color=_OURS, marker="o", markersize=5)
    axes.axvline(0.0, color=_PEER, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(ranked)), [refit.name for refit in ranked])
    axes.set(xlabel="log loss above that of everything, 95 % interval", title="Worth of each family of features")
    return figure


def _curve(refits: list[Refit], title: str) -> Figure:
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    for place, (name, label) in enumerate(_FIGURES):
        axes = figure.add_subplot(2, 1, place + 1, ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK, labelsize=8)
        values = [getattr(refit.metrics, name) for refit in refits]
        axes.plot([refit.name for refit in refits], values, color=_OURS, marker="o", markersize=4)
        if not place:
            axes.set_title(title)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=120, metadata={"Software": None})
    return path
