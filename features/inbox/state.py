"""What an inbox holds, for whoever looks after it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from features.inbox.aside import reasons_aside
from features.inbox.file import LOG_READER


@dataclass(frozen=True)
class InboxState:
    """What the inbox holds.

    Parameters
    ----------
    last_seq
        Of the newest event ever accepted.
    waiting
        Events that are not in the log yet.
    refused
        Rows on their way into quarantine.
    seen
        Ids of all events that ever came, by import or live.
    readers
        Reader → `seq` up to which it has taken events.
    behind
        Reader → events here that it has not taken.
    retired
        Readers that nothing waits for.
    aside
        Reader → reason → events that it could not take.
    held
        Events here, in the log or not.
    """

    last_seq: int
    waiting: int
    refused: int
    seen: int
    readers: dict[str, int]
    behind: dict[str, int]
    retired: set[str]
    aside: dict[str, dict[str, int]]
    held: int


def state_of(connection: sqlite3.Connection) -> InboxState:
    """Return what the inbox of a connection holds."""
    readers = dict(connection.execute("SELECT name, seq FROM reader").fetchall())
    last, waiting, refused, seen = connection.execute(
        "SELECT (SELECT next - 1 FROM counter), (SELECT count(*) FROM waiting WHERE seq > ?), "
        "(SELECT count(*) FROM refused), (SELECT count(*) FROM seen)",
        (readers.get(LOG_READER, -1),),
    ).fetchone()
    behind, retired, aside, held = {}, set[str](), {}, waiting
    if readers:
        query = "SELECT name, (SELECT count(*) FROM waiting WHERE seq > reader.seq) FROM reader"
        behind = dict(connection.execute(query).fetchall())
        (held,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'aside'").fetchone():
        retired = {name for (name,) in connection.execute("SELECT name FROM retired")}
        aside = reasons_aside(connection)
    return InboxState(last, waiting, refused, seen, readers, behind, retired, aside, held)


def state_in(path: Path) -> InboxState | None:
    """Return what the inbox in a file holds, None where there is none yet."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return state_of(connection)
