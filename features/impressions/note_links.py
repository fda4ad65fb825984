"""Which items some notes link, found by note."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.asof import Int64
from features.impressions.note_items import NoteItems

Places = npt.NDArray[np.intp]


class NoteLinks:
    """Pairs of note and item, sorted by note.

    Parameters
    ----------
    linked
        What a table says; None where there was none.

    Examples
    --------
    >>> links = NoteLinks(NoteItems(np.array([5, 3, 5]), np.array([70, 80, 90])))
    >>> place, item = links.of(np.array([5, 0, 3]), np.array([70, 60, 0]))
    >>> place.tolist(), item.tolist()
    ([1, 0, 2, 0], [60, 70, 80, 90])
    """

    def __init__(self, linked: NoteItems | None) -> None:
        nothing = np.empty(0, np.int64)
        notes, items = (nothing, nothing) if linked is None else (linked.notes, linked.items)
        order = np.argsort(notes, kind="stable")
        self._notes, self._items = notes[order], items[order]

    def of(self, notes: Int64, items: Int64) -> tuple[Places, Int64]:
        """Return (place, item) of all items that notes link, each once, by item.

        Parameters
        ----------
        notes, items
            Codes of n notes and of the item behind each one's link, 0 for none.
        """
        first, last = (np.searchsorted(self._notes, notes, side=side) for side in ("left", "right"))
        many = np.where(notes == 0, 0, last - first)
        place = np.repeat(np.arange(len(notes)), many)
        within = np.arange(len(place)) - np.repeat(np.cumsum(many) - many, many)
        own = np.flatnonzero(items)
        places = np.concatenate([place, own])
        linked = np.concatenate([self._items[np.repeat(first, many) + within], items[own]])
        order = np.lexsort((places, linked))
        places, linked = places[order], linked[order]
        new = np.ones(len(places), bool)
        new[1:] = (places[1:] != places[:-1]) | (linked[1:] != linked[:-1])
        return places[new], linked[new]
