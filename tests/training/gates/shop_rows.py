"""Canonical rows of an app and a shop, written out with SQL: every day like the others, nothing drawn."""

# ruff: noqa: S608 - names and numbers are written here
from __future__ import annotations

import duckdb

from features.events import EVENTS
from features.log.event_log import _SQL_TYPES

FIRST = 19_814  # Mon 2024-04-01
DAYS = 28
PRESENT = (FIRST + DAYS) * 86_400 + 3600
LAST = FIRST + DAYS - 1

_PARTS = {
    # kind: platform, columns that it fills; n is the number of the row within its day
    "impression": ("app", {"note": "'n' || n % 9", "category": "c",
                           "cost_micros": "CASE n % 4 WHEN 0 THEN 900 + n END",
                           "campaign": "CASE n % 4 WHEN 0 THEN 'spring' END",
                           "propensity": "CASE n % 4 WHEN 0 THEN .1 END"}),
    "read": ("app", {"note": "'n' || n % 9", "category": "c", "dwell_ms": "4000 + 30 * n"}),
    "item_view": ("shop", {"item": "'i' || n % 12", "category": "c"}),
    "purchase": ("shop", {"item": "'i' || n % 12", "category": "c", "amount": "1000 * (1 + n % 12) + n",
                          "currency": "'CNY'", "quantity": "1",
                          "discount": "CASE n % 3 WHEN 0 THEN 50 * (1 + n % 12) END",
                          '"order"': "day || '-' || n"}),
}  # fmt: skip


def connection() -> duckdb.DuckDBPyConnection:
    """Return a connection with tables events, identities, items and notes."""
    con = duckdb.connect(config={"threads": 2})
    columns = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in EVENTS.columns)
    con.execute(f"CREATE TABLE events ({columns})")
    for kind, (platform, filled) in _PARTS.items():
        # 120 rows a day over the 16 hours from eight, by 80 accounts; no two of them in one second.
        time = "day * 86400 + 28800 + (n * 480 + hash(day, n) % 400)::BIGINT"
        names = ["event_id", "source", "arrived_at", "kind", "event_time", "day", "platform", "account", *filled]
        values = [
            f"'{kind}' || day || '-' || n", "'test'", f"{time} + 60", f"'{kind}'", time, "day", f"'{platform}'",
            f"'{platform}' || (n * 7 + day) % 80", *filled.values(),
        ]  # fmt: skip
        con.execute(
            f"INSERT INTO events ({', '.join(names)}) SELECT {', '.join(values)} FROM (SELECT day, n, "
            "['tea', 'shoes', 'lamps'][1 + n % 3] AS c "
            f"FROM range({FIRST}, {FIRST + DAYS}) d(day), range(120) r(n))"
        )
    con.execute(
        "CREATE TABLE identities AS SELECT platform, account, 'p' || account[-1:] || hash(account) % 70 AS person, "
        f"{FIRST * 86_400} AS valid_from, {FIRST * 86_400} AS arrived_at FROM "
        "(SELECT DISTINCT platform, account FROM events)"
    )
    con.execute("CREATE TABLE items AS SELECT 'i' || n AS item, 1000000000 AS arrived_at FROM range(12) r(n)")
    con.execute("CREATE TABLE notes AS SELECT 'n' || n AS note, 1000000000 AS arrived_at FROM range(9) r(n)")
    return con
