"""Filling the online store with everybody's rows as of an instant."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow.compute as pc

from features.settings import Settings
from features.spine import Spine
from serving.sqlite_store import SqliteStore
from training.pairs import Window

_ROWS_AT_ONCE: Final = 4096


def fill_store(settings: Settings, window: Window, spine: Spine, schema_hash: str, source: str = "") -> None:
    """Replace the store's content with the rows of a window; readers see the old rows until all are there.

    Parameters
    ----------
    settings
        Where the store lies.
    window
        Everybody's wide rows.
    spine
        The spine of the window: says which accounts lead to whom.
    schema_hash
        Of the rows' layout.
    source
        Names the data that the rows were computed from.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(settings.store_file)
    persons = list(window.persons)
    with store.fill(schema_hash, window.rows.shape[1], window.instant, source=source) as fill:
        for start in range(0, len(persons), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            fill.add(persons[block], np.ascontiguousarray(window.rows[block]))
        owners = spine.accounts.join(spine.rows.select(["row", "person"]), "row")
        linked = owners.filter(pc.not_equal(owners["account"], owners["person"]))
        fill.link(linked["account"].to_pylist(), linked["person"].to_pylist())
    store.close()
