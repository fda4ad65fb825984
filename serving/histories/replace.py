"""Replacing the histories of a few people, read from the log once more, where the others stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from features.errors import StoreError
from serving.histories.sqlite_fill import COUNT, PUT_EVENTS, pack_events
from serving.histories.store import HistoryLive
from serving.online.sqlite_file import SqliteFile

_SERVES = "SELECT number, number || ' ' || as_of || ' ' || source FROM fills WHERE serves"


def replace_histories(path: Path, now: HistoryLive, histories: Mapping[str, pa.RecordBatch]) -> bool:
    """Put histories in the place of those that people have; scores of tags stay.

    Parameters
    ----------
    path
        File of the store.
    now
        Where the store was when they were read.
    histories
        Person key → all events, oldest first.

    Returns
    -------
    bool
        Whether that was done; not where the store is elsewhere by now.
    """
    file = SqliteFile(path, "store of histories", "zhongcao fill")
    with closing(file.writer()) as connection, file.named_errors():
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute(_SERVES).fetchone()
        if found is None:
            raise StoreError("the store of histories is empty", next_step="run `zhongcao fill` to fill it")
        number, fill = found
        at = connection.execute(f"SELECT seq, arrived_at FROM live_{int(number)}").fetchone()  # noqa: S608
        if at is None or HistoryLive(fill, *at) != now:
            connection.execute("ROLLBACK")
            return False
        rows = [(person, pack_events(events)) for person, events in histories.items()]
        connection.executemany(PUT_EVENTS.format(int(number)), rows)
        connection.execute(COUNT.format(int(number)))
        connection.execute("COMMIT")
    return True
