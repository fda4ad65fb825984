"""How many rows came: by platform and day, by kind, and whether any of them fell silent."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.gates.check import Check
from training.gates.data_findings import Findings, beside, places, surprise
from training.gates.data_window import Grid, Window

BEYOND_NOISE: Final = 5.0
"""Standard deviations: one false alarm in 3 million looks, and a run takes about a thousand."""

FLOOR: Final = 30
"""Fewer usual rows are not judged: none of 30 is as rare as e**-30 where rows are independent."""

SILENT: Final = 0.02
"""Share of the usual rows up to which a platform or kind counts as gone: a few late rows do not bring it back."""

_LOW, _RATHER_LOW = 0.5, 0.7  # half a day's rows is a lost file or a lost server; a holiday takes a third
_LOW_KIND = 0.4  # kinds of one platform vary more than the platform does
_HIGH, _VERY_HIGH = 3.0, 10.0  # a shopping festival multiplies purchases by 3 to 5


def check_volume(grid: Grid, ads: Grid, window: Window) -> tuple[Check, ...]:
    """Check the rows by platform, and by platform and kind.

    Parameters
    ----------
    grid
        Rows that are no ads: cells are platform and kind; measures ``rows`` and ``soon``, the rows that had arrived
        as long after their day as those of the newest day had by the present.
    ads
        The same of ads: campaigns begin and end, so that these only warn.
    window
        Days.
    """
    missing_platform = Findings("missing-platform", "find out why it sends nothing, import what is missing")
    missing_kind = Findings("missing-kind", "see whether the mapping still names the kind, import what is missing")
    volume = Findings("volume", "import the missing rows, or remove what came twice")
    kinds = Findings("volume-by-kind", "import the missing rows, or mend the mapping of the kind")
    platforms = grid.over([0])
    _days(platforms, window, missing_platform, volume, low=_LOW)
    _days(grid, window, missing_kind, kinds, low=_LOW_KIND)
    _together(grid, window, missing_kind, kinds)
    gone = {text.partition(" on ")[0] for _, _, text in missing_platform.found}
    for findings in (missing_kind, kinds):  # told once, by platform
        findings.found = [one for one in findings.found if one[2].split(" ")[0] not in gone or one[0] == "WARN"]
    of_ads = Findings("", "")
    _together(ads, window, of_ads, of_ads)
    for _, weight, text in of_ads.found:
        missing_kind.add("WARN", weight, text)
    days = int(window.judged.sum())
    rows = int(platforms["rows"][:, window.judged].sum())
    return (
        volume.check(f"{rows:,} rows in {days} days, each platform near its usual", {"rows": rows, "days": days}),
        missing_platform.check(f"none of {len(platforms.cells)} platforms fell silent"),
        kinds.check(f"each of {len(grid.cells)} kinds of a platform near its usual"),
        missing_kind.check(f"none of {len(grid.cells)} kinds of a platform fell silent"),
    )


def _days(grid: Grid, window: Window, missing: Findings, volume: Findings, *, low: float) -> None:
    newest = np.arange(len(window.days)) == len(window.days) - 1
    # The newest day is compared with what had arrived of earlier days when they were as young.
    for measure, those in (("rows", ~newest), ("soon", newest)):
        found = grid[measure].astype(float)
        usual = window.usual(found)
        score = surprise(found, usual, window.spread(found))
        silent = found <= SILENT * usual
        enough = those & (usual >= FLOOR)
        for place in places(enough & silent, window):
            missing.add("FAIL", usual[place], beside(grid, window, place, found, usual))
        off = enough & ~silent & (np.abs(score) > BEYOND_NOISE)
        far = (found < low * usual) | (found > _VERY_HIGH * usual)
        rather = (found < _RATHER_LOW * usual) | (found > _HIGH * usual)
        for place in places(off & rather, window):
            text = beside(grid, window, place, found, usual)
            volume.add("FAIL" if far[place] else "WARN", abs(score[place]), text)


def _together(grid: Grid, window: Window, missing: Findings, volume: Findings) -> None:
    """Judge days together: what is too rare a day may be plenty in a week."""
    rows = grid["rows"].astype(float)
    spread = window.spread(rows)[:, 0]
    for days in window.spans:
        usual = rows[:, ~window.judged].mean(axis=1) * len(days)
        found = rows[:, days].sum(axis=1)
        score = surprise(found, usual, spread * np.sqrt(len(days)))
        for cell in np.flatnonzero(usual >= FLOOR).tolist():
            name = f"{grid.name(cell)} in the last {len(days)} days"
            text = f"{name}: {found[cell]:,.0f} rows, {usual[cell]:,.0f} usual"
            if found[cell] <= SILENT * usual[cell]:
                missing.add("FAIL", usual[cell], text)
            elif score[cell] < -BEYOND_NOISE and found[cell] < _LOW_KIND * usual[cell]:
                volume.add("FAIL", -score[cell], text)
