"""Mappings for the files of a world: its columns are canonical ones already."""

from __future__ import annotations

from typing import Any, Final

from features.events import TABLES, Table
from features.sources.mapping import Mapping, mapping_of
from features.world.rows import CURRENCY, SOURCE

TABLES_IN_ORDER: Final = (
    "items", "campaigns", "notes", "note_items", "identities", "people", "assignments", "spend", "events",
)  # fmt: skip
"""What other tables refer to comes first."""

_WITH_MONEY: Final = ("events", "items", "spend")
# Columns of the canonical tables that a world says nothing about.
_UNKNOWN: Final = ("coupon", "own_label")


def mapping_content(name: str) -> dict[str, Any]:
    """Return the content of the mapping of one table's files.

    Examples
    --------
    >>> mapping_content("note_items")["columns"]["note"]
    'note'
    """
    canonical: Table = TABLES[name]
    columns = {c.name: c.name for c in canonical.columns if not c.made and c.name not in _UNKNOWN}
    content: dict[str, Any] = {"source": SOURCE, "table": name, "format": "parquet", "time": "epoch_s"}
    content |= {"timezone": "UTC", "money": "minor"}
    return content | ({"currency": CURRENCY} if name in _WITH_MONEY else {}) | {"columns": columns}


def mapping(name: str) -> Mapping:
    """Return the mapping of one table's files."""
    return mapping_of(mapping_content(name), f"world {name}")


def mapping_text(name: str) -> str:
    """Return the mapping as a file that can be read, changed and given to ``zhongcao import``."""
    content = mapping_content(name)
    columns = content.pop("columns")
    lines = [f'{key} = "{value}"' for key, value in content.items()]
    return "\n".join([*lines, "", "[columns]", *(f'{key} = "{value}"' for key, value in columns.items())]) + "\n"
