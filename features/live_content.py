"""What a live event says, as a digest that equals the one of the same event in the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any, Final

from features.events import EVENTS
from features.sources.canonical import FILLED_FROM_ITEMS, FILLED_FROM_NOTES, NOT_CONTENT

_SAID: Final = tuple(column for column in EVENTS.columns if column.name not in (*NOT_CONTENT, EVENTS.key))
_FILLERS: Final = {
    column.name: tuple(
        of for of, filled in (("item", FILLED_FROM_ITEMS), ("note", FILLED_FROM_NOTES)) if column.name in filled
    )
    for column in _SAID
}


def contents(columns: Mapping[str, Sequence[Any]]) -> list[bytes]:
    """Return a digest of each event: the same two times if and only if it says the same.

    What the catalogue of items and notes may fill in does not count, nor where and when the event arrived. Equals
    `features.log_dedupe.content_sql` over the event's row in the log.

    Parameters
    ----------
    columns
        Canonical column → values, all of the same length; absent columns are empty.

    Examples
    --------
    >>> event = {"kind": ["click"], "event_time": [1_700_000_000], "platform": ["shop"], "account": ["a1"]}
    >>> contents(event) == contents(event | {"arrived_at": [1_800_000_000]})
    True
    >>> contents(event) == contents(event | {"kind": ["like"]})
    False
    """
    said = []
    for column in _SAID:
        values = columns.get(column.name)
        if values is None:
            continue
        texts = _texts(f"{column.name}=", column.type, values)
        for filler in _FILLERS[column.name]:
            if filler in columns:
                texts = [t if by is None else None for t, by in zip(texts, columns[filler], strict=True)]
        said.append(texts)
    return [
        md5("\x1f".join(filter(None, parts)).encode(), usedforsecurity=False).digest()
        for parts in zip(*said, strict=True)
    ]


def _texts(prefix: str, of: str, values: Sequence[Any]) -> list[str | None]:
    if of == "flag":
        return [None if v is None else prefix + ("true" if v else "false") for v in values]
    # DuckDB writes floating point numbers as Python does: the shortest digits that read back as the same number.
    return [None if v is None else f"{prefix}{v}" for v in values]
