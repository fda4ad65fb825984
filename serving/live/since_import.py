"""Rows and histories of the few people whom an import told of, read from the log once more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from features.errors import StoreError
from features.events import EVENTS
from features.inbox.hold import PARITY_READER, held_for, release
from features.inbox.inbox import Inbox
from features.incremental.build import states_of
from features.log.canonical_sql import literal
from features.log.delta_table import Commit
from features.log.event_log import EventLog
from features.settings import Settings
from features.spine import ACCOUNTS_SCHEMA, assemble
from serving.consent.log import withdrawn_since
from serving.histories.fill import HISTORIES_READER
from serving.histories.known_events import KnownEvents, histories_of
from serving.histories.packed import ACTS_SCHEMA
from serving.histories.replace import replace_histories
from serving.histories.sqlite_store import SqliteHistories
from serving.live.fed import ACCOUNT, Fed
from serving.live.feed_histories import FedHistories
from serving.live.feed_tags import FedTags
from serving.live.feeder import Feeder
from serving.live.imports import imports_since
from serving.online.backfill import TAGS_READER
from serving.online.choice import open_store
from serving.online.filled import filled_from, note_filled
from serving.online.live_rows import RowBundle, RowFacts, reader_of
from serving.online.store import OnlineStore, StoredState, Update
from training.source import present_of
from training.steps import Steps

_PERSONS_AT_ONCE: Final = 5000
_TRIES: Final = 20
_WAIT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True)
class _Touched:
    """Whom imports told of, and who stays as he is.

    Parameters
    ----------
    accounts
        With an imported event, or one that could not be taken live.
    aside
        Of the latter, their numbers in the inbox.
    silent
        Keys of who must not be personalised.
    versions
        Of the log's tables that the store holds afterwards.
    """

    accounts: list[str]
    aside: list[int]
    silent: set[str]
    versions: Mapping[str, int]


def rebuild_rows(settings: Settings, bundle: RowBundle, steps: Steps) -> int | None:
    """Read rows and states of people of whom events were imported from the log again; the others stay.

    Parameters
    ----------
    settings
        Where log, inbox and store lie.
    bundle
        Whose rows.
    steps
        Tells how far it is.

    Returns
    -------
    int | None
        How many people; None where everybody must be filled anew, because links were imported, people were erased
        since, or the store is of another layout.

    Raises
    ------
    StoreError
        The store cannot be fed, or is filled meanwhile.
    """
    log, store = EventLog.open(settings), open_store(settings)
    instant = present_of(log, "now")
    with Inbox(log) as inbox, closing(store):
        live = store.live()
        read = None if live is None else reader_of(bundle, store.describe().schema_hash)
        if live is None or read is None:
            return None
        facts = RowFacts.of_json(live.facts)
        if facts.layout(read).schema_hash != live.state_hash:
            return None
        with _known(log, inbox) as known:
            touched = _touched(inbox, known, TAGS_READER, live.fill, facts.as_of)
            if touched is None:
                return None
            fed = FedTags(store, lambda: bundle, lambda: touched.silent, lambda: instant - 1)
            _catch_up(inbox, fed)
            persons = sorted({*store.resolve(touched.accounts)} - touched.silent)
            rows = _Rows(store, read, facts, known, instant)
            _each(steps, "rows of people with imported events", persons, rows.renew)
        if (found := store.live()) is None or found.fill != live.fill:
            raise StoreError("the online store was filled meanwhile", next_step="nothing more is to be done")
        note_filled(settings, TAGS_READER, live.fill, touched.versions)
        inbox.take_back(TAGS_READER, touched.aside)
    return len(persons)


def rebuild_histories(settings: Settings, steps: Steps) -> int | None:
    """Read histories of people of whom events were imported from the log again, see `rebuild_rows`."""
    log, store = EventLog.open(settings), SqliteHistories(settings.histories_file)
    with Inbox(log) as inbox, closing(store):
        live = store.live()
        if live is None or not store.describe().schema.equals(ACTS_SCHEMA, check_metadata=True):
            return None
        as_of = store.describe().as_of
        with _known(log, inbox) as known:
            touched = _touched(inbox, known, HISTORIES_READER, live.fill, as_of)
            if touched is None:
                return None
            _catch_up(inbox, FedHistories(store, log.timezone, lambda: touched.silent))
            persons = sorted({*store.resolve(touched.accounts)} - touched.silent)

            def renew(some: Sequence[str]) -> bool:
                at = store.live()
                return at is not None and replace_histories(
                    settings.histories_file, at, histories_of(known, some, at.seq, as_of)
                )

            _each(steps, "histories of people with imported events", persons, renew)
        if (found := store.live()) is None or found.fill != live.fill:
            raise StoreError("the store of histories was filled meanwhile", next_step="nothing more is to be done")
        note_filled(settings, HISTORIES_READER, live.fill, touched.versions)
        inbox.take_back(HISTORIES_READER, touched.aside)
    return len(persons)


@contextmanager
def _known(log: EventLog, inbox: Inbox) -> Iterator[KnownEvents]:
    # What an import brought that waits here, too, is known as such before it is read.
    inbox.read_log_ids()
    with held_for(log, PARITY_READER), release(log, PARITY_READER):
        known = KnownEvents(log)
        try:
            yield known
        finally:
            known.close()


def _touched(inbox: Inbox, known: KnownEvents, reader: str, fill: str, as_of: int) -> _Touched | None:
    log = known.log
    held = filled_from(log.settings, reader, fill)
    imports = imports_since(log, {table: version for table, version in held.items() if version <= known.version})
    if not held or imports.keys() - {EVENTS.name}:
        return None
    accounts = _accounts(log, known, imports.get(EVENTS.name, ()))
    if accounts is None:
        return None
    aside = inbox.aside(reader)
    return _Touched(
        sorted(accounts | {row[ACCOUNT] for row in aside}),
        [int(row[0]) for row in aside],
        set(withdrawn_since(log.settings, as_of, int(time.time()))),
        held | {EVENTS.name: known.version},
    )


def _accounts(log: EventLog, known: KnownEvents, commits: Sequence[Commit]) -> set[str] | None:
    """Return the accounts of events that some versions added; None where an erasure has taken their parts away."""
    folder = log.log_table(EVENTS.name).folder
    paths = [folder / part for commit in commits for part in commit.parts]
    if not all(path.exists() for path in paths):
        return None
    files = ", ".join(literal(str(path)) for path in paths)
    query = f"SELECT DISTINCT account FROM read_parquet([{files}])"  # noqa: S608
    return {account for (account,) in known.con.execute(query).fetchall()} if paths else set()


def _catch_up(inbox: Inbox, fed: Fed) -> None:
    """Feed what waits: what is read from the log afterwards holds no event that is still to come."""
    feeder, last = Feeder(inbox, [fed]), inbox.describe().last_seq
    until = time.monotonic() + _WAIT_SECONDS
    while (waits := inbox.after(fed.position(), 1)) and int(waits[0][0]) <= last:
        if feeder.feed():
            until = time.monotonic() + _WAIT_SECONDS
        elif time.monotonic() > until:
            raise StoreError(f"live events do not reach the {fed.name}: {feeder.states[fed.name].problem}")
        else:
            # A server feeds it, too.
            time.sleep(_PAUSE_SECONDS)


def _each(steps: Steps, what: str, persons: Sequence[str], renew: Callable[[Sequence[str]], bool]) -> None:
    starts = range(0, len(persons), _PERSONS_AT_ONCE)
    with steps.step(what, max(len(starts), 1)) as advance:
        for start in starts:
            some = persons[start : start + _PERSONS_AT_ONCE]
            if not any(renew(some) for _ in range(_TRIES)):
                raise StoreError("live events arrive faster than people are renewed", next_step="try again")
            advance()


@dataclass(frozen=True)
class _Rows:
    store: OnlineStore
    bundle: RowBundle
    facts: RowFacts
    known: KnownEvents
    instant: int

    def renew(self, persons: Sequence[str]) -> bool:
        """Replace rows and states of people by those that the log tells; return whether the store stood still."""
        live = self.store.live()
        if live is None:
            return False
        before = self.store.get(persons)
        owned = self.known.accounts_of(persons, self.facts.as_of)
        events = self.known.events(owned, dict.fromkeys(persons, live.seq))
        number = {person: n for n, person in enumerate(persons)}
        accounts = pa.table([[number[p] for p in owned.values()], list(owned)], schema=ACCOUNTS_SCHEMA)
        instants = np.full(len(persons), self.instant)
        spine = assemble(pa.array(persons, pa.string()), instants, accounts, self.facts.timezone, None)
        seen = events.filter(f"event_time < {self.instant} and arrived_at <= {self.instant}")
        kinds: dict[str, list[str]] = {}
        for account, kind in seen.project("account, kind").distinct().fetchall():
            kinds.setdefault(owned[account], []).append(kind)
        layout, updates = self.facts.layout(self.bundle), []
        for (person, state), row in zip(states_of(layout, events, spine), before, strict=True):
            at = max(self.instant, self.facts.as_of, 0 if row is None else row.as_of)
            state.settle(at)
            scored = row is not None or (person in kinds and self.facts.scores(kinds[person]))
            vector = layout.row(state, at) if scored else None
            updates.append(Update(person, StoredState(state.pack(), live.seq, at), at, vector))
        if self.store.live() != live:
            return False
        try:
            self.store.update(live, live.seq, updates)
        except StoreError:
            if self.store.live() == live:
                raise
            return False
        return True
