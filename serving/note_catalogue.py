"""What the log knew of notes as of a fill, to be looked up by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.events import ITEMS, NOTES
from features.small_tables import columns_of

NOTE_COLUMNS: Final = (
    "note", "creator", "topic", "campaign", "brand", "category", "media", "paid", "published_at", "item",
)  # fmt: skip


def note_table(notes: Any, items: Any, as_of: int) -> pa.Table:
    """Return the notes that had arrived by an instant, by id, with the list price of the item behind the link.

    Parameters
    ----------
    notes, items
        Canonical tables with one row per note and item.
    as_of
        Epoch seconds.
    """
    known = columns_of(notes, NOTES, (*NOTE_COLUMNS, "arrived_at"))
    priced = columns_of(items, ITEMS, ("item", "price", "arrived_at"))
    known, priced = (table.filter(pc.less_equal(table["arrived_at"], as_of)) for table in (known, priced))
    price = priced["price"].take(pc.index_in(known["item"], priced["item"]))
    return known.drop_columns(["arrived_at"]).append_column("price", price).sort_by("note")


class NoteCatalogue:
    """Notes by id.

    Parameters
    ----------
    notes
        What `note_table` returned.

    Examples
    --------
    >>> notes = pa.table({"note": ["n1", "n2"], "brand": ["x", None], "price": [500, None]})
    >>> NoteCatalogue(notes).find(["n2", "n9", "n1"])["price"].to_pylist()
    [None, None, 500]
    """

    def __init__(self, notes: pa.Table) -> None:
        self._notes = notes.combine_chunks()
        self._place = {note: place for place, note in enumerate(notes["note"].to_pylist())}

    def __len__(self) -> int:
        """Return the number of notes."""
        return len(self._place)

    def places(self, notes: Sequence[str | None]) -> NDArray[np.int64]:
        """Return the row of each note, -1 where it is not known."""
        return np.array([-1 if note is None else self._place.get(note, -1) for note in notes], np.int64)

    def find(self, notes: Sequence[str | None]) -> pa.Table:
        """Return each note's row, all null where it is not known."""
        places = self.places(notes)
        return self._notes.take(pa.array(places, mask=places < 0))
