"""What came into the log by file since a store was filled: live rows and histories do not hold it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from features.errors import StoreError
from features.inbox.mover import LIVE
from features.inbox.tries import EXPECTED, said_of
from features.log.compaction import COMPACTION
from features.log.delta_table import ERASURE, Commit
from features.log.event_log import EventLog
from features.settings import Settings
from serving.histories.fill import HISTORIES_READER
from serving.histories.sqlite_store import SqliteHistories
from serving.online.backfill import TAGS_READER
from serving.online.choice import open_store
from serving.online.filled import filled_from

_OURS: Final = frozenset({LIVE, COMPACTION, ERASURE})
"""Sources of versions that bring nothing that a store lacks."""
_LOOK_SECONDS: Final = 5.0
_log = logging.getLogger("zhongcao.serving")
SINCE_IMPORT: Final = "zhongcao backfill --since-import"


def imports_since(log: EventLog, held: Mapping[str, int]) -> dict[str, list[Commit]]:
    """Return table → versions behind those held that brought rows by file; tables without such are left out."""
    found = {
        table: [one for one in log.log_table(table).since(version) if one.said.get("source") not in _OURS]
        for table, version in held.items()
    }
    return {table: commits for table, commits in found.items() if commits}


def words_of(imports: Mapping[str, object]) -> str:
    """Say what a store lacks and what to do; empty where it lacks nothing.

    Examples
    --------
    >>> words_of({"events": [1, 2], "identities": [3]})
    'lacks what was imported since it was filled (events, identities); run `zhongcao backfill --since-import`'
    """
    if not imports:
        return ""
    return f"lacks what was imported since it was filled ({', '.join(imports)}); run `{SINCE_IMPORT}`"


def lacking(settings: Settings) -> dict[str, str]:
    """Return reader → what its store lacks, for every store that is filled; empty text for nothing."""
    if not settings.log_dir.is_dir():
        return {}
    log = EventLog.open(settings)
    return {
        reader: words_of(imports_since(log, filled_from(settings, reader, fill)))
        for reader, fill in filled_stores(settings).items()
    }


class ImportWatch:
    """Tells what stores lack, looking at the log every few seconds at most.

    Parameters
    ----------
    settings
        Where log and stores lie.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._looked_at = -_LOOK_SECONDS
        self._found: dict[str, str] = {}

    def look(self) -> dict[str, str]:
        """Return what `lacking` does, some seconds old."""
        with self._lock:
            if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                try:
                    self._found = lacking(self._settings)
                except EXPECTED as error:
                    _log.warning("nothing can be told of imports: %s", said_of(error))
                self._looked_at = time.monotonic()
            return self._found


def filled_stores(settings: Settings) -> dict[str, str]:
    """Return reader → name of what its store holds, where that takes live events."""
    found: dict[str, str] = {}
    rows, histories = open_store(settings), SqliteHistories(settings.histories_file)
    for reader, store in ((TAGS_READER, rows), (HISTORIES_READER, histories)):
        try:
            live = store.live()
        except StoreError:
            # Nothing was filled, or nothing can be told of it: `/readyz` says which.
            live = None
        if live is not None:
            found[reader] = live.fill
        store.close()
    return found
