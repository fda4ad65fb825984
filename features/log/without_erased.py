"""Rows of people who were erased are taken out before anything of them is written anywhere."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from features.log.canonical import Canonical
from features.rights.tombstones import Tombstones
from features.sources.mapping import Constant, Mapping


def without_erased(made: Canonical, mapping: Mapping, tombstones: Tombstones) -> tuple[Canonical, int]:
    """Return a chunk without what is about people who were erased, and how many rows that takes away.

    Parameters
    ----------
    made
        Canonical rows, and rows that are refused as they stood in their file.
    mapping
        How they were read.
    tombstones
        Who was erased.
    """
    table = made.table
    for column in mapping.canonical.columns:
        if column.type in ("account", "person") and column.name in table.column_names:
            gone = tombstones.among(table[column.name])
            if gone is not None:
                table = table.filter(pc.invert(gone))
    platform = (mapping.made | mapping.columns).get("platform")
    platforms = [str(platform.constant)] if isinstance(platform, Constant) else None
    refused = [row for row in made.refused if not tombstones.named(row.raw, platforms)]
    taken = made.table.num_rows - table.num_rows + len(made.refused) - len(refused)
    return (replace(made, table=table, refused=refused) if taken else made), taken
