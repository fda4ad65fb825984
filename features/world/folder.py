"""A world on disk: day partitions of events and truth, tables, mappings; made again where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.durable import publish_file, write_durably
from features.errors import SourceError
from features.world import tables, truth
from features.world.mappings import TABLES_IN_ORDER, mapping_text
from features.world.policy import Policy
from features.world.rows import day_number
from features.world.settings import WorldSettings
from features.world.taxonomy import world_taxonomy
from features.world.world import Day, World

DESCRIPTION: Final = "world.json"
TRUTH: Final = "truth"
_FORM: Final = 1
_PEOPLE_A_FILE: Final = 100_000
# Texts that repeat within a file; the others are ids, for which a dictionary would only cost time.
_REPEATING: Final = [
    "source", "kind", "platform", "note", "creator", "topic", "campaign", "item", "brand", "category", "shop",
    "currency", "policy", "arm", "attribute", "value", "media", "department", "held_out_of",
]  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What was written.

    Parameters
    ----------
    events
        Rows of the events table.
    kept
        Days whose files were there already.
    """

    events: int
    kept: int


def write_world(
    settings: WorldSettings, policy: Policy, folder: Path, advance: Callable[[], object] = lambda: None
) -> Written:
    """Make a world and write it; days whose files an earlier run finished are kept.

    Parameters
    ----------
    settings, policy
        The world.
    folder
        Where it goes: ``events/``, a file or folder for each other table, ``mappings/``,
        ``taxonomy.toml``, and apart ``truth/``.
    advance
        Called after each day.

    Raises
    ------
    SourceError
        The folder holds something else.
    """
    _describe(folder, settings, policy)
    world = World(settings)
    events = kept = 0
    for day in range(settings.days):
        passed = world.step(day, policy)
        events += passed.coded.num_rows
        kept += not _write_day(folder, passed)
        advance()
    for path, table in _tables(world):
        _write(folder / path, table)
    for path, table in _truth(world):
        _write(folder / TRUTH / path, table)
    (folder / "mappings").mkdir(exist_ok=True)
    for name in TABLES_IN_ORDER:
        write_durably(folder / "mappings" / f"{name}.toml", mapping_text(name))
    write_durably(folder / "taxonomy.toml", world_taxonomy())
    _describe(folder, settings, policy, events=events)
    return Written(events, kept)


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the files of a table in a world's folder, in order."""
    return sorted((folder / name).glob("*.parquet")) if (folder / name).is_dir() else [folder / f"{name}.parquet"]


def description(folder: Path) -> dict[str, Any]:
    """Return what a world's folder says about itself.

    Raises
    ------
    SourceError
        It is none, or it was not finished.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise SourceError(
            "no world there", value=str(folder),
            next_step="zhongcao world make --people N --days D --out FOLDER makes one",
        )  # fmt: skip
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "events" not in found:
        raise SourceError(
            "this world was not finished", value=str(folder), next_step="run the same zhongcao world make once more"
        )
    return found


def settings_of(found: dict[str, Any]) -> WorldSettings:
    """Return the settings that a description names."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found["settings"].items()
    }
    return WorldSettings(**values)


def _describe(folder: Path, settings: WorldSettings, policy: Policy, events: int | None = None) -> None:
    """Write down which world this is, unless the folder holds another one."""
    path = folder / DESCRIPTION
    told: dict[str, Any] = json.loads(
        json.dumps({"form": _FORM, "policy": policy.name, "settings": asdict(settings)})
    )
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if {name: before.get(name) for name in told} != told:
            raise SourceError("the folder holds another world", value=str(folder), next_step="name a new folder")
    elif folder.exists() and any(folder.iterdir()):
        raise SourceError("the folder is not empty", value=str(folder), next_step="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    if events is not None:
        told["events"] = events
    if events is not None or not path.is_file():
        write_durably(path, json.dumps(told, indent=2) + "\n")


def _write_day(folder: Path, day: Day) -> bool:
    """Write a day's files where they are missing; return whether there was anything to do."""
    name = f"day-{day.number:04d}.parquet"
    paths = {folder / "events" / name: day.coded, folder / TRUTH / "impressions" / name: day.truth}
    missing = [path for path in paths if not path.is_file()]
    for path in missing:
        _write(path, paths[path])
    return bool(missing)


def _write(path: Path, table: pa.Table) -> None:
    """Write a file that is either whole or not there; dictionaries become plain texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    repeating = [name for name in _REPEATING if name in table.column_names]
    pq.write_table(
        table, draft, compression="snappy", use_dictionary=repeating, write_statistics=False, store_schema=False
    )
    publish_file(draft, path)


def _people(settings: WorldSettings) -> Iterator[tuple[str, np.typing.NDArray[np.int64]]]:
    for first in range(0, settings.people, _PEOPLE_A_FILE):
        yield (
            f"part-{first // _PEOPLE_A_FILE:04d}.parquet",
            np.arange(first, min(first + _PEOPLE_A_FILE, settings.people)),
        )


def _tables(world: World) -> Iterator[tuple[Path, pa.Table]]:
    for name, table in world.tables(small_only=True).items():
        yield Path(f"{name}.parquet"), table
    for name, person in _people(world.settings):
        yield Path("identities") / name, tables.identities_table(world.settings, world.words, world.people, person)
        yield Path("people") / name, tables.people_table(world.settings, world.words, world.people, person)
    arms = tables.assignments_tables(world.settings, world.words, world.campaigns, world.people)
    for number, table in enumerate(arms):
        yield Path("assignments") / f"campaign-{number:04d}.parquet", table


def _truth(world: World) -> Iterator[tuple[Path, pa.Table]]:
    first = day_number(world.settings, 0)
    for key, (caused, names) in world.caused().items():
        yield Path(f"{key}s.parquet"), truth.caused_table(caused, names, key)
        yield Path(f"{key}_days.parquet"), truth.caused_by_day(caused, names, key, first)
    for name, person in _people(world.settings):
        yield Path("people") / name, world.people_truth(person)
