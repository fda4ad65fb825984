"""Events that a reader could not take, set aside with the reason, so that those behind them go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from features.inbox.batch import ROW_COLUMNS
from features.inbox.file import transaction

_NAMES = ", ".join(f'"{name}"' for name in ROW_COLUMNS)


def set_aside(connection: sqlite3.Connection, reader: str, seq: int, reason: str) -> None:
    """Keep a waiting event for a reader that cannot take it; again is as once."""
    with transaction(connection):
        connection.execute(
            f"INSERT OR REPLACE INTO aside (reader, seq, reason, {_NAMES}) "  # noqa: S608
            f"SELECT ?, seq, ?, {_NAMES} FROM waiting WHERE seq = ?",
            (reader, reason, seq),
        )


def rows_aside(connection: sqlite3.Connection, reader: str) -> list[tuple[Any, ...]]:
    """Return what is aside for a reader, in order, each ``(seq, *ROW_COLUMNS)``."""
    query = f"SELECT seq, {_NAMES} FROM aside WHERE reader = ? ORDER BY seq"  # noqa: S608
    return connection.execute(query, (reader,)).fetchall()


def take_back(connection: sqlite3.Connection, reader: str, seqs: Collection[int]) -> None:
    """Forget events that a reader has after all."""
    with transaction(connection):
        connection.executemany("DELETE FROM aside WHERE reader = ? AND seq = ?", [(reader, seq) for seq in seqs])


def reasons_aside(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Return reader → reason → how many events are aside."""
    found: dict[str, dict[str, int]] = {}
    for reader, reason, count in connection.execute(
        "SELECT reader, reason, count(*) FROM aside GROUP BY reader, reason ORDER BY reader, reason"
    ):
        found.setdefault(reader, {})[reason] = count
    return found
