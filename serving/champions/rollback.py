"""Going back to the bundle that served before, where the store holds the rows that it reads."""

from __future__ import annotations

import json
from pathlib import Path

from features.errors import StoreError
from features.rows.layout import RowLayout
from features.settings import Settings
from serving.online.added_columns import open_store
from training.bundles.champion import roll_back
from training.bundles.manifest import TAGS, Kind


def rollback(settings: Settings, kind: Kind) -> tuple[str, str]:
    """Make the bundle that served before the champion again; running servers notice by themselves.

    Returns
    -------
    tuple
        Names of the bundle that was left and of the one that serves now.

    Raises
    ------
    BundleError
        There was none before, it is not whole any more, or another one was promoted meanwhile.
    StoreError
        The online store does not hold the rows that it reads.
    """

    def check(folder: Path) -> None:
        if kind is TAGS:
            _check_rows(settings, folder)

    return roll_back(settings, kind, check)


def _check_rows(settings: Settings, folder: Path) -> None:
    layout = RowLayout.from_dict(json.loads((folder / "layout.json").read_text(encoding="utf-8")))
    store = open_store(settings, layout)
    try:
        held = store.describe().schema_hash
    finally:
        store.close()
    if held != layout.schema_hash:
        raise StoreError(
            f"the online store does not hold the rows that {folder.name} reads, so it could not answer",
            value=held,
            valid=[layout.schema_hash],
            next_step="run `zhongcao retrain` with its taxonomy",
        )
