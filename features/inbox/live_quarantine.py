"""Live events that are not valid: into quarantine as they were sent, and out of it by the rules of live events."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import orjson
import pyarrow as pa

from features.events import EVENTS
from features.inbox.inbox import Inbox
from features.inbox.live_columns import live_columns
from features.inbox.live_events import read_columns
from features.log.input import Input
from features.log.quarantine import Quarantine
from features.settings import Settings
from features.sources.mapping import Mapping, mapping_of
from features.sources.reader import Chunk, Piece, Reason, Refused

FORM: Final = "live"
"""Form of rows in quarantine that were sent as live events."""

_ROWS_AT_ONCE: Final = 100_000
_COLUMNS: Final = tuple(column.name for column in EVENTS.columns if not column.made)


def quarantine_refused(inbox: Inbox, settings: Settings) -> tuple[str, int]:
    """Move what the inbox has refused into quarantine; cut off in between, the next time does it again.

    Returns
    -------
    tuple
        Name of the quarantine, empty where there was nothing, and number of its rows.
    """
    rows = inbox.refused(_ROWS_AT_ONCE)
    if not rows:
        return "", 0
    sources = {source: list(found) for source, found in groupby(rows, key=lambda row: row[0])}
    inputs = [Input(LiveRefused(source, ()), _mapping(source)) for source in sources]
    with Quarantine.writing(settings, f"{int(time.time())}-{uuid.uuid4().hex[:12]}", inputs) as quarantine:
        for number, found in enumerate(sources.values()):
            quarantine.add(number, [_refused(place, *row[1:]) for place, row in enumerate(found)])
        name = quarantine.keep()
    inbox.quarantined(rows)
    return name, len(rows)


def _refused(place: int, raw: str, reasons: str) -> Refused:
    # Every row is line 1 of its request: the same text again takes the place of the earlier one.
    return Refused(place, 1, raw, tuple(Reason(*reason) for reason in json.loads(reasons)))


def _mapping(source: str) -> Mapping:
    columns = {name: name for name in _COLUMNS}
    return mapping_of({"source": source, "time": "epoch_s", "money": "minor", "columns": columns}, source)


class LiveRefused:
    """Reads live events out of quarantine by the rules that refused them.

    Parameters
    ----------
    name
        Who sent them.
    rows
        The rows.
    currency
        The log's.
    """

    form = FORM
    header = ""

    def __init__(self, name: str, rows: Sequence[Refused], currency: str = "") -> None:
        self.name = name
        self.size = len(rows)
        self._rows = sorted(rows, key=lambda row: row.record)
        self._currency = currency
        # Before the import begins: what arrived after that would have come from the future.
        self._arrived_at = int(time.time())

    def pieces(self) -> Iterator[Piece]:
        """Yield all rows as one piece."""
        yield self._chunk

    def _chunk(self) -> Chunk:
        now = self._arrived_at
        columns, problems = read_columns(
            live_columns(self._currency, lambda: now), [_parsed(row.raw) for row in self._rows]
        )
        columns["arrived_at"] = [now] * len(self._rows)
        good = [place for place in range(len(self._rows)) if place not in problems]
        kept = [self._rows[place] for place in good]
        texts = {
            name: pa.array(
                [_text(columns[name][place]) if name in columns else None for place in good], pa.string()
            )
            for name in _COLUMNS
        }
        broken = [
            Refused(row.record, row.line, row.raw, tuple(problems[place]))
            for place, row in enumerate(self._rows)
            if place in problems
        ]

        def locate(places: Sequence[int]) -> list[tuple[int, str]]:
            return [(kept[place].line, kept[place].raw) for place in places]

        return Chunk(pa.table(texts), pa.array([row.record for row in kept], pa.int64()), locate, broken, self.size)


def _parsed(raw: str) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
