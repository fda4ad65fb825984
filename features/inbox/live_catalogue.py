"""What the log knows about items and notes, at hand for every live event that names one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

from features.log.canonical import FILLED_FROM_ITEMS, FILLED_FROM_NOTES
from features.log.event_log import EventLog
from features.log.importing import catalogue_of

_TABLES: Final = ("items", "notes")
Known = dict[str, tuple[Any, ...]]


class LiveCatalogue:
    """Fills empty columns of events from the catalogue, as an import does; in memory, read again when it changes.

    Parameters
    ----------
    log
        The log.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] | None = None
        self._items: Known = {}
        self._notes: Known = {}

    def fill(self, columns: dict[str, Sequence[Any]]) -> None:
        """Fill what events that name an item or a note leave open.

        Parameters
        ----------
        columns
            Canonical column → values; filled columns are replaced or added.
        """
        items, notes = self._known()
        for of, names, known in (("item", FILLED_FROM_ITEMS, items), ("note", FILLED_FROM_NOTES, notes)):
            if of not in columns or not known:
                continue
            nothing = (None,) * len(names)
            found = [known.get(word, nothing) for word in columns[of]]
            for place, name in enumerate(names):
                filled = [row[place] for row in found]
                if name in columns:
                    filled = [f if v is None else v for v, f in zip(columns[name], filled, strict=True)]
                columns[name] = filled

    def brands(self, item: Any, note: Any) -> set[str]:
        """Return the brands that an item and a note are known to be of."""
        items, notes = self._known()
        of_item = items.get(item, (None,))[FILLED_FROM_ITEMS.index("brand")] if type(item) is str else None
        of_note = notes[note][FILLED_FROM_NOTES.index("brand")] if type(note) is str and note in notes else None
        return {brand for brand in (of_item, of_note) if brand is not None}

    def _known(self) -> tuple[Known, Known]:
        stamp = tuple(self._changed_at(name) for name in _TABLES)
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    known = catalogue_of(self._log)
                    self._items = _rows(known.items.select(["item", *FILLED_FROM_ITEMS]).to_pydict())
                    self._notes = _rows(known.notes.select(["note", *FILLED_FROM_NOTES]).to_pydict())
                    self._stamp = stamp
        return self._items, self._notes

    def _changed_at(self, name: str) -> int:
        try:
            return (self._log.log_table(name).folder / "_delta_log").stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _rows(columns: dict[str, list[Any]]) -> Known:
    keys, *values = columns.values()
    return dict(zip(keys, zip(*values, strict=True), strict=True))
