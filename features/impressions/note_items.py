"""Which items notes link, as codes: what a person did with any of a note's items is done with the note's items."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.asof import Int64
from features.events import NOTE_ITEMS
from features.people.acts import codes_of
from features.people.person_links import numbers_of
from features.small_tables import columns_of


class NoteItems:
    """Pairs of note (or note and version) and item.

    Parameters
    ----------
    notes, items
        Codes of equal length, 0 for none; pairs with a 0 count for nothing, and repeats for one.

    Examples
    --------
    >>> linked = NoteItems(np.array([1, 1, 2, 2]), np.array([7, 8, 8, 0]))
    >>> act, note = linked.notes_of(np.array([8, 9, 7]))
    >>> act.tolist(), note.tolist()
    ([0, 0, 2], [1, 2, 1])
    """

    def __init__(self, notes: Int64, items: Int64) -> None:
        real = (notes != 0) & (items != 0)
        pairs = np.unique(np.stack([items[real], notes[real]], axis=1), axis=0)
        self.items, self.notes = pairs[:, 0], pairs[:, 1]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Read a table of the codes ``key`` (of notes) and ``item``."""
        return cls(numbers_of(table["key"]), numbers_of(table["item"]))

    def __or__(self, other: NoteItems) -> NoteItems:
        return NoteItems(np.concatenate([self.notes, other.notes]), np.concatenate([self.items, other.items]))

    def among(self, notes: Int64) -> NoteItems:
        """Return the pairs of some notes."""
        some = np.isin(self.notes, notes)
        return NoteItems(self.notes[some], self.items[some])

    def under(self, notes: Int64, keys: Int64) -> NoteItems:
        """Return the items of notes as those of other keys, of which each stands for one note."""
        keys, first = np.unique(keys, return_index=True)
        order = np.argsort(notes[first], kind="stable")
        start, end = (np.searchsorted(notes[first][order], self.notes, side=side) for side in ("left", "right"))
        many = end - start
        place = np.repeat(start, many) + np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return NoteItems(keys[order[place]], np.repeat(self.items, many))

    def link(self, notes: Int64) -> npt.NDArray[np.bool_]:
        """Return whether each note links any item."""
        return np.isin(notes, self.notes)

    def count(self, notes: Int64) -> Int64:
        """Return how many items each note links."""
        in_order = np.sort(self.notes)
        return np.searchsorted(in_order, notes, side="right") - np.searchsorted(in_order, notes, side="left")

    def notes_of(self, items: Int64) -> tuple[Int64, Int64]:
        """Return (place in the given items, note) for every note that links one of them."""
        first, last = (np.searchsorted(self.items, items, side=side) for side in ("left", "right"))
        many = last - first
        place = np.repeat(np.arange(len(items)), many)
        within = np.arange(len(place)) - np.repeat(np.cumsum(many) - many, many)
        return place, self.notes[np.repeat(first, many) + within]


def read_links(note_items: Any | None) -> pa.Table:
    """Read the canonical table note_items as a table that `features.impressions.note_tallies.Tallies` can hold.

    Its columns are the codes ``key`` and ``item``, and ``hour``, which is 0: what a note links is no event.
    """
    table = columns_of(note_items, NOTE_ITEMS, ("note", "item"))
    codes = {
        "key": codes_of(table["note"]),
        "hour": np.zeros(len(table), np.int64),
        "item": codes_of(table["item"]),
    }
    return pa.table(codes)
