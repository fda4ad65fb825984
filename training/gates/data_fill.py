"""Whether rows still look as they did: kinds and platforms, valid ranges, how often columns are filled."""

from __future__ import annotations

from typing import Final

import numpy as np

from features.events import EVENTS, KINDS, Column
from training.gates.check import Check
from training.gates.data_findings import Findings
from training.gates.data_volume import BEYOND_NOISE, FLOOR
from training.gates.data_window import Floats, Grid, Window

ADS: Final = ("of campaigns", "of house ads")
DELIVERY: Final = f"CASE WHEN campaign IS NOT NULL THEN '{ADS[0]}' WHEN propensity IS NOT NULL THEN '{ADS[1]}' END"
"""SQL that tells rows of delivery from others: how many there are changes at will, and they fill other columns."""

_FREE: Final = ("policy", "prediction_id")  # a change of policy is no defect
_EMPTY_WHEN_ZERO: Final = ("amount", "quantity", "dwell_ms")
COLUMNS: Final = tuple(column for column in EVENTS.columns if not column.required and column.name not in _FREE)
_LOST, _RATHER_LOST = 0.2, 0.1  # share of all rows that lost the column
_LEFT = 0.25  # share of the usual fill, for columns that are seldom filled


def measures() -> dict[str, str]:
    """Return the SQL of what `check_schema` and `check_fill` count."""
    found = {}
    for column in COLUMNS:
        name = f'"{column.name}"'
        found[f"filled {column.name}"] = (
            f"count_if({name} > 0)" if column.name in _EMPTY_WHEN_ZERO else f"count({name})"
        )
    for column in EVENTS.columns:
        if wrong := _wrong(column):
            found[f"wrong {column.name}"] = f"count_if({wrong})"
    return found


def _wrong(column: Column) -> str:
    if column.name == EVENTS.key:  # the log takes no row without one, and its text is most of the file
        return ""
    tests = [f'"{column.name}" IS NULL'] if column.required and not column.made else []
    tests += [f'"{column.name}" < {column.low}'] if column.low is not None else []
    tests += [f'"{column.name}" > {column.high}'] if column.high is not None else []
    return " OR ".join(tests)


def check_schema(grid: Grid, window: Window) -> Check:
    """Check kinds, platforms and valid ranges of judged rows; `grid` has cells platform and kind."""
    found = Findings("schema", "mend the mapping or whoever writes the log, and import again")
    rows = grid["rows"]
    seen = rows[:, ~window.judged].sum(axis=1)
    now = rows[:, window.judged].sum(axis=1)
    before = {cell[0] for cell, number in zip(grid.cells, seen, strict=True) if number}
    for (platform, kind), earlier, number in zip(grid.cells, seen, now, strict=True):
        if number and kind not in KINDS:
            found.add("FAIL", number, f"{platform}: {number:,} rows of the unknown kind {kind!r}")
        elif number >= FLOOR and not earlier and window.comparable:
            new = "the platform is new" if platform not in before else f"kind {kind} is new on it"
            found.add("WARN", number, f"{platform}: {new}, {number:,} rows of {kind}")
    for column in EVENTS.columns:
        if not _wrong(column):
            continue
        wrong = grid[f"wrong {column.name}"][:, window.judged].sum(axis=1)
        for cell in np.flatnonzero(wrong).tolist():
            found.add("FAIL", wrong[cell], f"{grid.name(cell)}: {wrong[cell]:,} rows with no valid {column.name}")
    return found.check(f"{int(now.sum()):,} rows of known kinds within their ranges")


def check_fill(grid: Grid, window: Window) -> Check:
    """Check how often each column is filled, a day and all days together; `grid` tells delivery apart, too."""
    found = Findings("fill", "mend the export or the mapping of the column, and import the days again")
    for column in COLUMNS:
        filled = grid[f"filled {column.name}"]
        _judge(grid, window, found, column.name, filled.astype(float))
    return found.check(f"{len(COLUMNS)} columns filled as often as before")


def _judge(grid: Grid, window: Window, found: Findings, column: str, filled: Floats) -> None:
    asked = grid["rows"].astype(float)
    before = ~window.judged
    rows = asked[:, before].sum(axis=1, keepdims=True)
    rate = filled[:, before].sum(axis=1, keepdims=True) / np.maximum(rows, 1)
    daily = filled / np.maximum(asked, 1)
    spread = window.spread(daily)
    both = [
        (asked, filled, [window.name(day) for day in range(len(window.days))], window.judged),
        (
            asked[:, window.judged].sum(axis=1, keepdims=True),
            filled[:, window.judged].sum(axis=1, keepdims=True),
            [f"{int(window.judged.sum())} days"],
            np.array([True]),
        ),
    ]
    for total, have, names, judged in both:
        usual = rate * total
        noise = np.sqrt(np.maximum(total * rate * (1 - rate), 1) + (spread * total) ** 2)
        off = (np.abs(have - usual) > BEYOND_NOISE * noise) & (total >= FLOOR) & (rows >= FLOOR) & judged
        share = have / np.maximum(total, 1)
        lost = (rate - share >= _LOST) | ((share < _LEFT * rate) & (usual >= FLOOR))
        some = np.abs(rate - share) >= _RATHER_LOST
        for cell, day in np.argwhere(off & (lost | some)):
            found.add(
                "FAIL" if lost[cell, day] else "WARN",
                abs(share[cell, day] - rate[cell, 0]) * total[cell, day],
                f"{column} of {grid.name(cell)} on {names[day]}: filled in {share[cell, day]:.1%} of "
                f"{total[cell, day]:,.0f} rows, {rate[cell, 0]:.1%} before",
            )
