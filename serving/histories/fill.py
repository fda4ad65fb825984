"""Filling the store of histories with what everybody did until an instant, in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.days import DAY_SECONDS, day_text
from features.errors import EventLogError, LogTooShortError
from features.impressions.columns import KEPT_KINDS, REACH_DAYS
from features.inbox.file import LOG_READER
from features.inbox.hold import held_for
from features.log.event_log import EventLog
from features.people.acts import READ, person_codes, read_acts
from features.people.person_links import PersonLinks
from features.people.population import population
from features.processes import in_threads
from features.settings import Settings
from features.spine import Spine
from serving.consent.log import deleted_tags, withdrawn_since
from serving.histories.packed import ACTS_SCHEMA, person_batches
from serving.histories.parted_events import parted_events
from serving.histories.person_scores import PersonScores, scoring_tags
from serving.histories.shared_facts import shared_parts
from serving.histories.sqlite_store import SqliteHistories
from serving.histories.store import HistoryInfo, Scores
from serving.online.backfill import linked_accounts
from training.source import present_of
from training.steps import Steps

HISTORIES_READER: Final = "histories"
"""Of the inbox: feeds the store of histories."""
READ_TABLES: Final = ("events", "identities", "notes", "note_items", "items")
"""Of the log, that a fill reads."""
_EVENTS_AT_ONCE: Final = 1_000_000
Made: TypeAlias = tuple[str, dict[str, pa.RecordBatch], dict[str, str], dict[str, Scores]]
_SLACK_DAYS: Final = 3
"""Days read beyond the longest window, so that no clock change cuts a day off."""


def fill_histories(settings: Settings, as_of: str, now: int, steps: Steps) -> HistoryInfo:
    """Replace the store's content; readers see the old histories until all are there.

    Where the conversion champion reads scores of tags, everybody's are computed and kept beside the histories.

    Interrupted, it goes on behind the last finished part, as long as the log is the same.

    Parameters
    ----------
    settings
        Where log and store lie.
    as_of
        Day, ISO time or ``now``, as `training.source.present_of` reads it.
    now
        Who has withdrawn consent by then is left out, too.
    steps
        Tells how far it is.

    Returns
    -------
    HistoryInfo
        What the store holds.

    Raises
    ------
    EventLogError
        There is no log, it holds no events, or the instant has not come yet.
    LogTooShortError
        No event of anybody who agrees to be personalised was known by the instant.
    StoreError
        Another fill is under way.
    BundleError
        The conversion champion reads scores of tags, and is corrupt.
    """
    log = EventLog.open(settings)
    with held_for(log, HISTORIES_READER):
        return _fill(settings, log, as_of, now, steps)


def _fill(settings: Settings, log: EventLog, as_of: str, now: int, steps: Steps) -> HistoryInfo:
    present = present_of(log, as_of)
    if as_of.strip().lower() == "now":
        # What has just arrived belongs to it: live events go on from there.
        con = log.connect()
        present = max(present, min(_known_by(log.events(con)), now + 1))
        con.close()
    if present > now + DAY_SECONDS:
        raise EventLogError(
            "histories as of a day to come would answer nobody until then",
            value=as_of,
            next_step="run `zhongcao fill`, or name a day that has been",
        )
    refused = withdrawn_since(settings, present, now)
    tags = scoring_tags(settings)
    con = log.connect()
    source = HistorySource.of(log, con, present)
    store = SqliteHistories(settings.histories_file)
    scored_by = "" if tags is None else tags.version
    with store.fill(ACTS_SCHEMA, present, source.name(refused), scored_by) as fill:
        parts = [spine for _, spine in source.people.chunks(source.people_at_once)]
        waiting = [spine for spine in parts if spine.persons[-1] > fill.done]
        what = f"histories{' and scores of ' + scored_by if scored_by else ''}"
        with steps.step(f"{what} as of {day_text(present, log.timezone)}", len(waiting) + 1) as advance:
            scores = (
                PersonScores(tags, con, source.events, source.people, deleted_tags(settings))
                if tags and waiting
                else None
            )
            # Scores are of all of the past.
            after = 0 if scores else source.after
            cut = settings.work_dir / "histories"
            with parted_events(
                source.events,
                source.links,
                waiting,
                cut,
                after=after,
                kept=KEPT_KINDS,
                columns=None if scores else READ,
            ) as read:

                def made(number: int) -> Made:
                    # Scores are asked of the connection that the fill has.
                    own = replace(source, events=read(number, con if scores else con.cursor()))
                    return _made(own, waiting[number], refused, scores)

                for part in in_threads(made, range(len(waiting)), 1 if scores else settings.threads):
                    fill.add(*part)
                    advance()
            # Also of people who did nothing so far: their first live event is theirs, and not the account's.
            fill.add(fill.done, {}, linked_accounts(log.table(con, "identities"), present, refused))
            if source.whole:
                fill.live(source.position, sorted(refused))
            for name, content in source.shared(log, con):
                fill.share(name, content)
            advance()
    _say_what_came_later(steps, log, con, present)
    con.close()
    info = store.describe()
    store.close()
    return info


def _say_what_came_later(steps: Steps, log: EventLog, con: duckdb.DuckDBPyConnection, present: int) -> None:
    """Say how much of the catalogue counts as unknown: without times of its own it arrives with its import."""
    for name, lacking in (
        ("notes", "candidates that name them have no brand, topic or price"),
        ("items", "no price"),
    ):
        rows = [log.table(con, name, known_at=known_at) for known_at in (present, None)]
        known, every = (relation.aggregate("count(*)").fetchall()[0][0] for relation in rows)
        if known < every:
            steps.say(
                f"{every - known:,} of {every:,} {name} arrived later and count as unknown ({lacking}); a mapping "
                "of their arrived_at says since when they were known"
            )


def kept_after(present: int) -> int:
    """Return from when on a fill reads events, but for those of kinds that are kept for ever."""
    return present - (REACH_DAYS + _SLACK_DAYS) * DAY_SECONDS


def _known_by(events: duckdb.DuckDBPyRelation) -> int:
    """Return from when on all events are known."""
    (known,) = events.aggregate("greatest(max(event_time) + 1, max(arrived_at))").fetchall()[0]
    return int(known or 0)


@dataclass(frozen=True)
class HistorySource:
    """What was known at an instant: events, links, and everybody who agrees to be personalised.

    Live events can follow where that is the `whole` log; its version holds all of them up to `position`.
    """

    began: dict[str, int]
    versions: dict[str, int]
    events: duckdb.DuckDBPyRelation
    links: PersonLinks
    people: Spine
    people_at_once: int
    position: int
    whole: bool

    @classmethod
    def of(
        cls,
        log: EventLog,
        con: duckdb.DuckDBPyConnection,
        present: int,
        tables: Mapping[str, int] | None = None,
    ) -> HistorySource:
        """Read what was known at an instant from given versions of the log's tables, the latest by default."""
        found = {name: log.log_table(name).version for name in READ_TABLES} if tables is None else dict(tables)
        version = found["events"]
        every = log.events(con, version)
        events = every.filter(f"event_time < {present} and arrived_at <= {present}")
        identities = log.table(con, "identities", found["identities"])
        people = population(events, identities, [present], log.timezone)
        if not len(people):
            raise LogTooShortError(
                "no event of anybody who agrees to be personalised was known by the as-of date",
                value=day_text(present, log.timezone),
                next_step="name a later date; a later import of events that were known when they happened needs "
                "--backfill",
            )
        (rows,) = events.aggregate("count(*)").fetchall()[0]
        at_once = max(1, _EVENTS_AT_ONCE * len(people) // rows)
        began = {f"{e['table']} since {e['committed_at']}": 0 for e in log.history() if e["version"] == 0}
        position = log.log_table("events").position(LOG_READER, version)
        known = _known_by(every) <= present
        links = PersonLinks(identities, present)
        return cls(began, found, events, links, people, at_once, position, known)

    @property
    def present(self) -> int:
        """The instant, epoch seconds."""
        return int(self.people.instants[0])

    @property
    def after(self) -> int:
        """From when on events can count, but for those of kinds that are kept for ever."""
        return kept_after(self.present)

    def name(self, refused: Sequence[str]) -> str:
        """Name what a fill of this is made of: equal sources, equal histories."""
        facts = json.dumps([self.began | self.versions, self.people_at_once, list(refused)], sort_keys=True)
        versions = " ".join(f"{table}={version}" for table, version in self.versions.items())
        return f"log {versions} {hashlib.sha256(facts.encode()).hexdigest()[:12]}"

    def histories(self, spine: Spine) -> dict[str, pa.RecordBatch]:
        """Return what some of the people did, by key."""
        persons = spine.rows["person"].combine_chunks()
        acts = read_acts(self.events, self.links, persons, after=self.after, before=self.present, kept=KEPT_KINDS)
        # What became theirs only later is not known yet, and what was another version's is not theirs any more.
        acts = acts.take(acts["since"] <= self.present)
        names: list[str] = persons.to_pylist()
        versions = self.links.versions(persons, np.full(len(persons), self.present))
        keys = dict(zip(person_codes(persons, versions).tolist(), names, strict=True))
        nothing = pa.RecordBatch.from_pylist([], schema=ACTS_SCHEMA)
        return dict.fromkeys(names, nothing) | dict(person_batches(acts, keys))

    def shared(self, log: EventLog, con: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, bytes]]:
        """Yield what every answer needs beside the person, see `shared_parts`."""
        return shared_parts(log, con, self.events, as_of=self.present, after=self.after, versions=self.versions)


def _made(source: HistorySource, spine: Spine, refused: Sequence[str], scores: PersonScores | None) -> Made:
    """Return what `HistoryFill.add` takes of some people."""
    agreeing = pc.invert(pc.is_in(spine.rows["person"], pa.array(refused, pa.string())))
    those = spine.take(np.flatnonzero(agreeing))
    histories = source.histories(those)
    known = {} if scores is None else scores.of(those, source.events)
    return spine.persons[-1], histories, _links(spine, set(histories)), known


def _links(spine: Spine, persons: set[str]) -> dict[str, str]:
    owners = spine.accounts.join(spine.rows.select(["row", "person"]), "row")
    linked: list[dict[str, Any]] = owners.filter(pc.not_equal(owners["account"], owners["person"])).to_pylist()
    return {link["account"]: link["person"] for link in linked if link["person"] in persons}
