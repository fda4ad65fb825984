"""Data checks: what of a log must be as it was before models may learn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from features.events import KINDS
from features.log.event_log import EventLog
from training.gates.check import Check, Report
from training.gates.data_accounts import check_accounts, check_identities
from training.gates.data_fill import ADS, DELIVERY, check_fill, check_schema, measures
from training.gates.data_labels import check_catalogue, check_labels
from training.gates.data_repeats import check_repeats
from training.gates.data_times import check_clock, check_delay, check_future
from training.gates.data_values import check_currency, check_units
from training.gates.data_volume import check_volume
from training.gates.data_window import JUDGED_DAYS, ROWS, Window, grid_of

TABLES = ("identities", "items", "notes")


def check_data(
    log: EventLog,
    present: int,
    *,
    version: int | None = None,
    since_days: int = JUDGED_DAYS,
    verticals: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Compare the newest days of a log with the days before them.

    Parameters
    ----------
    log
        The event log.
    present
        Only rows that had arrived by then are looked at, epoch seconds.
    version
        Of the events; the latest by default.
    since_days
        Days to judge at most; half of a short log.
    verticals
        Vertical → category codes, for the rates of labels; each category by itself by default.

    Returns
    -------
    Report
        About "data".
    """
    con = log.connect()
    try:
        tables = {name: log.table(con, name, known_at=present) for name in TABLES}
        return check_rows(
            con,
            log.events(con, version),
            present,
            timezone=log.timezone,
            currency=log.currency,
            tables=tables,
            since_days=since_days,
            verticals=verticals,
        )
    finally:
        con.close()


def check_rows(
    con: duckdb.DuckDBPyConnection,
    events: duckdb.DuckDBPyRelation,
    present: int,
    *,
    timezone: str,
    currency: str,
    tables: Mapping[str, duckdb.DuckDBPyRelation],
    since_days: int = JUDGED_DAYS,
    verticals: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Check canonical rows; see `check_data`.

    Parameters
    ----------
    con
        Connection that the relations live on.
    events
        Canonical events.
    present
        Epoch seconds.
    timezone, currency
        The log's.
    tables
        Canonical identities, items and notes.
    since_days, verticals
        See `check_data`.
    """
    events.filter(f"arrived_at <= {int(present)}").create_view(ROWS, replace=True)
    for name, relation in tables.items():
        relation.filter(f"arrived_at <= {int(present)}").create_view(f"checked_{name}", replace=True)
    first, last, rows = con.sql(
        f"SELECT min(day), max(day), count(*) FROM {ROWS} WHERE event_time <= {int(present)}"  # noqa: S608
    ).fetchall()[0]
    if not rows:
        return Report("data", (Check("volume", "FAIL", "no event had arrived by then", next_step="import some"),))
    window = Window.of(int(first), int(last), present, timezone, since_days)
    ends = f"list_extract({[int(start) for start in window.starts[1:]]}, day - {int(window.days[0]) - 1})"
    soon = {"rows": "count(*)", "soon": f"count_if(arrived_at <= {ends} + {window.lag})"}
    delivery = grid_of(con, window, ("platform", "kind", DELIVERY), soon | measures())
    grid = delivery.over([0, 1])
    checks: list[Check] = [
        check_schema(grid, window),
        check_future(con, window),
        check_currency(con, window, currency),
    ]
    if window.comparable:
        # Hides are mostly of ads, so what they fill changes with the campaigns that run.
        checks += check_volume(delivery.where(2, "").over([0, 1]), delivery.where(2, *ADS), window)
        checks += [
            check_fill(delivery.where(1, *(set(KINDS) - {"hide"})), window),
            check_units(con, window),
            check_delay(con, window),
            check_clock(con, window),
        ]
        checks += check_repeats(con, window, int(grid["rows"].sum()))
        checks += [*check_accounts(con, window), check_identities(con, window)]
        checks += [check_labels(con, window, verticals)]
        checks += [check_catalogue(con, window, f"checked_{name}s", name) for name in ("item", "note")]
    return Report("data", tuple(checks))
