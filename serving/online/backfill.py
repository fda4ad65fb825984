"""Filling the online store from the log: everybody's rows and states, from where live events go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from features.events import EVENTS
from features.inbox.file import LOG_READER
from features.inbox.hold import held_for
from features.incremental.build import PEOPLE_AT_ONCE, Stretch, states_in, stretches
from features.incremental.live_layout import LiveLayout
from features.log.event_log import EventLog
from features.people.person_links import PersonLinks, link_table
from features.people.population import population
from features.processes import in_processes
from features.rights.withdrawals import withdrawn
from features.settings import Settings
from features.spine import Spine
from serving.online.choice import open_store
from serving.online.filled import note_filled
from serving.online.live_rows import RowBundle, RowFacts
from serving.online.store import StoredState, StoreInfo
from training.source import LogSource, open_source
from training.steps import Steps

TAGS_READER: Final = "tags"
"""Of the inbox: feeds the online store."""
_PEOPLE_PER_PROCESS: Final = 10_000
"""Fewer are done before another process has begun."""


@dataclass(frozen=True)
class _People:
    """Whom a fill is about.

    Parameters
    ----------
    scored
        Who gets a row, as of the fill.
    everybody
        Who ever had an event in the log, also after the fill's instant; whose accounts are whose is as of it.
    refused
        Who must not be personalised: nothing is kept of them, and nobody may mistake them for new.
    links
        Account → person, where they differ.
    """

    scored: Spine
    everybody: Spine
    refused: list[str]
    links: dict[str, str]

    @classmethod
    def of(cls, source: LogSource, as_of: int, kinds: Sequence[str] | None) -> _People:
        refused = withdrawn(source.identities, as_of, as_of)
        ever = source.events.project("account, kind, 0::bigint as event_time, 0::bigint as arrived_at")
        return cls(
            population(source.events, source.identities, [as_of], source.timezone, kinds=kinds),
            population(ever, source.identities, [as_of], source.timezone),
            refused,
            linked_accounts(source.identities, as_of, refused),
        )


def linked_accounts(identities: Any, as_of: int, refused: Sequence[str]) -> dict[str, str]:
    """Return account → person of accounts under another person's key as of an instant, refused people's apart."""
    silent = set(refused)
    accounts = pc.unique(link_table(identities)["account"])
    persons, _ = PersonLinks(identities, as_of).present(accounts, as_of)
    return {
        account: person
        for account, person in zip(accounts.to_pylist(), persons.to_pylist(), strict=True)
        if account != person and person not in silent
    }


def backfill(
    settings: Settings, bundle: RowBundle, as_of: int, steps: Steps, kinds: Sequence[str] | None = None
) -> StoreInfo:
    """Replace the online store's content by everybody's rows and states; readers see the old ones until then.

    Events that are accepted meanwhile are fed afterwards: the fill says up to which one the log held all, and later
    ones are kept in the inbox.

    Parameters
    ----------
    settings
        Where log and store lie.
    bundle
        Whose rows.
    as_of
        Instant of the rows, epoch seconds.
    steps
        Tells how far it is.
    kinds
        Who gets a row: people with an event of these kinds; None for any event.

    Returns
    -------
    StoreInfo
        What the store holds.

    Raises
    ------
    EventLogError
        There is no log, or it holds no events.
    StoreError
        Another fill is under way.
    """
    log = EventLog.open(settings)
    with held_for(log, TAGS_READER):
        identities = log.log_table("identities").version
        source = open_source(settings, copied=False, identities=identities)
        position = log.log_table(EVENTS.name).position(LOG_READER, source.version)
        people = _People.of(source, as_of, kinds)
        facts = RowFacts.fitted(bundle.taxonomy, source.events, people.scored, as_of, kinds)
        live = facts.layout(bundle)
        store = open_store(settings)
        total, done = len(people.everybody), 0
        processes = min(settings.threads, total // _PEOPLE_PER_PROCESS)
        with (
            steps.step("online store", max(-(-total // PEOPLE_AT_ONCE), 1)) as advance,
            store.fill(bundle.layout.schema_hash, bundle.layout.width, as_of, source=source.data_version) as fill,
        ):
            given = _given(stretches(live, source.events, people.everybody), set(people.scored.persons))
            for made in in_processes(_Maker(live, as_of), given, processes):
                fill.add(made.scored, made.rows)
                fill.keep(made.persons, [StoredState(state, position, as_of) for state in made.states])
                before, done = done, done + len(made.persons)
                for _ in range(-(-done // PEOPLE_AT_ONCE) - -(-before // PEOPLE_AT_ONCE)):
                    advance()
            fill.keep(people.refused, [StoredState(b"", position, as_of)] * len(people.refused))
            fill.link(list(people.links), list(people.links.values()))
            fill.live(position, live.schema_hash, facts.to_json())
        info = store.describe()
        store.close()
        note_filled(settings, TAGS_READER, info.fill, {"events": source.version, "identities": identities})
        source.con.close()
    return info


@dataclass(frozen=True)
class _Given:
    """Persons, what they did, and which of them get a row."""

    stretch: Stretch
    scored: list[str]


@dataclass(frozen=True)
class _Made:
    """Packed states of persons, and rows, float32 [scored, width], of those who get one."""

    persons: Sequence[str]
    states: list[bytes]
    scored: list[str]
    rows: np.ndarray[Any, np.dtype[np.float32]]


def _given(every: Iterable[Stretch], scored: set[str]) -> Iterator[_Given]:
    for stretch in every:
        yield _Given(stretch, [person for person in stretch.persons if person in scored])


@dataclass(frozen=True)
class _Maker:
    """Makes states and rows as of an instant."""

    live: LiveLayout
    as_of: int

    def __call__(self, given: _Given) -> _Made:
        """Make those of a stretch."""
        states = dict(states_in(self.live, given.stretch, settled=self.as_of))
        rows = self.live.rows([states[person] for person in given.scored], self.as_of)
        return _Made(given.stretch.persons, [state.pack() for state in states.values()], given.scored, rows)
