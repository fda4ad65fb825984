"""What a training run reads: one version of the log, as tables that DuckDB can spill."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from features.days import DAY_SECONDS, instant_of
from features.event_log import EventLog
from features.settings import Settings


@dataclass(frozen=True)
class LogSource:
    """One frozen version of the event log.

    Parameters
    ----------
    con
        Connection that the relations live on.
    events, identities
        Canonical tables; the events are sorted by account and time.
    timezone
        The log's time zone.
    data_version
        Names the data: the log's version and a fingerprint of what it holds.
    first, last
        Times of the first and of the last event, epoch seconds.
    """

    con: duckdb.DuckDBPyConnection
    events: duckdb.DuckDBPyRelation
    identities: duckdb.DuckDBPyRelation
    timezone: str
    data_version: str
    first: int
    last: int

    def kinds(self, before: int) -> tuple[str, ...]:
        """Return the event kinds that were known before an instant, sorted."""
        known = self.events.filter(f"event_time < {before} and arrived_at <= {before}")
        return tuple(sorted(kind for (kind,) in known.project("kind").distinct().fetchall()))


def present_of(log: EventLog, text: str) -> int:
    """Read the instant that a run takes as its present.

    Parameters
    ----------
    log
        The event log.
    text
        A day, an ISO time, or ``now``. Where the log ended more than a day ago, ``now`` is the log's end: nothing
        is known of the days since, and as of today everybody would seem to have stopped.

    Returns
    -------
    int
        Epoch seconds.
    """
    instant = instant_of(text, log.timezone)
    con = log.connect()
    end = log.span(con)[1] + 1
    con.close()
    return end if text.strip().lower() == "now" and instant > end + DAY_SECONDS else instant


def open_source(settings: Settings) -> LogSource:
    """Read the log's present version once; every window is computed from the copy.

    Raises
    ------
    EventLogError
        There is no log yet, or it holds no events.
    """
    log = EventLog.open(settings)
    con = log.connect()
    first, last = log.span(con)
    log.events(con).order("account, event_time").create("log_events")
    events = con.table("log_events")
    identities = log.table(con, "identities")
    return LogSource(con, events, identities, log.timezone, _data_version(log, events, identities), first, last)


def _data_version(log: EventLog, events: duckdb.DuckDBPyRelation, identities: duckdb.DuckDBPyRelation) -> str:
    # The order of rows in files is no part of the data, so the fingerprint is an xor; counts go in because equal
    # pairs cancel out. A log that was deleted and imported anew has the same version number but not this.
    total, bits = events.aggregate("count(*), bit_xor(hash(event_id, arrived_at))").fetchall()[0]
    links, link_bits = identities.aggregate(
        "count(*), coalesce(bit_xor(hash(row_id, valid_from, consent)), 0)"
    ).fetchall()[0]
    return f"v{log.version}-{total}-{int(bits) ^ (int(link_bits) + int(links)):016x}"
