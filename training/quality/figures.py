"""What all plots share: size, colours, bare axes, and files whose bytes depend on nothing but what was drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#1f2a37"
OURS: Final = "#e0364c"
PEER: Final = "#8a94a3"

_SIZE: Final = (5.2, 4.2)
_DOTS: Final = 120

Fill = Callable[[Axes], None]
"""Draws into axes."""


def draw(path: Path, *fills: Fill, label_size: float = 10) -> Path:
    """Draw a PNG file.

    Parameters
    ----------
    path
        The file; its folder is made if missing.
    fills
        What to draw, from top to bottom, each into axes of its own.
    label_size
        Points of the numbers beside the axes.

    Returns
    -------
    Path
        The file.
    """
    # The figure is built without pyplot, so that no global state or screen is needed.
    figure = Figure(figsize=_SIZE, layout="constrained")
    for place, fill in enumerate(fills, 1):
        axes = figure.add_subplot(len(fills), 1, place)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=label_size)
        fill(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the name of the software, which holds its version.
    figure.savefig(path, dpi=_DOTS, metadata={"Software": None})
    return path
