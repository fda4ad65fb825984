"""Small parts of a table are put together, so that reading stays quick however often live events are moved."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from features.durable import write_durably
from features.log.delta_table import LogTable
from features.log.event_log import EventLog
from features.log.parts import PartWriter

COMPACTION: Final = "compaction"
"""Source of versions that hold the rows of the version before in fewer parts."""
PARTS_AT_ONCE: Final = 64
_SMALL_ROWS: Final = (20_000, 500_000)
"""Parts are put together with others of their size, so that a row is written a few times at most."""
_ROWS_AT_ONCE: Final = 2_000_000
_GROUP_ROWS: Final = 250_000
_LIVE: Final = ("part-live-", "part-merged-", "part-kept-")
"""Beginnings of the names of parts that may be put together: those of imports tell whom an import was about."""
_REPLACED: Final = "_merged.json"


def compact(log: EventLog, target: LogTable, renamed: Callable[[list[str]], None]) -> int:
    """Put small parts together, where there are many; hold `features.log.importing.import_lock` while it runs.

    Earlier versions can be read for the setting `versions_days`, and no shorter than predictions are kept.

    Parameters
    ----------
    log
        The log.
    target
        Its table.
    renamed
        Told the names of new parts before a version holds them: no row in them is new.

    Returns
    -------
    int
        How many parts were put together.
    """
    names = _many_small(target.rows())
    if names:
        merge(log, target, names, renamed)
    _delete_old(target, max(log.settings.versions_days, log.settings.predictions_days))
    return len(names)


def merge(log: EventLog, target: LogTable, names: Sequence[str], renamed: Callable[[list[str]], None]) -> None:
    """Put some parts together in one version."""
    now, started = int(time.time()), time.monotonic()
    rows = target.rows()
    many = 1 + sum(rows[name] for name in names) // _ROWS_AT_ONCE
    new = [f"part-merged-{now}-{uuid.uuid4().hex[:12]}-{n}.parquet" for n in range(many)]
    target.announce(new)
    writer = PartWriter(target.folder, target.table, new, log.timezone, now)
    held: list[pa.Table] = []
    for place, name in enumerate(names):
        held.append(pq.read_table(target.folder / name, schema=target.table.schema))
        if sum(map(len, held)) >= _GROUP_ROWS or place == len(names) - 1:
            writer.append(pa.concat_tables(held).combine_chunks())
            held = []
    parts = writer.close()
    renamed([part.name for part in parts])
    _note_replaced(target, names, now)
    said = {"table": target.table.name, "source": COMPACTION, "merged": len(names)}
    target.commit(parts, said | {"seconds": round(time.monotonic() - started, 3)}, merged=names)


def _many_small(rows: dict[str, int]) -> list[str]:
    """Return the parts to put together now, oldest first."""
    small = {name: count for name, count in rows.items() if name.startswith(_LIVE)}
    for least, most in zip((0, *_SMALL_ROWS), _SMALL_ROWS, strict=False):
        alike = [name for name, count in small.items() if least <= count < most]
        if len(alike) >= PARTS_AT_ONCE:
            chosen, total = [], 0
            for name in alike:
                total += small[name]
                if total > _ROWS_AT_ONCE:
                    break
                chosen.append(name)
            return chosen
    return []


def _note_replaced(target: LogTable, names: Sequence[str], now: int) -> None:
    write_durably(target.folder / _REPLACED, json.dumps([*_noted(target), [now, list(names)]]))


def _noted(target: LogTable) -> list[list[object]]:
    path = target.folder / _REPLACED
    noted: list[list[object]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return noted


def _delete_old(target: LogTable, days: int) -> None:
    """Delete replaced parts that no version within the retention needs."""
    noted, before = _noted(target), int(time.time()) - days * 86_400
    old = [names for at, names in noted if isinstance(at, int) and at < before and isinstance(names, list)]
    if not old:
        return
    # A merge that was cut off before its version has replaced nothing.
    kept = {Path(file).name for file in target.files()}
    for names in old:
        for name in names:
            if name not in kept:
                (target.folder / name).unlink(missing_ok=True)
    left = [entry for entry in noted if isinstance(entry[0], int) and entry[0] >= before]
    write_durably(target.folder / _REPLACED, json.dumps(left))
