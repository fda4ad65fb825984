"""Plots of rankings by effect, as PNG files for the page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from training.quality.figures import INK, OURS, PEER, draw
from training.uplift.worth import ArmWorth

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
    return [
        draw(folder / f"{name}_{number}.png", partial(fill, worth=worth))
        for number, worth in enumerate(arms, 1)
        for name, fill in (("qini_curve", _curves), ("effect_by_fifth", _fifths))
    ]


def _curves(axes: Axes, worth: ArmWorth) -> None:
    axes.plot([0, 1], [0, worth.effect.value], color=PEER, linewidth=1, linestyle="--", label="random")
    for ranking, shade, name in (
        (worth.by_probability, _OTHER, "by probability"),
        (worth.by_effect, OURS, "by effect"),
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
    axes.bar(places - 0.2, observed, width=0.4, color=OURS, label="observed")
    axes.bar(places + 0.2, predicted, width=0.4, color=PEER, label="predicted")
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set(xlabel="fifth of the ranking by effect, best first", ylabel="mean effect", title=worth.arm)
    axes.legend(frameon=False)
