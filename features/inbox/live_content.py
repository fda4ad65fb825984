"""What a live event says, as a digest that equals the one of the same event in the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from typing import Any, Final

from features.events import EVENTS
from features.log.canonical import FILLED_FROM_ITEMS, FILLED_FROM_NOTES, NOT_CONTENT

_SAID: Final = tuple(column for column in EVENTS.columns if column.name not in (*NOT_CONTENT, EVENTS.key))
_FILLERS: Final = {
    column.name: tuple(
        of for of, filled in (("item", FILLED_FROM_ITEMS), ("note", FILLED_FROM_NOTES)) if column.name in filled
    )
    for column in _SAID
}

_EMPTY: Final = md5(usedforsecurity=False)
"""Copied for each event, which takes half of the time that making another does."""


def contents(columns: Mapping[str, Sequence[Any]]) -> list[bytes]:
    """Return a digest of each event: the same two times if and only if it says the same.

    What the catalogue of items and notes may fill in does not count, nor where and when the event arrived. Equals
    `features.log.dedupe.content_sql` over the event's row in the log: DuckDB writes floating point numbers as
    Python does, with the shortest digits that read back as the same number.

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
    pieces: list[list[str]] = []
    names: list[str] = []
    full: list[Iterable[Any]] = []

    def say_full() -> None:
        # Columns that lie side by side and have a value in every row are written in one go.
        if full:
            template = "\x1f".join(f"{name}=%s" for name in names)
            pieces.append([template % row for row in zip(*full, strict=True)])
            names.clear()
            full.clear()

    for column in _SAID:
        values = columns.get(column.name)
        if values is None:
            continue
        if column.type == "flag":
            values = [None if value is None else "true" if value else "false" for value in values]
        for filler in _FILLERS[column.name]:
            if filler in columns:
                values = [v if by is None else None for v, by in zip(values, columns[filler], strict=True)]
        if None in values:
            say_full()
            pieces.append(["" if value is None else f"{column.name}={value}" for value in values])
        else:
            names.append(column.name)
            full.append(values)
    say_full()
    texts = pieces[0] if len(pieces) == 1 else ["\x1f".join(filter(None, row)) for row in zip(*pieces, strict=True)]
    return list(map(_digest, texts))


def _digest(text: str) -> bytes:
    digest = _EMPTY.copy()
    digest.update(text.encode())
    return digest.digest()
