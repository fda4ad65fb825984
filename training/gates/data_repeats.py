"""Whether something came twice: rows with other ids but the same content, and days that equal another day."""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np

from features.days import DAY_SECONDS
from training.gates.check import Check, Status
from training.gates.data_findings import Findings, places
from training.gates.data_volume import BEYOND_NOISE, FLOOR
from training.gates.data_window import ROWS, Window, grid_of

_SAMPLE: Final = "checked_contents"
_SAMPLED_ROWS: Final = 400_000
_TWICE, _RATHER_TWICE = 0.05, 0.01
_COPIED: Final = 0.5
_SAME: Final = "hash(platform, account, kind, note, item, amount, quantity)"


def check_repeats(con: duckdb.DuckDBPyConnection, window: Window, rows: int) -> tuple[Check, Check]:
    """Check judged days for rows that came twice, and for copies of other days.

    Of large logs all rows of some accounts are looked at, chosen by hash.
    """
    first, last = int(window.days[0]), int(window.days[-1])
    one_of = max(1, rows // _SAMPLED_ROWS)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_SAMPLE} AS SELECT day, platform, kind, "  # noqa: S608
        f"hash({_SAME}, event_time % {DAY_SECONDS}) AS content FROM {ROWS} "
        f"WHERE day BETWEEN {first} AND {last} AND hash(account) % {one_of} = 0"
    )
    return _rows(con, window), _days(con, window)


def _rows(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    found = Findings("duplicates", "see whether a file came twice under other ids, and remove one of them")
    grid = grid_of(
        con,
        window,
        ("platform", "kind"),
        {"rows": "count(*)", "again": "count(*) - count(DISTINCT content)"},
        _SAMPLE,
    )
    rows, again = grid["rows"], grid["again"]
    before = ~window.judged
    rate = again[:, before].sum(axis=1, keepdims=True) / np.maximum(rows[:, before].sum(axis=1, keepdims=True), 1)
    share = again / np.maximum(rows, 1)
    noise = BEYOND_NOISE * np.sqrt(np.maximum(rows * rate * (1 - rate), 1))
    off = (rows >= FLOOR) & (again - rate * rows > noise) & (share > rate + _RATHER_TWICE)
    for cell, day in places(off, window):
        text = f"{grid.name(cell)} on {window.name(day)}: {share[cell, day]:.1%} of rows came twice"
        status: Status = "FAIL" if share[cell, day] > rate[cell, 0] + _TWICE else "WARN"
        found.add(status, share[cell, day], f"{text}, {rate[cell, 0]:.1%} before")
    return found.check("no more rows have the same content than before")


def _days(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    found = Findings("repeated-days", "see which of the two days is the true one, and import the other anew")
    first = int(window.days[window.judged][0])
    pairs = con.sql(
        f"""
        WITH content AS (SELECT DISTINCT platform, day, content FROM {_SAMPLE}),
        size AS (SELECT platform, day, count(*) AS size FROM content GROUP BY ALL HAVING size >= {FLOOR})
        SELECT a.platform, a.day, b.day, count(*) / any_value(size)
        FROM content a JOIN content b ON a.content = b.content AND a.platform = b.platform AND b.day < a.day
        JOIN size ON size.platform = a.platform AND size.day = a.day
        WHERE a.day >= {first} GROUP BY ALL HAVING count(*) >= {_COPIED} * any_value(size) ORDER BY ALL
        """  # noqa: S608 - names and numbers are ours
    ).fetchall()
    begin = int(window.days[0])
    for platform, day, other, share in pairs:
        found.add(
            "FAIL",
            share,
            f"{platform} on {window.name(day - begin)}: {share:.0%} is as on {window.name(other - begin)}",
        )
    return found.check("no day is a copy of another")
