"""What a training run reads: one version of the log, as tables that DuckDB can spill."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb

from features.days import DAY_SECONDS, instant_of
from features.durable import write_durably
from features.errors import LogTooShortError
from features.events import EVENTS
from features.locks import READING_LOCK, Shared
from features.log.event_log import EventLog
from features.log.profile import usual_gap
from features.settings import Settings
from training.people_sample import sampled_accounts

_EVENTS: Final = "log_events"
_IDENTITIES: Final = "log_identities"
_OF_CHOSEN: Final = "select rows.* from rows semi join log_accounts using (account)"


@dataclass(frozen=True)
class LogSource:
    """One frozen version of the event log.

    Parameters
    ----------
    con
        Connection that the relations live on.
    events, identities
        Canonical tables; copied events are compressed, and sorted by kind, account and time.
    timezone
        The log's time zone.
    data_version
        Names the data: the log's version and a fingerprint of what it holds.
    last
        Time of the last event, epoch seconds.
    version
        Of the log's events.
    reading
        Keeps people from being erased while what was read of them is worked with.
    """

    con: duckdb.DuckDBPyConnection
    events: duckdb.DuckDBPyRelation
    identities: duckdb.DuckDBPyRelation
    timezone: str
    data_version: str
    last: int
    version: int = -1
    reading: Shared | None = None

    def beside(self) -> LogSource:
        """Return the same version on a connection of its own, for another thread; whoever asks closes that."""
        con = self.con.cursor()
        return replace(self, con=con, events=con.table(_EVENTS), identities=con.table(_IDENTITIES))

    def first(self, known_at: int) -> int:
        """Return the time of the first event that had happened and arrived by an instant.

        Raises
        ------
        LogTooShortError
            None had.
        """
        (first,) = self._known(known_at).aggregate("min(event_time)").fetchall()[0]
        if first is None:
            raise LogTooShortError(
                "no event had happened and arrived by the as-of date",
                next_step="name a later date; a later import of events that were known when they happened needs "
                "--backfill",
            )
        return int(first)

    def kinds(self, before: int) -> tuple[str, ...]:
        """Return the event kinds that were known before an instant, sorted."""
        return tuple(sorted(kind for (kind,) in self._known(before).project("kind").distinct().fetchall()))

    def accounts(self, known_at: int) -> int:
        """Return how many accounts had an event that was known by an instant."""
        (number,) = self._known(known_at).aggregate("count(distinct account)").fetchall()[0]
        return int(number)

    def last_arrival(self, before: int) -> int:
        """Return when the last of the events before an instant arrived; that instant where there is none."""
        (last,) = self.events.filter(f"event_time < {before}").aggregate("max(arrived_at)").fetchall()[0]
        return before if last is None else int(last)

    def rhythm(self, known_at: int) -> int:
        """Return the usual number of days from one day with events to the next, known by an instant."""
        return usual_gap(self._known(known_at))

    def _known(self, at: int) -> duckdb.DuckDBPyRelation:
        return self.events.filter(f"event_time < {at} and arrived_at <= {at}")


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


def open_source(
    settings: Settings,
    *,
    copied: bool = True,
    version: int | None = None,
    identities: int | None = None,
    most_people: int | None = None,
) -> LogSource:
    """Read one version of the log once; every window is computed from the copy.

    Parameters
    ----------
    settings
        Where the log lies.
    copied
        Whether the events are copied. Without, an import meanwhile changes nothing either, but an erasure takes the
        files away: for whoever reads them a few times only and can begin anew.
    version, identities
        Of the events and of the identities; the latest by default.
    most_people
        Read about so many people only, as `training.people_sample.sampled_accounts` chooses them; all by default.

    Raises
    ------
    EventLogError
        There is no log yet, or it holds no events, or the version is gone.
    """
    log = EventLog.open(settings)
    reading = Shared(settings.work_dir / READING_LOCK)
    con = log.connect()
    # One version throughout: an import meanwhile changes nothing; and copied, an erasure takes no file away.
    version = log.version if version is None else version
    _, last = log.span(con, version)
    events, links = log.events(con, version), log.table(con, "identities", identities)
    chosen = None if most_people is None else sampled_accounts(con, events, links, most_people)
    if chosen is not None:
        chosen.create("log_accounts")
        events, links = (rows.query("rows", _OF_CHOSEN) for rows in (events, links))
    if copied:
        # A tenth of the memory of DuckDB's own tables; and who asks about purchases reads no impressions.
        con.execute("attach ':memory:' as copied (compress)")
        events.order("kind, account, event_time").create(f"copied.{_EVENTS}")
        con.execute("checkpoint copied")
        events = con.table(f"copied.{_EVENTS}")
    events.create_view(_EVENTS)
    links.create(_IDENTITIES)
    said = _data_version(con, version, None if chosen is not None else _fingerprint_file(log, version))
    return LogSource(con, con.table(_EVENTS), con.table(_IDENTITIES), log.timezone, said, last, version, reading)


def _data_version(con: duckdb.DuckDBPyConnection, version: int, known: Path | None) -> str:
    events = _fingerprint(con, _EVENTS, known)
    said = [events, _fingerprint(con, _IDENTITIES)]
    return f"v{version}-{events[0]}-{hashlib.sha256(repr(said).encode()).hexdigest()[:16]}"


def _fingerprint(con: duckdb.DuckDBPyConnection, table: str, known: Path | None = None) -> tuple[int, int]:
    """Return the number of rows and a fingerprint of them, which is kept in a file where one is named."""
    if known is not None and known.exists():
        rows, said = json.loads(known.read_text(encoding="ascii"))
        return int(rows), int(said)
    # The order of rows in files is no part of the data, so the fingerprint is an xor; counts go in because equal
    # pairs cancel out. It covers every column: a log that was deleted and imported anew through a mended mapping
    # has the same version number and the same ids, and other numbers.
    found = con.sql(f"select count(*), coalesce(bit_xor(hash(r)), 0) from {table} r").fetchall()[0]  # noqa: S608
    if known is not None:
        known.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(known, json.dumps(found))
    return int(found[0]), int(found[1])


def _fingerprint_file(log: EventLog, version: int) -> Path:
    """Return where the fingerprint of a version's events is kept, by the names of its parts."""
    names = [Path(file).name for file in log.log_table(EVENTS.name).files(version)]
    key = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
    return log.settings.work_dir / "fingerprints" / f"{key}.json"
