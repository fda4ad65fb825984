"""The weeks of the loop as a picture: what each policy caused per spend, beside broad delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

_LOOKS = {
    "rule": ("#8a8f98", "--"),
    "frozen": ("#3b7dd8", "-"),
    "retrained": ("#d4380d", "-"),
    "observable oracle": ("#8a8f98", ":"),
}


def draw(worlds: Sequence[Mapping[str, Mapping[str, Sequence[float]]]], path: Path) -> None:
    """Draw the lift of each policy over broad delivery, of a week and the ones before it, as a mean over worlds.

    Parameters
    ----------
    worlds
        Policy → what was caused and spent in each week.
    path
        PNG to write.
    """
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for policy, (color, style) in _LOOKS.items():
        living = [world for world in worlds if policy in world]
        if not living:
            continue
        lifts = np.array([_so_far(world[policy]) / _so_far(world["broad"]) - 1 for world in living]) * 100
        weeks = np.arange(1, lifts.shape[1] + 1)
        mean = lifts.mean(axis=0)
        axes.plot(weeks, mean, color=color, linestyle=style, linewidth=2)
        axes.annotate(policy, (weeks[-1], mean[-1]), (6, 0), textcoords="offset points", color=color, va="center")
        if policy in {"frozen", "retrained"} and len(living) > 1:
            error = lifts.std(axis=0, ddof=1) / np.sqrt(len(living))
            axes.fill_between(weeks, mean - error, mean + error, color=color, alpha=0.15, linewidth=0)
    axes.axhline(0, color="#8a8f98", linewidth=1)
    axes.set_xlim(1, None)
    axes.margins(x=0.16)
    axes.set_xlabel("week after four weeks of broad delivery")
    axes.set_ylabel("caused purchases per spend,\n% over broad, all weeks so far")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _so_far(weeks: Mapping[str, Sequence[float]]) -> np.ndarray:
    return np.cumsum(weeks["caused"]) / np.cumsum(weeks["spent"])
