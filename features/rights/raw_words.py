"""Whom a row names that could not be read: every word of it is tried as an account."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from features.people.identity import account_key, person_key

_BETWEEN: Final = re.compile(r"""[\s,;|"'{}\[\]()<>]+""")
_INNER: Final = re.compile(r"[:=/]")
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_AROUND: Final = " \t\r\n\"'"
_LONGEST: Final = 512


def keys_in(raw: str, key: bytes, platforms: Sequence[str] | None = None, known: Collection[str] = ()) -> set[str]:
    """Return the keys of all accounts and persons that a row may name, and many of nobody.

    Parameters
    ----------
    raw
        The row as it stood in its file or was sent: JSON, or cells between separators, or broken.
    key
        The installation's key.
    platforms
        Platforms that the accounts may be of; by default the known ones, and every word of the row could be one.
    known
        Platforms that were seen before.

    Examples
    --------
    >>> k = b"k" * 32
    >>> account_key(k, "shop", "user 1") in keys_in('x;"user 1";7', k, ["shop"])
    True
    >>> account_key(k, "shop", "7") in keys_in('{"platform": "shop", "account": 7}', k)
    True
    """
    words = {word for word in _words(raw) if len(word) <= _LONGEST}
    found = {word for word in words if _KEY.fullmatch(word)}
    found.update(person_key(key, word) for word in words)
    for platform in words.union(known) if platforms is None else set(platforms):
        found.update(account_key(key, platform, word) for word in words)
    return found


def _words(raw: str) -> Iterator[str]:
    with suppress(ValueError):
        yield from _leaves(json.loads(raw))
    for separator in ",\t;|":
        try:
            for cells in csv.reader([raw], delimiter=separator):
                yield from (cell.strip(_AROUND) for cell in cells)
        except csv.Error:
            continue
    for word in _BETWEEN.split(raw):
        yield word
        yield from _INNER.split(word)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif value is not None:
        yield str(value).strip(_AROUND)
