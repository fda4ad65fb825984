"""Erasing people from quarantine, whose rows are kept as they came: under outside ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from features.durable import write_durably
from features.erasure.erasable import ErasablePlace
from features.log.quarantine import lines_of
from features.people.identity import load_key
from features.rights.ledger import known_platforms
from features.rights.raw_words import keys_in
from features.settings import Settings

Named = Callable[[str, AbstractSet[str], Sequence[str] | None], bool]
"""Given a row as it came, keys, and the platforms that it may be of: whether it names one of these people."""


def names_of(settings: Settings) -> Named:
    """Return what tells whether a row as it came names somebody."""
    key, known = load_key(settings), known_platforms(settings)
    return lambda raw, keys, platforms: not keys.isdisjoint(keys_in(raw, key, platforms, known))


class QuarantinePlace(ErasablePlace):
    """All quarantines; whoever erases from them holds `features.log.importing.import_lock`.

    Parameters
    ----------
    settings
        Where they lie.
    named
        Tells whether a row names somebody.
    """

    name = "quarantine"

    def __init__(self, settings: Settings, named: Named) -> None:
        self._settings = settings
        self._named = named

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete rows that name people, see `ErasablePlace.erase`."""
        keys = {*persons, *accounts}
        removed = 0
        for path in sorted(self._settings.quarantine_dir.glob("*.jsonl")):
            entries = [(line, json.loads(line)) for line in lines_of(path) if line.strip()]
            platforms = {e["input"]: _platforms(e["mapping"]) for _, e in entries if "input" in e}
            left = [
                (line, entry)
                for line, entry in entries
                if "input" in entry or not self._named(entry["raw"], keys, platforms.get(entry["of"]))
            ]
            removed += len(entries) - len(left)
            if all("input" in entry for _, entry in left):
                path.unlink()
            elif len(left) < len(entries):
                write_durably(path, "".join(f"{line}\n" for line, _ in left))
        return removed


def _platforms(mapping: dict[str, Any]) -> list[str] | None:
    said = mapping.get("columns", {}).get("platform", mapping.get("platform"))
    if isinstance(said, dict) and "constant" in said:
        return [str(said["constant"])]
    in_a_column = "platform" in mapping.get("columns", {})
    return None if said is None or in_a_column else [str(said)]
