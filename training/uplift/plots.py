"""Plots of rankings by effect, as PNG files for the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.uplift.worth import ArmWorth

_INK: Final = "#1f2a37"
_OURS: Final = "#e0364c"
_PEER: Final = "#8a94a3"
_OTHER: Final = "#f2a65a"


def draw_worth(arms: Sequence[ArmWorth], folder: Path) -> list[Path]:
    """Draw the Qini curves of every arm, and predicted beside observed effects by fifths.

    Parameters
    ----------
    arms
        What was measured.
    folder
        Where the PNG files go; made if missing.

    Returns
    -------
    list of Path
        Two files per arm, in the arms' order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, worth in enumerate(arms, 1):
        for name, draw in (("qini_curve", _curves), ("effect_by_fifth", _fifths)):
            figure = Figure(figsize=(5.2, 4.2), layout="constrained")
            axes = figure.add_subplot()
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=_INK)
            draw(axes, worth)
            path = folder / f"{name}_{number}.png"
            figure.savefig(path, dpi=120, metadata={"Software": None})
            files.append(path)
    return files


def _curves(axes: Axes, worth: ArmWorth) -> None:
    axes.plot([0, 1], [0, worth.effect.value], color=_PEER, linewidth=1, linestyle="--", label="random")
    for ranking, shade, name in (
        (worth.by_probability, _OTHER, "by probability"),
        (worth.by_effect, _OURS, "by effect"),
    ):
        axes.plot(ranking.curve.depth, ranking.curve.incremental, color=shade, linewidth=1.6, label=name)
    axes.set(
        xlabel="share of people it is shown to", ylabel="extra outcomes per person treated",
        title=f"Qini curve: {worth.arm}",
    )  # fmt: skip
    axes.legend(frameon=False)


def _fifths(axes: Axes, worth: ArmWorth) -> None:
    predicted, observed = np.array(worth.fifths).T
    places = np.arange(1, 6)
    axes.bar(places - 0.2, observed, width=0.4, color=_OURS, label="observed")
    axes.bar(places + 0.2, predicted, width=0.4, color=_PEER, label="predicted")
    axes.axhline(0.0, color=_INK, linewidth=0.8)
    axes.set(xlabel="fifth of the ranking by effect, best first", ylabel="mean effect", title=worth.arm)
    axes.legend(frameon=False)
