"""Whether models would learn the same: rates of what tags are about, by vertical, and names the catalogue knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np

from features.events import COMMERCE_KINDS
from features.log.profile import ACTS
from training.gates.check import Check, Status
from training.gates.data_findings import Findings, surprise
from training.gates.data_volume import BEYOND_NOISE, FLOOR, SILENT
from training.gates.data_window import ROWS, Grid, Window, grid_of

_FEWER, _MORE = 0.4, 4.0
_UNKNOWN, _RATHER_UNKNOWN = 0.2, 0.05


def check_labels(
    con: duckdb.DuckDBPyConnection, window: Window, verticals: Mapping[str, Sequence[str]] | None = None
) -> Check:
    """Check how often people do what tags are about, by vertical and beside the others.

    What moves all verticals alike, a festival or a slump, is no shift between labels: `check_volume` judges that.

    Parameters
    ----------
    con
        Connection.
    window
        Days.
    verticals
        Vertical → category codes; each category by itself by default.
    """
    found = Findings("label-shift", "see whether category codes have changed, mend the mapping or the taxonomy")
    judged: list[str] = []
    for act in ACTS:
        if judged and act[0] not in COMMERCE_KINDS:  # interest in categories follows the campaigns that run
            continue
        kinds = ", ".join(f"'{kind}'" for kind in act)
        some = f"(SELECT day, category FROM {ROWS} WHERE kind IN ({kinds}) AND category IS NOT NULL)"  # noqa: S608
        grid = grid_of(con, window, ("category",), {"acts": "count(*)"}, some)
        if grid["acts"][:, ~window.judged].sum() >= FLOOR:
            judged.append(act[0])
            _shifts(grid if verticals is None else _by_vertical(grid, verticals), window, act[0], found)
    return found.check(f"{', '.join(judged)} of categories or verticals stand to each other as before")


def _shifts(grid: Grid, window: Window, act: str, found: Findings) -> None:
    rows = grid["acts"].astype(float)
    spread = window.spread(rows)[:, 0]
    before = rows[:, ~window.judged]
    weeks = [before[:, end - 7 : end].mean(axis=1) for end in range(before.shape[1], 6, -7)] or [
        before.mean(axis=1)
    ]
    usual, least, most = before.mean(axis=1), np.min(weeks, axis=0), np.max(weeks, axis=0)
    days = [[day] for day in np.flatnonzero(window.judged).tolist()]
    for span in (*days, *window.spans):
        now = rows[:, span].sum(axis=1)
        alike = now.sum() / max(usual.sum(), 1e-9)
        # Easter eggs sell in one week and not in the next: what counts is beyond the least and the most of weeks.
        for bound, beyond in ((least, now < _FEWER * least * alike), (most, now > _MORE * most * alike)):
            expected = bound * alike
            score = surprise(now, expected, spread * alike / np.sqrt(len(span)))
            lost = now <= SILENT * expected  # days differ: one day alone only counts where nothing is left
            off = beyond & (expected >= FLOOR) & (np.abs(score) > BEYOND_NOISE) & (lost | (len(span) > 1))
            when = f"on {window.name(span[0])}" if len(span) == 1 else f"in the last {len(span)} days"
            for cell in np.flatnonzero(off).tolist():
                text = f"{grid.name(cell)} {when}: {now[cell]:,.0f} {act} rows"
                found.add("FAIL", abs(score[cell]), f"{text}, {expected[cell]:,.0f} expected as the others go")


def _by_vertical(grid: Grid, verticals: Mapping[str, Sequence[str]]) -> Grid:
    codes = [cell[0] for cell in grid.cells]
    rows = [[code in set(members) for code in codes] for members in verticals.values()]
    belongs = np.array(rows, np.int64).reshape(len(verticals), len(codes))
    return Grid(tuple((name,) for name in verticals), {"acts": belongs @ grid["acts"]})


def check_catalogue(con: duckdb.DuckDBPyConnection, window: Window, table: str, column: str) -> Check:
    """Check that events name items, or notes, that the catalogue knows.

    Parameters
    ----------
    con
        Connection.
    window
        Days.
    table
        View of the catalogue.
    column
        Its key, a column of the events too.
    """
    found = Findings(f"unknown-{column}s", f"import the {column}s that are missing, or mend the mapping of the ids")
    (held,) = con.sql(f"SELECT count(*) FROM {table}").fetchall()[0]  # noqa: S608 - names are ours
    if not held:
        return found.check(f"the log has no catalogue of {column}s")
    named = f"(SELECT day, platform, {column}, count(*) AS n FROM {ROWS} WHERE {column} IS NOT NULL GROUP BY ALL)"  # noqa: S608
    grid = grid_of(
        con,
        window,
        ("platform",),
        {"rows": "sum(n)", "unknown": "sum(n) FILTER (held IS NULL)"},
        f"(SELECT named.*, held.{column} AS held FROM {named} named LEFT JOIN {table} held USING ({column}))",  # noqa: S608
    )
    share = grid["unknown"] / np.maximum(grid["rows"], 1)
    more = share - window.usual(share)
    off = (grid["rows"] >= FLOOR) & (more > _RATHER_UNKNOWN) & window.judged
    for cell, day in np.argwhere(off):
        text = f"{grid.name(cell)} on {window.name(day)}: {share[cell, day]:.0%} of rows name {column}s"
        status: Status = "FAIL" if more[cell, day] > _UNKNOWN else "WARN"
        usual = f"that the catalogue lacks, {share[cell, day] - more[cell, day]:.0%} usual"
        found.add(status, more[cell, day], f"{text} {usual}")
    unknown, rows = (int(grid[measure][:, window.judged].sum()) for measure in ("unknown", "rows"))
    return found.check(f"{unknown:,} of {rows:,} rows name {column}s that the catalogue lacks")
