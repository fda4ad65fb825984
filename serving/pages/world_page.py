"""The page of a world: its marginals beside published ones, and what its campaigns really caused."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from matplotlib.axes import Axes

from features.world.folder import TRUTH, description, settings_of
from features.world.marginals import FIGURES, Marginals, marginals_of
from features.world.published import PUBLISHED
from serving.pages.render import number, percent, pictures, write_page
from training.quality.figures import OURS, PEER, draw

_COUNTED: Final = ("views", "gap_median")


def write_world_page(folder: Path) -> Path:
    """Write the page of a world into its folder, and return its name.

    Raises
    ------
    SourceError
        The folder holds no finished world.
    """
    found = description(folder)
    settings = settings_of(found)
    marginals = marginals_of(folder)
    path = folder / "world.html"
    with tempfile.TemporaryDirectory() as plots:
        write_page(
            path,
            "world.html",
            title="world",
            facts=[
                f"{settings.people:,} people", f"{settings.days} days from {settings.start}",
                f"{found['events']:,} events", f"policy {found['policy']}", f"seed {settings.seed}",
                f"hold-out {percent(settings.hold_out)}",
            ],
            rows=rows_of(marginals),
            campaigns=campaigns_of(folder),
            plots=pictures(draw_marginals(marginals, Path(plots))),
            commands=[f"zhongcao import world {folder}"],
        )  # fmt: skip
    return path


def rows_of(marginals: Marginals) -> list[dict[str, Any]]:
    """Return the lines of the table of marginals: text, ours, and what was published with its sources."""
    return [
        {
            "name": meaning,
            "ours": _written(name, marginals.figures[name]),
            "published": [(_written(name, p.value), p.source) for p in PUBLISHED if p.figure == name],
        }
        for name, meaning in FIGURES.items()
    ]


def campaigns_of(folder: Path) -> list[dict[str, Any]]:
    """Return what each campaign caused, as the truth says."""
    file = folder / TRUTH / "campaigns.parquet"
    return pq.read_table(file).to_pylist() if file.is_file() else []


def draw_marginals(marginals: Marginals, folder: Path) -> list[Path]:
    """Draw delays, gaps, skew and days as PNG files."""
    drawings = {"delays": _delays, "gaps": _gaps, "skew": _skew, "days": _days}
    return [draw(folder / f"{name}.png", partial(fill, marginals=marginals)) for name, fill in drawings.items()]


def _written(name: str, value: float) -> str:
    if name in _COUNTED:
        return number(value, 1)
    return percent(value) if not 0 < value < 0.01 else f"{100 * value:.3f} %"


def _delays(axes: Axes, marginals: Marginals) -> None:
    hours = np.maximum(marginals.delays, 60) / 3_600
    axes.plot(hours, np.linspace(0, 1, len(hours)), color=OURS, label="this world")
    told = {p.figure: p.value for p in PUBLISHED if p.figure.startswith("bought_within")}
    axes.plot([1, 24], [told["bought_within_hour"], told["bought_within_day"]], "o", color=PEER, label="Criteo")
    axes.set(
        xscale="log", xlabel="hours from the visit", ylabel="share bought", title="How long direct purchases take"
    )
    axes.legend(frameon=False)


def _gaps(axes: Axes, marginals: Marginals) -> None:
    axes.bar(np.arange(len(marginals.gaps)), marginals.gaps / max(marginals.gaps.sum(), 1), color=OURS)
    axes.set(xlabel="days (the last bar: and more)", ylabel="share", title="Days between a person's purchases")


def _skew(axes: Axes, marginals: Marginals) -> None:
    seen = np.cumsum(marginals.views)
    axes.plot(np.linspace(0, 1, len(seen)), seen / max(seen[-1], 1) if len(seen) else seen, color=OURS)
    axes.plot([0, 1], [0, 1], color=PEER, linewidth=1, linestyle="--")
    axes.set(xlabel="share of accounts, most active first", ylabel="share of impressions", title="Activity")


def _days(axes: Axes, marginals: Marginals) -> None:
    days = marginals.days - marginals.days[0]
    for counts, color, name in (
        (marginals.impressions, PEER, "impressions"),
        (marginals.purchases, OURS, "purchases"),
    ):
        axes.plot(days, counts / max(counts.mean(), 1e-9), color=color, label=name)
    axes.set(xlabel="day", ylabel="over the mean", title="Days and seasons")
    axes.legend(frameon=False)
