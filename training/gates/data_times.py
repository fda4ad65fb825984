"""Whether events are dated right: nothing ahead of its arrival, clocks not shifted, files not later than usual."""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np

from features.days import DAY_SECONDS
from training.gates.check import Check
from training.gates.data_findings import Findings, places
from training.gates.data_volume import FLOOR
from training.gates.data_window import ROWS, Window, grid_of

_LATER: Final = 36 * 3600
"""Where files come daily, the oldest row of one is a day old and the file some hours: 36 h more is late."""

_AHEAD_SHARE: Final = 0.001
_ENOUGH_FOR_A_CLOCK: Final = 200
_SHIFTED, _ODD = 0.15, 0.35


def by_arrival(window: Window) -> str:
    """Return SQL of the rows with the day of their arrival instead of their own."""
    offset = int(window.starts[0]) - int(window.days[0]) * DAY_SECONDS
    return f"(SELECT * REPLACE ((arrived_at - {offset}) // {DAY_SECONDS} AS day) FROM {ROWS})"  # noqa: S608


def check_future(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    """Check that no row arrived before it happened, by platform, among the rows that arrived on judged days."""
    found = Findings("future", "see in which unit and zone the times come, mend the mapping, import again")
    ahead = {"rows": "count(*)", "ahead": "count_if(event_time > arrived_at)"}
    grid = grid_of(con, window, ("platform",), ahead, by_arrival(window))
    for cell in range(len(grid.cells)):
        rows, wrong = (int(grid[measure][cell, window.judged].sum()) for measure in ("rows", "ahead"))
        if wrong:
            text = f"{grid.name(cell)}: {wrong:,} of {rows:,} rows are dated after their arrival"
            found.add("FAIL" if wrong >= max(_AHEAD_SHARE * rows, 3) else "WARN", wrong, text)
    return found.check("no row is dated after its arrival")


def check_delay(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    """Check how long rows took to arrive, by platform and day of arrival: what nine of ten took at most."""
    found = Findings("delay", "see why files come late; predictions are made without what has not come")
    grid = grid_of(
        con,
        window,
        ("platform",),
        {"rows": "count(*)", "delay": "quantile_disc(greatest(arrived_at - event_time, 0), 0.9)"},
        by_arrival(window),
    )
    usual = window.usual(grid["delay"])
    enough = (grid["rows"] >= FLOOR) & (grid["rows"] >= 0.1 * window.usual(grid["rows"]))
    for cell, day in places(enough & (grid["delay"] > usual + _LATER), window):
        hours = grid["delay"][cell, day] / 3600
        text = f"{grid.name(cell)} on {window.name(day)}: a tenth of the rows came after {hours:,.0f} h or later"
        found.add("FAIL", hours, f"{text}, usually {usual[cell, day] / 3600:,.1f} h")
    return found.check("rows arrive as soon as before")


def check_clock(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    """Check at which hours things happen, by platform and day: a shifted clock is a rotated histogram."""
    found = Findings("clock", "see in which time zone the times come, mend the mapping, import the days again")
    grid = grid_of(con, window, ("platform", "(event_time // 3600) % 24"), {"rows": "count(*)"})
    platforms = grid.over([0])
    counts = np.zeros((len(platforms.cells), len(window.days), 24))
    for (platform, hour), rows_of_hour in zip(grid.cells, grid["rows"], strict=True):
        counts[platforms.cells.index((platform,)), :, int(hour)] = rows_of_hour
    rows = counts.sum(axis=2)
    before = counts[:, ~window.judged].sum(axis=1)
    usual = before / np.maximum(before.sum(axis=1, keepdims=True), 1)
    share = counts / np.maximum(rows, 1)[:, :, None]
    apart = np.stack(
        [np.abs(np.roll(share, turn, axis=2) - usual[:, None]).sum(axis=2) / 2 for turn in range(24)], axis=2
    )
    best = apart.argmin(axis=2)
    judged = (rows >= _ENOUGH_FOR_A_CLOCK) & (before.sum(axis=1, keepdims=True) >= _ENOUGH_FOR_A_CLOCK)
    shifted = (apart[:, :, 0] > _SHIFTED) & (apart.min(axis=2) < apart[:, :, 0] / 2)
    # A few busy visits make the hours of a small platform: it is only told where no earlier day was so far off.
    before_apart = (apart[:, :, 0] * (judged & ~window.judged)).max(axis=1, keepdims=True)
    odd = apart[:, :, 0] > np.maximum(_ODD, 1.5 * before_apart)
    for cell, day in places(judged & (shifted | odd), window):
        where = f"{platforms.name(cell)} on {window.name(day)}"
        if shifted[cell, day]:
            turn = (12 - int(best[cell, day])) % 24 - 12
            found.add("FAIL", apart[cell, day, 0], f"{where}: the day's rhythm is {turn:+d} h off")
        else:
            found.add("WARN", apart[cell, day, 0], f"{where}: {apart[cell, day, 0]:.0%} of rows at other hours")
    return found.check("things happen at the hours they did")
