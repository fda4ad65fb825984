"""Who reads the inbox and how far each is: what all have taken leaves it, and nobody pins it for ever."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from features.errors import EventLogError
from features.inbox.file import LOG_READER, transaction
from features.inbox.hold import HELD, holder

_TAKEN = (
    "(SELECT CASE WHEN max(name = :log) THEN min(seq) END FROM reader WHERE name NOT IN (SELECT name FROM retired))"
)


def pass_on(connection: sqlite3.Connection, reader: str, seq: int, parts: Sequence[str]) -> None:
    """Note a reader's position and the parts of the log it has written; drop what every reader has taken.

    Whoever was retired counts as a reader again.
    """
    with transaction(connection):
        connection.execute(
            "INSERT INTO reader VALUES (?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)", (reader, seq)
        )
        connection.execute("DELETE FROM retired WHERE name = ?", (reader,))
        connection.executemany("INSERT OR IGNORE INTO part VALUES (?)", [(part,) for part in parts])
        _drop(connection)


def retire(connection: sqlite3.Connection, reader: str) -> None:
    """Wait for a reader no longer: events that are in the log leave the inbox without it.

    Its position is carried along with what leaves, so that it notices, when it comes back, that it must be filled.

    Raises
    ------
    EventLogError
        There is no such reader, or it is the log, which nothing can take the place of.
    """
    positions: dict[str, int] = dict(connection.execute("SELECT name, seq FROM reader").fetchall())
    known = sorted({name.removesuffix(HELD) for name in positions} - {LOG_READER})
    if reader not in known:
        raise EventLogError(
            "the inbox has no such reader that could be retired",
            value=reader,
            valid=known,
            next_step="zhongcao inbox status",
        )
    with transaction(connection):
        # What was only held for it so far is known of it from now on.
        held = positions.get(holder(reader), -1)
        connection.execute("INSERT OR IGNORE INTO reader VALUES (?, ?)", (reader, held))
        connection.execute("DELETE FROM reader WHERE name = ?", (holder(reader),))
        connection.execute("INSERT OR IGNORE INTO retired VALUES (?)", (reader,))
        _drop(connection)


def _drop(connection: sqlite3.Connection) -> None:
    values = {"log": LOG_READER}
    gone = connection.execute(f"DELETE FROM waiting WHERE seq <= {_TAKEN}", values).rowcount  # noqa: S608
    connection.execute(f"DELETE FROM superseded WHERE seq <= {_TAKEN}", values)  # noqa: S608
    connection.execute("UPDATE counter SET waiting = waiting - ?", (gone,))
    connection.execute(
        f"UPDATE reader SET seq = max(seq, coalesce({_TAKEN}, seq)) WHERE name IN (SELECT name FROM retired)",  # noqa: S608
        values,
    )
