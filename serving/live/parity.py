"""Whether what is live equals what the batch computes: rows and histories of some people, to the last bit."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import StoreError
from features.inbox.hold import PARITY_READER, held_for, release
from features.log.event_log import EventLog
from features.rows.build import build_rows
from features.rows.outcomes import label_history
from features.rows.thresholds import Thresholds
from features.settings import Settings
from features.spine import ACCOUNTS_SCHEMA, assemble
from serving.histories.known_events import KnownEvents
from serving.online.live_rows import BACKFILL, RowBundle, RowFacts, reader_of
from serving.online.store import Live, OnlineStore, StoredRow, StoredState

_WAIT_SECONDS: Final = 10.0
_SHOWN: Final = 20


@dataclass(frozen=True)
class Difference:
    """A value that is another in the batch.

    Parameters
    ----------
    person
        Digest of the person's key.
    what
        ``row`` or ``history``.
    column
        Its name.
    live, batch
        The values; of a history how many events have another one.
    """

    person: str
    what: str
    column: str
    live: float | None
    batch: float | None


@dataclass
class Parity:
    """What a check found.

    Parameters
    ----------
    rows, histories
        How many were compared.
    fed
        How many of the rows were computed from live events.
    different
        How many rows and histories differ.
    differences
        The first values of these.
    """

    rows: int = 0
    histories: int = 0
    fed: int = 0
    different: int = 0
    differences: list[Difference] = field(default_factory=list)

    def add(self, found: Sequence[Difference]) -> None:
        """Note how one row or history differs, if it does."""
        self.different += bool(found)
        self.differences += found[: max(0, _SHOWN - len(self.differences))]

    def __add__(self, other: Parity) -> Parity:
        return Parity(
            self.rows + other.rows,
            self.histories + other.histories,
            self.fed + other.fed,
            self.different + other.different,
            self.differences + other.differences,
        )


def digest(person: str) -> str:
    """Return what stands for a person in what is shown."""
    return hashlib.sha256(person.encode()).hexdigest()[:12]


def behind_the_log(what: str) -> StoreError:
    """Return the error for a store that has not been fed what was moved into the log."""
    return StoreError(
        f"the {what} lack live events that are in the log",
        next_step="start `zhongcao serve`, which feeds them, or run `zhongcao backfill`",
    )


def check_rows(settings: Settings, store: OnlineStore, bundle: RowBundle, sample: int, seed: int) -> Parity:
    """Compare rows with the batch's, each at its own instant and with the events that it knows.

    Half of the people are some of those with events since the last fill, where there are as many.

    Parameters
    ----------
    settings
        Where the log and the inbox lie.
    store
        May be fed meanwhile.
    bundle
        Whose rows.
    sample
        How many people.
    seed
        Chooses them.

    Raises
    ------
    StoreError
        The store was filled without states, or lacks events that are in the log.
    """
    log = EventLog.open(settings)
    with held_for(log, PARITY_READER), release(log, PARITY_READER):
        known = KnownEvents(log)
        try:
            live = _caught_up(store, known.position)
            read = reader_of(bundle, store.describe().schema_hash)
            if read is None:
                raise StoreError("the store's rows do not follow the layout of the bundle", next_step=BACKFILL)
            facts = RowFacts.of_json(live.facts)
            persons = _chosen(store, live, known.recent_accounts(facts.as_of), sample, seed)
            found = [
                (person, row, state)
                for person, row, state in zip(persons, store.get(persons), store.states(persons), strict=True)
                if row is not None and state is not None and state.content
            ]
            return _compared(known, read, facts, _unchanged(store, found))
        finally:
            known.close()


def _caught_up(store: OnlineStore, position: int) -> Live:
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        live = store.live()
        if live is None:
            raise StoreError("the online store was filled without states", next_step=BACKFILL)
        if live.seq >= position:
            return live
        if time.monotonic() > until:
            raise behind_the_log("rows")
        time.sleep(0.1)


def _chosen(store: OnlineStore, live: Live, recent: Sequence[str], sample: int, seed: int) -> list[str]:
    """Return some people, first those with live events; keys are evenly spread, so that any start is as likely."""
    dice = random.Random(seed)  # noqa: S311
    fed = sorted(set(store.resolve(list(recent))))
    chosen = dict.fromkeys(dice.sample(fed, min(len(fed), sample // 2)))
    if store.describe().people <= sample:
        return sorted(chosen | {p: None for b in store.scan(live.fill, "", None, 1000) for p in b.persons})
    while len(chosen) < sample:
        block = next(store.scan(live.fill, f"{dice.getrandbits(128):032x}", None, 1), None)
        if block is None:
            block = next(store.scan(live.fill, "", None, 1))
        chosen[block.persons[0]] = None
    return sorted(chosen)


Found = tuple[str, StoredRow, StoredState]


def _unchanged(store: OnlineStore, found: Sequence[Found]) -> list[Found]:
    """Return those whose row and state were read of the same moment."""
    again = store.states([person for person, _, _ in found])
    return [one for one, state in zip(found, again, strict=True) if state == one[2]]


def _compared(known: KnownEvents, bundle: RowBundle, facts: RowFacts, found: Sequence[Found]) -> Parity:
    said = Parity(rows=len(found), fed=sum(row.as_of > facts.as_of for _, row, _ in found))
    if not found:
        return said
    seqs = {person: state.seq for person, _, state in found}
    owned = known.accounts_of(list(seqs), facts.as_of)
    events = known.events(owned, seqs)
    number = {person: n for n, (person, _, _) in enumerate(found)}
    instants = np.array([row.as_of for _, row, _ in found], np.int64)
    accounts = pa.table([[number[p] for p in owned.values()], list(owned)], schema=ACCOUNTS_SCHEMA)
    spine = assemble(pa.array(list(seqs), pa.string()), instants, accounts, facts.timezone, None)
    history = label_history(bundle.taxonomy, events, spine, thresholds_of(facts, instants))
    batch = build_rows(bundle.layout, events, spine, history)
    for (person, row, _), truth in zip(found, batch, strict=True):
        said.add(_row_differences(person, bundle.layout.columns, row.vector, truth))
    return said


def thresholds_of(facts: RowFacts, instants: NDArray[np.int64]) -> Thresholds:
    """Return the quantiles of the fill, as those of every instant."""
    level = [np.nan if value is None else value for value in facts.levels.values()]
    each = np.unique(instants)
    return Thresholds(tuple(facts.levels), tuple(each.tolist()), np.tile(np.array(level, float), (len(each), 1)))


def _row_differences(
    person: str, columns: Iterable[str], live: NDArray[np.float32], batch: NDArray[np.float32]
) -> list[Difference]:
    names = list(columns)
    differs = np.flatnonzero((live != batch) & ~(np.isnan(live) & np.isnan(batch)))
    return [
        Difference(digest(person), "row", names[place], number(live[place]), number(batch[place]))
        for place in differs
    ]


def number(value: Any) -> float | None:
    """Return a value as JSON knows it."""
    return float(value) if np.isfinite(value) else None
