"""Direct or halo: whether an order holds an item behind the link of the note that was touched."""

from __future__ import annotations

from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.events import NOTE_ITEMS, NOTES
from features.small_tables import codes_of, columns_of

Int64 = npt.NDArray[np.int64]

_LINKS: Final = """
select note, item from notes where item is not null union select note, item from more where item is not null
order by note, item
"""
_DIRECT: Final = """
with bought as (select number, unnest(items) as item from orders)
select distinct place from positions join links using (note) semi join bought using (number, item)
"""


def note_links(notes: Any | None, note_items: Any | None = None) -> pa.Table:
    """Return the items behind each note's link: those of the notes table and those of a table of pairs.

    Examples
    --------
    >>> note_links(pa.table({"note": ["n"], "item": ["i"]}), pa.table({"note": ["n"], "item": ["j"]})).num_rows
    2
    """
    with duckdb.connect() as con:
        con.register("notes", columns_of(notes, NOTES, ("note", "item")))
        con.register("more", columns_of(note_items, NOTE_ITEMS, ("note", "item")))
        links: pa.Table = con.sql(_LINKS).to_arrow_table()
    return links


def halo_of(
    con: duckdb.DuckDBPyConnection,
    tables: tuple[pa.Table, pa.Table],
    conversion: Int64,
    touch: Int64,
    links: pa.Table | None,
) -> npt.NDArray[np.bool_]:
    """Return which pairs of a conversion and a touch are halo: the note links items, none of which was bought.

    Parameters
    ----------
    con
        Connection to ask on.
    tables
        Touches and conversions, which the pairs point into.
    conversion, touch
        int64 [pairs].
    links
        As `note_links` gives them; without them nothing is halo.
    """
    if links is None or not links.num_rows:
        return np.zeros(len(touch), bool)
    touches, conversions = tables
    notes, names = codes_of(touches, "note")
    note = notes[touch]
    numbers = pc.index_in(links["note"], names)
    known = numbers.is_valid()
    linked = np.zeros(len(names) + 1, bool)
    linked[numbers.filter(known).to_numpy()] = True
    listed = pc.list_value_length(conversions["items"]).fill_null(0).to_numpy() > 0
    halo: npt.NDArray[np.bool_] = linked[note] & listed[conversion]
    places = np.flatnonzero(halo)
    con.register("links", pa.table({"note": numbers.filter(known), "item": links["item"].filter(known)}))
    con.register("orders", pa.table({"number": np.arange(len(conversions)), "items": conversions["items"]}))
    con.register("positions", pa.table({"place": places, "number": conversion[places], "note": note[places]}))
    halo[con.sql(_DIRECT).to_arrow_table()["place"].to_numpy()] = False
    return halo
