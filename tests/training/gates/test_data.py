# ruff: noqa: S608 - names and numbers are written here
from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.training.gates.shop_rows import DAYS, FIRST, LAST, PRESENT, connection
from training.gates.check import Report
from training.gates.data import check_rows

AGAIN = "INSERT INTO events SELECT * REPLACE ({}) FROM events WHERE {}"
DEFECTS = {
    "schema": [
        f"UPDATE events SET kind = 'zap' WHERE kind = 'read' AND day = {LAST} AND note = 'n1'",
        f"UPDATE events SET amount = -amount WHERE day = {LAST} AND item = 'i3'",
    ],
    "future": [f"UPDATE events SET event_time = event_time * 1000 WHERE day = {LAST} AND kind = 'read'"],
    "currency": [f"UPDATE events SET currency = 'JPY' WHERE day = {LAST} AND item = 'i3'"],
    "volume": [f"DELETE FROM events WHERE platform = 'app' AND day = {LAST - 2} AND event_time % 10 < 6"],
    "missing-platform": [f"DELETE FROM events WHERE platform = 'shop' AND day = {LAST}"],
    "volume-by-kind": [f"DELETE FROM events WHERE kind = 'read' AND day = {LAST - 2} AND event_time % 10 < 8"],
    "missing-kind": [f"DELETE FROM events WHERE kind = 'purchase' AND day >= {LAST - 3}"],
    "fill": [
        f"UPDATE events SET category = NULL WHERE platform = 'shop' AND day = {LAST}",
        f"UPDATE events SET propensity = NULL WHERE day = {LAST}",
        f"UPDATE events SET amount = 0 WHERE day = {LAST}",
    ],
    "units": [
        f"UPDATE events SET amount = amount * 100 WHERE day = {LAST}",
        f"UPDATE events SET amount = amount // 100 WHERE day = {LAST} AND item IN ('i3', 'i7')",
        f"UPDATE events SET dwell_ms = dwell_ms // 1000 WHERE day = {LAST}",
        f"UPDATE events SET discount = discount * 100 WHERE day = {LAST}",
    ],
    "delay": [f"UPDATE events SET arrived_at = arrived_at + 172800 WHERE platform = 'shop' AND day = {LAST - 3}"],
    "clock": [
        "UPDATE events SET event_time = event_time - 28800, arrived_at = arrived_at - 28800, "
        f"day = (event_time - 28800) // 86400 WHERE day >= {LAST - 3}"
    ],
    "duplicates": [AGAIN.format("event_id || 'x' AS event_id", f"day = {LAST} AND event_time % 10 < 2")],
    "repeated-days": [
        f"DELETE FROM events WHERE day = {LAST}",
        AGAIN.format(
            f"event_id || 'x' AS event_id, {LAST} AS day, event_time + 172800 AS event_time, "
            "arrived_at + 172800 AS arrived_at", f"day = {LAST - 2}",
        ),
    ],
    "bots": [
        AGAIN.format("event_id || n AS event_id, 'bot' AS account, event_time + n AS event_time", f"day = {LAST}")
        .replace("FROM events", "FROM events, range(4) t(n)").replace("REPLACE", "EXCLUDE (n) REPLACE"),
    ],
    "accounts": [
        f"UPDATE events SET account = account || 'x' WHERE day >= {LAST - 1}",
        f"UPDATE events SET account = account || kind || note WHERE platform = 'app' AND day = {LAST}",
    ],
    "identities": [
        "UPDATE identities SET person = 'nobody'",
        f"UPDATE events SET account = account || 'x' WHERE platform = 'app' AND day > {LAST - 7}",
    ],
    "label-shift": [
        f"UPDATE events SET category = 'shoes' WHERE kind = 'purchase' AND category = 'tea' AND day > {LAST - 7}"
    ],
    "unknown-items": [f"UPDATE events SET item = 'new-' || item WHERE day = {LAST}"],
    "unknown-notes": [
        "DELETE FROM notes WHERE note < 'n4'", f"UPDATE events SET note = 'n8' WHERE day < {LAST - 6}",
    ],
}  # fmt: skip
TOGETHER = ("repeated-days", "unknown-notes")


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = connection()
    yield con
    con.close()


def checked(con: duckdb.DuckDBPyConnection, present: int = PRESENT, days: int = 14) -> Report:
    tables = {name: con.table(name) for name in ("identities", "items", "notes")}
    return check_rows(
        con, con.table("events"), present, timezone="UTC", currency="CNY", tables=tables, since_days=days
    )


def statuses(report: Report) -> dict[str, str]:
    return {check.name: check.status for check in report.checks}


def test_days_like_those_before_pass_every_check(con: duckdb.DuckDBPyConnection) -> None:
    found = statuses(checked(con))
    assert set(found) == set(DEFECTS)
    assert set(found.values()) == {"PASS"}


CASES = [
    pytest.param(name, sql, id=f"{name}-{number}")
    for name, statements in DEFECTS.items()
    for number, sql in enumerate([tuple(statements)] if name in TOGETHER else [(sql,) for sql in statements])
]


@pytest.mark.parametrize(("name", "statements"), CASES)
def test_check_stops_its_defect(con: duckdb.DuckDBPyConnection, name: str, statements: tuple[str, ...]) -> None:
    for sql in statements:
        con.execute(sql)
    report = checked(con)
    assert name in {check.name for check in report.failed}
    (check,) = (check for check in report.checks if check.name == name)
    assert check.count >= 1
    assert check.examples
    assert check.next_step


def test_days_that_nobody_knew_of_at_the_present_are_not_looked_at(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM events WHERE platform = 'shop' AND day = {LAST}")
    report = checked(con, LAST * 86_400 + 3600)
    assert report.passed


def test_growth_weekends_and_a_festival_pass(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM events WHERE day % 7 IN (2, 3) AND event_time % 10 < 7")  # Saturdays and Sundays
    con.execute(  # two weeks in which everybody does a third more
        AGAIN.format(
            "event_id || 'x' AS event_id, account || 'x' AS account, event_time + 1 AS event_time",
            f"day > {LAST - 14} AND event_time % 3 = 0",
        )
    )
    con.execute(  # one day with three times the purchases at two thirds of the price, and no longer a twentieth off
        AGAIN.format(
            "event_id || n AS event_id, event_time + 2 + n AS event_time, amount * 2 // 3 AS amount, "
            "amount // 3 AS discount",
            f"kind = 'purchase' AND day = {LAST - 4}",
        ).replace("FROM events", "FROM events, range(2) t(n)").replace("REPLACE", "EXCLUDE (n) REPLACE")
    )  # fmt: skip
    assert checked(con).failed == ()


def test_short_log_is_judged_by_what_needs_no_past(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM events WHERE day >= {FIRST + 5}")
    report = checked(con, (FIRST + 5) * 86_400)
    assert statuses(report) == {"schema": "PASS", "future": "PASS", "currency": "PASS"}


def test_log_that_stopped_is_not_let_off(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM events WHERE day > {LAST - 3}")
    assert "missing-platform" in {check.name for check in checked(con).failed}


def test_log_without_a_known_row_fails(con: duckdb.DuckDBPyConnection) -> None:
    report = checked(con, (FIRST - 1) * 86_400)
    assert [check.said for check in report.failed] == ["no event had arrived by then"]


def test_examples_name_no_account(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"UPDATE events SET account = 'somebody' WHERE day > {LAST - DAYS // 4}")
    told = str(checked(con).as_dict())
    assert "somebody" not in told


def test_new_kind_is_told_and_stops_nothing(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"UPDATE events SET kind = 'cart' WHERE kind = 'item_view' AND hash(event_id) % 2 = 0 AND day = {LAST}"
    )
    (schema,) = (check for check in checked(con).checks if check.name == "schema")
    assert schema.status == "WARN"
    assert schema.said.startswith("shop: kind cart is new on it, ")


def test_lost_vertical_is_named_by_its_own_name(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"UPDATE events SET category = 'x' WHERE category IN ('tea', 'lamps') AND day > {LAST - 7}")
    tables = {name: con.table(name) for name in ("identities", "items", "notes")}
    report = check_rows(
        con, con.table("events"), PRESENT, timezone="UTC", currency="CNY", tables=tables,
        verticals={"home": ("tea", "lamps"), "sports": ("shoes",)},
    )  # fmt: skip
    (shift,) = (check for check in report.checks if check.name == "label-shift")
    assert shift.status == "FAIL"
    assert shift.said.startswith("home in the last ")


def test_ads_that_end_warn_and_a_log_of_ads_alone_is_checked(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM events WHERE campaign IS NOT NULL AND day > {LAST - 7}")
    (missing,) = (check for check in checked(con).checks if check.name == "missing-kind")
    assert missing.status == "WARN"
    assert missing.said.startswith("app impression of campaigns in the last 7 days: 0 rows, 210 usual")
    con.execute("UPDATE events SET campaign = 'summer'")
    assert "volume" in statuses(checked(con))


def test_seasonal_category_is_no_shift(con: duckdb.DuckDBPyConnection) -> None:
    # Lamps sell in the first of the weeks before, and never again.
    con.execute(f"DELETE FROM events WHERE category = 'lamps' AND day >= {FIRST + 7}")
    assert statuses(checked(con))["label-shift"] == "PASS"


def test_somebody_who_was_as_busy_before_is_no_bot(con: duckdb.DuckDBPyConnection) -> None:
    (statement,) = DEFECTS["bots"]
    assert f"day = {LAST}" in statement
    con.execute(statement.replace(f"day = {LAST}", f"day IN ({LAST - 20}, {LAST})"))
    assert statuses(checked(con))["bots"] == "PASS"
