"""Whether numbers mean what they meant: prices beside those of the same items, times, costs, currencies."""

from __future__ import annotations

from typing import Final

import duckdb
import numpy as np

from training.gates.check import Check
from training.gates.data_findings import Findings
from training.gates.data_window import ROWS, Window, grid_of

_FEWEST: Final = 10
_FAR, _RATHER_FAR = (
    3.0,
    1.6,
)  # festivals take a third off prices, which is a factor of 1.5; units differ by 10 and more
_UNIT_FACTOR: Final = 30.0  # between what a sale does and the 60, 100 or 1,000 of another unit
_UNIT_SHARE: Final = 0.05
# Columns beside money whose typical value a change of unit moves; their level may drift by more than prices do.
_DRIFT: Final = {
    "quantity": 5.0,
    "dwell_ms": 5.0,
    "read_percent": 5.0,
    "cost_micros": 5.0,
    # From the few percent of every day to the third of a sale, and back.
    "discount": 20.0,
    "coupon": 20.0,
}


def check_units(con: duckdb.DuckDBPyConnection, window: Window) -> Check:
    """Check prices, item by item, and the typical value of other columns, by platform, kind and day."""
    found = Findings("units", "see in which unit the column now comes, mend the mapping, import the days again")
    _prices(con, window, found)
    _levels(con, window, found)
    return found.check("prices and other numbers are of the same size as before")


def _prices(con: duckdb.DuckDBPyConnection, window: Window, found: Findings) -> None:
    first = int(window.days[window.judged][0])
    begin, end = int(window.days[0]), int(window.days[-1])
    # An item's usual price is that of its own earlier lines on any platform, else that of its category.
    rows = con.sql(
        f"""
        WITH line AS (
            SELECT platform, kind, day, item, category, ln(amount / greatest(coalesce(quantity, 1), 1)) AS price
            FROM {ROWS} WHERE amount > 0 AND day BETWEEN {begin} AND {end}
        ), of_item AS (
            SELECT item, kind, median(price) AS usual FROM line
            WHERE day < {first} AND item IS NOT NULL GROUP BY ALL HAVING count(*) >= 3
        ), of_category AS (
            SELECT category, kind, median(price) AS usual FROM line WHERE day < {first} GROUP BY ALL
        )
        SELECT platform || ' ' || line.kind, strftime(DATE '1970-01-01' + day::INTEGER, '%a %Y-%m-%d'), count(*),
            exp(median(off)), count_if(abs(off) > {np.log(_UNIT_FACTOR)}) / count(*)
        FROM (
            SELECT line.*, price - coalesce(i.usual, c.usual) AS off
            FROM line LEFT JOIN of_item i USING (item, kind)
            LEFT JOIN of_category c ON c.category IS NOT DISTINCT FROM line.category AND c.kind = line.kind
            WHERE day >= {first}
        ) line WHERE off IS NOT NULL
        GROUP BY ALL HAVING count(*) >= {_FEWEST} ORDER BY ALL
        """  # noqa: S608 - names and numbers are ours
    ).fetchall()
    usual = con.sql(
        f"SELECT quantile_cont(amount, [0.05, 0.95]) FROM {ROWS} WHERE amount > 0 AND day BETWEEN {begin} "  # noqa: S608
        f"AND {first - 1}"
    ).fetchall()[0][0]
    wide = usual is not None and usual[1] / max(usual[0], 1) > _UNIT_FACTOR**2
    for cell, day, lines, ratio, share in rows:
        text = f"amount of {cell} on {day}: x{ratio:,.3g} the earlier price of the same items, {lines:,} lines"
        if not 1 / _FAR <= ratio <= _FAR:
            found.add("FAIL", abs(np.log(ratio)) * lines, text)
        elif share >= _UNIT_SHARE and share * lines >= 3 and not wide:
            found.add("FAIL", share * lines, f"{text}, {share:.1%} of them more than x{_UNIT_FACTOR:g} off")
        elif not 1 / _RATHER_FAR <= ratio <= _RATHER_FAR:
            found.add("WARN", abs(np.log(ratio)), text)


def _levels(con: duckdb.DuckDBPyConnection, window: Window, found: Findings) -> None:
    some = " OR ".join(f"{column} > 0" for column in _DRIFT)
    measures = {f"rows {column}": f"count_if({column} > 0)" for column in _DRIFT} | {
        column: f"round(1e6 * median({column}) FILTER ({column} > 0))" for column in _DRIFT
    }
    grid = grid_of(con, window, ("platform", "kind"), measures, f"(SELECT * FROM {ROWS} WHERE {some})")  # noqa: S608
    for column, most in _DRIFT.items():
        rows = grid[f"rows {column}"]
        enough = rows >= _FEWEST
        level = np.where(enough, grid[column], np.nan).astype(float)
        for cell, name in enumerate(grid.cells):
            earlier = level[cell, ~window.judged]
            if np.isfinite(earlier).sum() < 3:
                continue
            usual = float(np.nanmedian(earlier))
            for day in np.flatnonzero(window.judged & enough[cell]).tolist():
                ratio = level[cell, day] / usual
                if 1 / most <= ratio <= most:
                    continue
                found.add(
                    "FAIL",
                    abs(np.log(ratio)) * rows[cell, day],
                    f"{column} of {' '.join(name)} on {window.name(day)}: {level[cell, day] / 1e6:,.4g} in the "
                    f"middle, {usual / 1e6:,.4g} before",
                )


def check_currency(con: duckdb.DuckDBPyConnection, window: Window, currency: str) -> Check:
    """Check that money is of the log's currency, by platform."""
    found = Findings("currency", "import money of one currency; a mapping names that of its source")
    grid = grid_of(
        con, window, ("platform", "currency"), {"rows": "count(*)"},
        f"(SELECT * FROM {ROWS} WHERE amount IS NOT NULL AND currency IS NOT NULL)",  # noqa: S608
    )  # fmt: skip
    rows = 0
    for (platform, code), number in zip(grid.cells, grid["rows"][:, window.judged].sum(axis=1), strict=True):
        rows += int(number)
        if number and code != currency:
            found.add("FAIL", number, f"{platform}: {number:,} amounts in {code}, the log counts in {currency}")
    return found.check(f"{rows:,} amounts in {currency}")
