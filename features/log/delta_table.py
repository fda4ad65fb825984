"""One canonical table on disk: Parquet parts under a Delta transaction log, one atomic version per import."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from features.durable import write_durably
from features.errors import EventLogError
from features.events import Table

_PENDING = "_pending.json"
_METADATA_KEY = "zhongcao"
ERASURE = "erasure"
"""Source of versions that took people's rows away, and every version before with them."""
# The history of a log is part of the product: commits are never cleaned up.
_CONFIGURATION = {"delta.logRetentionDuration": "interval 36500 days", "delta.enableExpiredLogCleanup": "false"}


@dataclass(frozen=True)
class Part:
    """A Parquet file that is written but not yet committed.

    Parameters
    ----------
    name
        File name inside the table's folder.
    rows
        Number of rows.
    ranges
        Column → (smallest, largest) value, for readers that skip files.
    """

    name: str
    rows: int
    ranges: dict[str, tuple[int | str, int | str]]


@dataclass(frozen=True)
class Commit:
    """One version of a table.

    Parameters
    ----------
    version
        Its number.
    said
        What it recorded about itself.
    parts
        Names of the parts that it added.
    """

    version: int
    said: dict[str, Any]
    parts: tuple[str, ...]


class LogTable:
    """A Delta table of canonical rows in its folder.

    Parameters
    ----------
    folder
        Folder of the table; made by the first commit.
    table
        The canonical table that its rows follow.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        self.folder = folder
        self.table = table

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed."""
        return (self.folder / "_delta_log").is_dir()

    @property
    def version(self) -> int:
        """Number of the latest version, -1 before the first commit."""
        return int(DeltaTable(self.folder).version()) if self.exists else -1

    def position(self, application: str, version: int | None = None) -> int:
        """Return the number that the application's last commit by a version (the latest) recorded, -1 for none."""
        known = self.exists and version != -1
        stored = DeltaTable(self.folder, version=version).transaction_version(application) if known else None
        return -1 if stored is None else int(stored)

    def files(self, version: int | None = None) -> list[str]:
        """Return the paths of the parts that make up a version (the latest by default).

        Raises
        ------
        EventLogError
            The table has no such version.
        """
        latest = self.version
        if version is not None and not -1 <= version <= latest:
            raise EventLogError(f"table {self.table.name} has no version", value=version, valid=[f"-1 to {latest}"])
        if latest < 0 or version == -1:
            return []
        table = DeltaTable(self.folder, version=version)
        found = sorted(_local(uri) for uri in table.file_uris())
        if version not in (None, latest) and not all(Path(file).exists() for file in found):
            erased = any(one.said.get("source") == ERASURE for one in self.since(version))
            why = "people were erased" if erased else "its parts were put together more than `versions_days` ago"
            raise EventLogError(
                f"a version of table {self.table.name} is gone, since {why}",
                value=version,
                valid=[latest],
                next_step="begin again from the present version",
            )
        return found

    def history(self) -> list[dict[str, Any]]:
        """Return what each import said about itself, oldest first, with ``version`` and ``committed_at``."""
        if not self.exists:
            return []
        entries = []
        for commit in DeltaTable(self.folder).history():
            said = commit.get(_METADATA_KEY)
            entry = json.loads(said) if said else {}
            entries.append({"version": commit["version"], "committed_at": commit["timestamp"] // 1000} | entry)
        return sorted(entries, key=lambda entry: int(entry["version"]))

    def since(self, version: int) -> Iterator[Commit]:
        """Yield the versions behind one, oldest first; what they added and said is read of each alone."""
        number = version + 1
        while (path := self.folder / "_delta_log" / f"{number:020d}.json").exists():
            yield _commit_in(path, number, path.stat().st_mtime_ns)
            number += 1

    def recover(self) -> int:
        """Remove the parts that an import cut off before its commit left behind; return how many."""
        pending = self.folder / _PENDING
        if not pending.exists():
            return 0
        committed = {Path(file).name for file in self.files()}
        orphans = [self.folder / name for name in _announced(pending) if name not in committed]
        removed = 0
        for orphan in orphans:
            if orphan.exists():
                orphan.unlink()
                removed += 1
        pending.unlink()
        return removed

    def announce(self, names: Sequence[str]) -> None:
        """Note the parts about to be written, so that `recover` finds them should the import be cut off."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(self.folder / _PENDING, json.dumps(list(names)))

    def commit(
        self,
        parts: Sequence[Part],
        metadata: dict[str, Any],
        position: tuple[str, int] | None = None,
        *,
        replace: bool = False,
        merged: Sequence[str] = (),
    ) -> int:
        """Make the parts visible in one version and return its number.

        Parameters
        ----------
        parts
            The parts.
        metadata
            What the version records about itself.
        position
            An application and how far it has come with this version, see `position`.
        replace
            Whether they take the place of all parts before them; else they are added.
        merged
            Names of parts whose rows they hold and whose place they take: what the table says stays the same.
        """
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            AddAction(part.name, (self.folder / part.name).stat().st_size, {}, now, not merged, _stats(part))
            for part in parts
        ]
        actions += [RemoveAction(name, False, now) for name in merged]
        properties = CommitProperties(
            custom_metadata={_METADATA_KEY: json.dumps(metadata)},
            app_transactions=[Transaction(*position)] if position else None,
        )
        schema = Schema.from_arrow(pa.schema(self.table.schema))
        if self.exists:
            DeltaTable(self.folder).create_write_transaction(
                actions, mode="overwrite" if replace else "append", schema=schema, commit_properties=properties
            )
        else:
            create_table_with_add_actions(
                str(self.folder.resolve()),
                schema,
                actions,
                mode="error",
                configuration=_CONFIGURATION,
                commit_properties=properties,
            )
        (self.folder / _PENDING).unlink(missing_ok=True)
        return self.version

    def rows(self) -> dict[str, int]:
        """Return part → number of its rows, oldest first."""
        if not self.exists:
            return {}
        found = pa.table(DeltaTable(self.folder).get_add_actions(flatten=True)).to_pylist()
        found.sort(key=lambda one: (one["modification_time"], one["path"]))
        return {unquote(one["path"]): int(one["num_records"]) for one in found}

    def vacuum(self) -> None:
        """Delete every part that the latest version does not hold: earlier versions cannot be read any more."""
        kept = {Path(file).name for file in self.files()}
        if any(part.name not in kept for part in self.folder.glob("*.parquet")):
            DeltaTable(self.folder).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        # What was removed long ago is not in Delta's own books any more.
        for part in self.folder.glob("*.parquet"):
            if part.name not in kept:
                part.unlink()


@lru_cache(maxsize=20_000)
def _commit_in(path: Path, version: int, _written_at: int) -> Commit:
    said: dict[str, Any] = {}
    parts: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        if "add" in action:
            parts.append(unquote(action["add"]["path"]))
        elif text := action.get("commitInfo", {}).get(_METADATA_KEY):
            said = json.loads(text)
    return Commit(version, said, tuple(parts))


def _stats(part: Part) -> str:
    low = {name: bounds[0] for name, bounds in part.ranges.items()}
    high = {name: bounds[1] for name, bounds in part.ranges.items()}
    return json.dumps({"numRecords": part.rows, "minValues": low, "maxValues": high, "nullCount": {}})


def _local(uri: str) -> str:
    return unquote(urlparse(uri).path) if uri.startswith("file:") else uri


def _announced(pending: Path) -> list[str]:
    try:
        names: list[str] = json.loads(pending.read_text(encoding="utf-8"))
    except ValueError:
        # Cut off by a full disk, in a version that did not write it in one step: nothing was written after it.
        return []
    return names
