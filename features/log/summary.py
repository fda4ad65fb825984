"""What a log holds: counts, time span, people, quarantined rows, and the history of its versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from features.events import TABLES
from features.log.event_log import EventLog
from features.log.quarantine import counts


@dataclass(frozen=True)
class LogSummary:
    """A log in figures.

    Parameters
    ----------
    version
        Version of the events.
    timezone, currency
        Of the log.
    rows
        Canonical table → number of rows; tables that hold none are left out.
    events
        One entry per platform and kind with ``platform``, ``kind``, ``count``, ``first``, ``last``.
    first, last
        Time span of the events, ISO in UTC; None without events.
    accounts, people
        Accounts that acted, and the people that they belong to by the latest links.
    quarantined
        Quarantine → number of rows.
    history
        One entry per import and table, oldest first.
    """

    version: int
    timezone: str
    currency: str
    rows: dict[str, int]
    events: list[dict[str, Any]]
    first: str | None
    last: str | None
    accounts: int
    people: int
    quarantined: dict[str, int]
    history: list[dict[str, Any]]


def summarise(log: EventLog) -> LogSummary:
    """Count what a log holds."""
    con = log.connect()
    try:
        rows = {}
        for name in TABLES:
            held = log.rows if name == "identities" else log.table  # without what follows from people's own word
            number = held(con, name).aggregate("count(*)").fetchall()[0][0]
            if number:
                rows[name] = int(number)
        con.register("events", log.events(con))
        con.register("identities", log.rows(con, "identities"))
        found = con.execute(
            "SELECT platform, kind, count(*), min(event_time), max(event_time) FROM events "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        accounts, people = con.execute(
            "SELECT count(*), count(DISTINCT coalesce(person, account)) FROM "
            "(SELECT DISTINCT account FROM events) LEFT JOIN (SELECT account, "
            "arg_max(person, (valid_from, arrived_at)) AS person FROM identities GROUP BY account) USING (account)"
        ).fetchall()[0]
    finally:
        con.close()
    return LogSummary(
        version=log.version,
        timezone=log.timezone,
        currency=log.currency,
        rows=rows,
        events=[
            {"platform": platform, "kind": kind, "count": count, "first": _iso(first), "last": _iso(last)}
            for platform, kind, count, first, last in found
        ],
        first=_iso(min(row[3] for row in found)) if found else None,
        last=_iso(max(row[4] for row in found)) if found else None,
        accounts=int(accounts),
        people=int(people),
        quarantined=counts(log.settings),
        history=log.history(),
    )


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
