"""Plots of a contribution report: paths, credit by rule, what was caused, ROI."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import get_font_names

from training.contribution.report import Line, Report
from training.quality.figures import INK, OURS, PEER, draw

_SHADES: Final = ("#f2a65a", "#e0364c", "#5b2a86", "#2a7f86", "#8a94a3", "#c9a227", "#3b6fb5")
_MOST: Final = 12
_MOST_BARS: Final = 6
_CHINESE_FONTS: Final = (
    "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei",
    "Noto Serif CJK SC",
)  # fmt: skip


def draw_contribution(report: Report, folder: Path) -> list[Path]:
    """Draw what a report holds; a plot that would be empty is left out.

    Parameters
    ----------
    report
        What to draw.
    folder
        Where the PNG files go; made if missing.

    Returns
    -------
    list of Path
        The files, in the order in which the page shows them.
    """
    drawings = {
        "credit_by_rule": (_credit, bool(_credited(report))),
        "incremental": (_incremental, bool(_with_effect(report))),
        "roi": (_roi, report.all.roi is not None and bool(np.isfinite(report.all.roi.roi).any())),
        "paths": (_paths, bool(report.shapes)),
    }
    return [
        draw(folder / f"{name}.png", partial(fill, report=report), label_size=8)
        for name, (fill, there) in drawings.items()
        if there
    ]


def _credited(report: Report) -> list[Line]:
    """Return the campaigns with a name; the notes where there are not two to compare."""
    campaigns, notes = (
        [
            line
            for line in report.level(by)
            if line.funnel.key is not None and any(credit.value for credit in line.credit.values())
        ]
        for by in ("campaign", "note")
    )
    return (campaigns if len(campaigns) > 1 else notes)[:_MOST_BARS]


def _with_effect(report: Report) -> list[Line]:
    lines = report.level("campaign")
    return [line for line in lines if line.caused.found is not None and line.caused.found.effect is not None][
        :_MOST
    ]


def _credit(axes: Axes, report: Report) -> None:
    lines = _credited(report)[::-1]
    unit = 10**report.minor_digits
    rules = list(lines[0].credit)
    height = 0.8 / len(rules)
    for number, (rule, shade) in enumerate(zip(rules, _SHADES, strict=False)):
        places = np.arange(len(lines)) + 0.4 - (number + 0.5) * height
        values = [line.credit[rule].value / unit for line in lines]
        axes.barh(places, values, height, color=shade, label=rule.replace("_", " "))
    _name_places(axes, [_short(line) for line in lines])
    axes.set(xlabel=f"credited value, {report.currency}", title="Credit by rule")
    axes.legend(loc="lower right", framealpha=0.8, edgecolor="none", fontsize=7)


def _incremental(axes: Axes, report: Report) -> None:
    unit = 10**report.minor_digits
    lines = _with_effect(report)[::-1]
    for place, line in enumerate(lines):
        found = line.caused.as_dict()
        axes.plot([found["low"] / unit, found["high"] / unit], [place, place], color=PEER, linewidth=2)
        axes.plot([found["value"] / unit], [place], color=OURS, marker="o", markersize=5)
        for rule, marker in (("last", "x"), ("shapley", "+")):
            if rule in line.credit:
                axes.plot([line.credit[rule].value / unit], [place], color=INK, marker=marker, markersize=6)
    axes.axvline(0.0, color=PEER, linewidth=1, linestyle="--")
    _name_places(axes, [_short(line) for line in lines])
    axes.set(
        xlabel=f"revenue caused with 95 % interval, {report.currency}\n× credited by last touch, + by Shapley",
        title="Incremental beside attributed",
    )


def _roi(axes: Axes, report: Report) -> None:
    curves = [("all", report.all.roi, OURS, 2.0)]
    named = [line for line in report.level("campaign") if line.funnel.key is not None][:5]
    curves += [(_short(line), line.roi, shade, 1.0) for line, shade in zip(named, _SHADES[2:], strict=False)]
    for name, curve, shade, width in curves:
        if curve is None or not np.isfinite(curve.roi).any():
            continue
        days = np.arange(len(curve.roi))
        axes.plot(days, curve.roi, color=shade, linewidth=width, label=name)
        if len(curve.expected):
            later = np.concatenate([curve.roi[-1:], curve.expected_roi])
            axes.plot(days[-1] + np.arange(len(later)), later, color=shade, linewidth=width, linestyle=":")
    axes.axhline(1.0, color=PEER, linewidth=1, linestyle="--")
    axes.set(
        xlabel="days since the first delivery (dotted: expected)", ylabel="credit of paid touches over cost",
        title="ROI(T+x)",
    )  # fmt: skip
    for text in axes.legend(frameon=False, prop={"family": _fonts(), "size": 7}).get_texts():
        text.set_parse_math(False)


def _paths(axes: Axes, report: Report) -> None:
    shapes = report.shapes[::-1]
    axes.barh(range(len(shapes)), [shape.orders for shape in shapes], color=OURS)
    _name_places(axes, [shape.steps for shape in shapes])
    axes.tick_params(axis="y", labelsize=6)
    axes.set(xlabel="orders", title="Paths to an order, repeats in one")


def _name_places(axes: Axes, names: list[str]) -> None:
    # Names are data: a dollar sign in one is no formula.
    axes.set_yticks(range(len(names)), names, fontfamily=_fonts(), parse_math=False)


def _short(line: Line) -> str:
    name = str(line.funnel.key)
    name = name if len(name) <= 18 else f"{name[:17]}…"
    return name if len(_fonts()) > 1 else name.encode("ascii", "replace").decode()


def _fonts() -> list[str]:
    """Return the font of plots and a Chinese one where this machine has any."""
    there = set(get_font_names())
    return ["DejaVu Sans", *[font for font in _CHINESE_FONTS if font in there][:1]]
