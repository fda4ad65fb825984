"""Erasing people from files of the home: lists and columns of added tags, caches, reports, and marks on models."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from features.durable import write_durably
from features.erasure.erasable import ErasablePlace
from features.rights.file import rights_path, writing
from features.settings import Settings
from serving.online.added_columns import erase_added
from serving.pages.people_cards import SHOWN_DIGITS
from serving.tags.seed_list import seeds_folder

_CACHES: Final = ("windows", "bins", "conversion", "histories")
_SPILLED_SECONDS: Final = 3600.0


class SeedsPlace(ErasablePlace):
    """The lists of people that tags were learned from."""

    name = "seed lists"

    def __init__(self, settings: Settings) -> None:
        self._folder = seeds_folder(settings)

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Take people off every list, see `ErasablePlace.erase`."""
        keys, removed = {*persons, *accounts}, 0
        for path in sorted(self._folder.glob("*.json")):
            document = json.loads(path.read_text(encoding="utf-8"))
            left = [person for person in document["persons"] if person not in keys]
            if gone := len(document["persons"]) - len(left):
                document["persons"] = left
                write_durably(path, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
                removed += gone
        return removed


class AddedPlace(ErasablePlace):
    """Columns of added tags beside the online store."""

    name = "columns of added tags"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete people's columns, see `ErasablePlace.erase`."""
        return erase_added(self._settings, {*persons, *accounts})


class CachesPlace(ErasablePlace):
    """Features of everybody that jobs keep to go on from; made again when they are needed.

    No job that reads the log may run meanwhile.
    """

    name = "caches of jobs"

    def __init__(self, settings: Settings) -> None:
        self._work = settings.work_dir

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:  # noqa: ARG002
        """Delete all caches, see `ErasablePlace.erase`: who is in one cannot be told without reading it."""
        removed = 0
        for name in _CACHES:
            held = [path for path in (self._work / name).rglob("*") if path.is_file() and path.name != "lock"]
            removed += len(held)
            shutil.rmtree(self._work / name, ignore_errors=True)
        # What a query wrote that was killed; one that runs writes now.
        for path in (self._work / "duckdb").glob("*"):
            if path.is_file() and path.stat().st_mtime < time.time() - _SPILLED_SECONDS:
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class ReportsPlace(ErasablePlace):
    """Pages that name people, by the beginning of a key."""

    name = "reports"

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete pages that name one of the people, see `ErasablePlace.erase`; the next job writes them anew."""
        shown = {f"{key[:SHOWN_DIGITS]}…" for key in (*persons, *accounts)}
        named = [
            path
            for path in sorted(self._home.glob("*.html"))
            if any(beginning in path.read_text(encoding="utf-8") for beginning in shown)
        ]
        for path in named:
            path.unlink()
        return len(named)


class ModelsPlace(ErasablePlace):
    """Marks on bundles that were trained before; bundles hold nobody, and stay as they are, to the byte.

    Parameters
    ----------
    settings
        Where they lie.
    erasure
        Id of the erasure.
    """

    name = "marks on models"

    def __init__(self, settings: Settings, erasure: str) -> None:
        self._settings = settings
        self._erasure = erasure

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:  # noqa: ARG002
        """Mark every bundle as older than the erasure; nothing is removed, see `ErasablePlace.erase`."""
        bundles = [path.name for path in self._settings.bundles_dir.glob("*") if _is_bundle(path)]
        with writing(rights_path(self._settings)) as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO trained_before VALUES (?, ?)", [(name, self._erasure) for name in bundles]
            )
        return 0


def _is_bundle(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
