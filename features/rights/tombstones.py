"""Tombstones: keyed hashes of erased accounts, by which events that are sent again are refused.

They are all that is kept of somebody who was erased, because without them the same events would come back with the
next import. A tombstone is a hash, under the installation's key, of a key; it is found nowhere else.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from features.people.identity import load_key
from features.rights.file import Followed
from features.rights.raw_words import keys_in
from features.settings import Settings
from features.sources.reader import Reason

ERASED: Final = Reason("account", "the person was erased")
_HEX_DIGITS: Final = 32


def tombstone(key: bytes, of: str) -> str:
    """Return the mark that stands for the key of an account or a person.

    Examples
    --------
    >>> tombstone(b"k" * 32, "a1") == tombstone(b"k" * 32, "a1"), tombstone(b"x" * 32, "a1")[:8]
    (True, '71d29ba4')
    """
    return hmac.digest(key, f"erased\x1f{of}".encode(), "sha256").hex()[:_HEX_DIGITS]


class Tombstones(Followed):
    """Tells who was erased, as of now; any number of threads may ask.

    Parameters
    ----------
    settings
        Where the file of people's rights and the installation's key lie.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._key = b""
        self._last = 0
        self._marks: frozenset[str] = frozenset()
        self._platforms: frozenset[str] = frozenset()

    def erased(self, keys: Iterable[str]) -> set[str]:
        """Return which of the keys are of somebody who was erased."""
        self.look()
        return {key for key in keys if tombstone(self._key, key) in self._marks} if self._marks else set()

    def among(self, column: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Return where a column of keys has somebody who was erased; None where it has nobody."""
        self.look()
        if not self._marks:
            return None
        gone = self.erased(pc.unique(column).to_pylist())
        return pc.is_in(column, pa.array(sorted(gone), pa.string())) if gone else None

    def named(self, raw: str, platforms: Sequence[str] | None = None) -> bool:
        """Return whether a row, as it was sent, names an account of somebody who was erased."""
        self.look()
        return bool(self._marks) and bool(self.erased(keys_in(raw, self._key, platforms, self._platforms)))

    def _take_in(self, connection: sqlite3.Connection) -> None:
        new = connection.execute(
            "SELECT number, mark FROM tombstone WHERE number > ? ORDER BY number", (self._last,)
        ).fetchall()
        if new:
            self._key = self._key or load_key(self._settings)
            self._marks = self._marks.union(mark for _, mark in new)
            self._platforms = frozenset(name for (name,) in connection.execute("SELECT name FROM platform"))
            self._last = new[-1][0]
