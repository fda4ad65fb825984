"""What the log knew of notes as of a fill, to be looked up by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.events import ITEMS, NOTES
from features.impressions.numbers import KEY_SEPARATOR
from features.people.acts import code_of, codes_of
from features.small_tables import columns_of

NOTE_COLUMNS: Final = (
    "note", "creator", "topic", "campaign", "brand", "category", "media", "paid", "published_at", "item",
)  # fmt: skip
CODED: Final = ("note", "creator", "topic", "campaign", "brand", "category", "item")
_PLATFORMS: Final = 8
"""On so many platforms the codes of notes are kept."""


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
    """Notes by id, as numbers; the row after the last note, which is also row -1, is that of an unknown one.

    Parameters
    ----------
    notes
        What `note_table` returned; columns that it lacks are null.

    Attributes
    ----------
    codes
        int64 columns of `features.people.acts.code_of`.
    numbers
        float64 columns ``price``, ``published_at``, ``video`` and ``paid`` (without its campaign), NaN for null.

    Examples
    --------
    >>> notes = NoteCatalogue(pa.table({"note": ["n1", "n2"], "brand": ["x", None], "price": [500, None]}))
    >>> places = notes.places(["n2", "n9", "n1"])
    >>> places.tolist(), notes.numbers["price"][places].tolist(), notes.codes["brand"][places].astype(bool).tolist()
    ([1, -1, 0], [nan, nan, 500.0], [False, False, True])
    >>> notes.price[0], notes.brand[0], notes.category[-1]
    (500, 'x', None)
    """

    def __init__(self, notes: pa.Table) -> None:
        ids = notes["note"].to_pylist()
        self._place = {note: place for place, note in enumerate(ids)}
        nothing = pa.nulls(len(ids))

        def column(name: str) -> Any:
            return notes[name].combine_chunks() if name in notes.column_names else nothing

        def floats(values: Any) -> NDArray[np.float64]:
            return np.append(np.asarray(values.cast(pa.float64()), np.float64), np.nan)

        self.codes = {name: np.append(codes_of(column(name).cast(pa.string())), 0) for name in CODED}
        self.numbers = {name: floats(column(name)) for name in ("price", "published_at")}
        self.numbers["video"] = floats(pc.equal(column("media").cast(pa.string()), "video"))
        self.numbers["paid"] = np.nan_to_num(floats(column("paid").cast(pa.bool_())))
        self.price = [*column("price").to_pylist(), None]
        self.brand, self.category, self.topic = (_texts(column(name)) for name in ("brand", "category", "topic"))
        self._on: dict[str, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Return the number of notes."""
        return len(self._place)

    def places(self, notes: Sequence[str | None]) -> NDArray[np.int64]:
        """Return the row of each note, -1 where it is not known."""
        place = self._place
        return np.array([place.get(note, -1) for note in notes], np.int64)

    def on_platform(
        self, platform: str, notes: Sequence[str | None], places: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the code of each note on a platform, 0 for none."""
        held = self._on.get(platform)
        if held is None:
            held = np.zeros(len(self) + 1, np.int64)
            if len(self._on) < _PLATFORMS:
                self._on[platform] = held
        codes = held[places]
        for row in np.flatnonzero(codes == 0).tolist():
            note = notes[row]
            if note is not None:
                codes[row] = code_of(f"{note}{KEY_SEPARATOR}{platform}")
        known = places >= 0
        held[places[known]] = codes[known]
        return codes


def _texts(column: pa.Array) -> list[str | None]:
    """Return texts, of which equal ones take room once, and None for the row of an unknown note."""
    encoded = column.cast(pa.string()).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    return [*(None if code is None else names[code] for code in encoded.indices.to_pylist()), None]
