"""The events that a store may know: those of one version of the log, and those that wait in the inbox."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from features.events import EVENTS
from features.impressions.columns import KEPT_KINDS
from features.inbox.batch import ROW_COLUMNS
from features.inbox.file import LOG_READER
from features.inbox.mover import as_table
from features.log.event_log import EventLog
from features.people.acts import person_codes, read_acts
from features.people.person_links import PersonLinks
from features.rights.withdrawals import withdrawn
from serving.histories.fill import kept_after
from serving.histories.packed import ACTS_SCHEMA, person_batches
from serving.online.backfill import linked_accounts

_MOST_RECENT: Final = 100_000


class KnownEvents:
    """Reads one version of the log; what is not in it is held in the inbox while this is used.

    Parameters
    ----------
    log
        The log.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        version = self.version = log.version
        self.position = log.log_table(EVENTS.name).position(LOG_READER, version)
        self.con = log.connect()
        self._moved = log.events(self.con, version)
        self.identities = log.table(self.con, "identities")

    def close(self) -> None:
        """Let go of the log."""
        self.con.close()

    def recent_accounts(self, since: int) -> list[str]:
        """Return accounts with an event that arrived from an instant on."""
        late = self._moved.filter(f"arrived_at >= {int(since)}").project("account").distinct().limit(_MOST_RECENT)
        waiting = self._ask("SELECT DISTINCT account FROM waiting WHERE seq > ?", (self.position,))
        return sorted({row[0] for row in (*late.fetchall(), *waiting)})

    def some_accounts(self, many: int, seed: int) -> list[str]:
        """Return some accounts with an event."""
        chosen = self._moved.project("account").distinct().order(f"hash(account, {int(seed)}), account").limit(many)
        return [row[0] for row in chosen.fetchall()]

    def accounts_of(self, persons: Sequence[str], as_of: int) -> dict[str, str]:
        """Return account → person of all accounts that were some persons' as of an instant."""
        linked = linked_accounts(self.identities, as_of, withdrawn(self.identities, as_of, as_of))
        wanted = set(persons)
        own = {person: person for person in persons if person not in linked}
        return own | {account: person for account, person in linked.items() if person in wanted}

    def events(self, owned: Mapping[str, str], seqs: Mapping[str, int]) -> duckdb.DuckDBPyRelation:
        """Return the events of some accounts.

        Parameters
        ----------
        owned
            Account → person.
        seqs
            Person → the last live event that counts.
        """
        mine = pa.table({"account": pa.array(list(owned), pa.string())})  # noqa: F841  (DuckDB finds it by its name)
        names = ", ".join(f'"{column.name}"' for column in EVENTS.columns)
        moved = self._moved.query(
            "moved_",
            f"SELECT {names} FROM moved_ SEMI JOIN mine USING (account)",  # noqa: S608
        ).to_arrow_table()
        columns = ", ".join(f'"{name}"' for name in ROW_COLUMNS)
        place = 1 + ROW_COLUMNS.index("account")
        waiting = [
            row
            for row in self._ask(
                f"SELECT seq, {columns} FROM waiting WHERE seq > ? AND seq NOT IN (SELECT seq FROM superseded)"  # noqa: S608
                " ORDER BY seq",
                (self.position,),
            )
            if row[place] in owned and row[0] <= seqs[owned[row[place]]]
        ]
        tables = [moved.cast(EVENTS.schema)] + ([as_table(waiting, self.log.timezone)] if waiting else [])
        return self.con.from_arrow(pa.concat_tables(tables))

    def _ask(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        path = self.log.settings.inbox_file
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(statement, values).fetchall()


def histories_of(known: KnownEvents, persons: Sequence[str], seq: int, as_of: int) -> dict[str, pa.RecordBatch]:
    """Return the histories of people as log and inbox tell them.

    Parameters
    ----------
    known
        The events.
    persons
        Their keys.
    seq
        The last live event that counts.
    as_of
        Whose accounts are whose is as of then, epoch seconds.
    """
    owned = known.accounts_of(persons, as_of)
    events = known.events(owned, dict.fromkeys(persons, seq))
    return histories_from(events, PersonLinks(known.identities, as_of), persons, as_of)


def histories_from(
    events: duckdb.DuckDBPyRelation, links: PersonLinks, persons: Sequence[str], as_of: int
) -> dict[str, pa.RecordBatch]:
    """Return the histories of people as some events tell them.

    Parameters
    ----------
    events
        With all of these people's.
    links, as_of
        Whose accounts are whose, as of an instant, epoch seconds.
    persons
        Their keys.
    """
    keys = pa.array(persons, pa.string())
    acts = read_acts(events, links, keys, after=kept_after(as_of), kept=KEPT_KINDS)
    codes = person_codes(keys, links.versions(keys, np.full(len(keys), as_of))).tolist()
    nothing = pa.RecordBatch.from_pylist([], schema=ACTS_SCHEMA)
    return dict.fromkeys(persons, nothing) | dict(person_batches(acts, dict(zip(codes, persons, strict=True))))
