"""Writes a world: some people after the others, so that memory is bounded, and never twice what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.durable import publish_file, write_durably
from features.errors import SettingsError
from features.world import tables, truth
from features.world.draws import Ints
from features.world.folder import TRUTH, describe
from features.world.mappings import TABLES_IN_ORDER, mapping_text
from features.world.policy import Policy
from features.world.rows import day_number
from features.world.settings import WorldSettings
from features.world.taxonomy import world_taxonomy
from features.world.without import Caused
from features.world.world import Day, World

PEOPLE_A_PART: Final = 100_000
_MOST_FILES: Final = 36**3
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
        Files of events that were there already.
    """

    events: int
    kept: int


def parts_of(settings: WorldSettings, people_a_part: int = PEOPLE_A_PART) -> list[Ints]:
    """Return the people of each part of a world."""
    return [
        np.arange(first, min(first + people_a_part, settings.people))
        for first in range(0, settings.people, people_a_part)
    ]


def write_world(
    settings: WorldSettings,
    policy: Policy,
    folder: Path,
    advance: Callable[[], object] = lambda: None,
    *,
    people_a_part: int = PEOPLE_A_PART,
) -> Written:
    """Make a world and write it; what an earlier run finished is kept.

    Parameters
    ----------
    settings, policy
        The world; the policy must not carry anything from one slot to another, since parts come one by one.
    folder
        Where it goes: ``events/``, a file or folder for each other table, ``mappings/``, ``taxonomy.toml``, and
        apart ``truth/``.
    advance
        Called after each day of each part.
    people_a_part
        People who are simulated at once; memory follows from it.

    Raises
    ------
    SourceError
        The folder holds something else.
    SettingsError
        There are too many people and days for the ids.
    """
    parts = parts_of(settings, people_a_part)
    if len(parts) * settings.days > _MOST_FILES:
        raise SettingsError(
            "too many people and days for one world", value=settings.people,
            next_step=f"ask for {_MOST_FILES // settings.days * people_a_part:,} people or fewer days",
        )  # fmt: skip
    describe(folder, settings, policy.name, people_a_part)
    finished = [_write_part(settings, policy, folder, advance, part=n, number=p) for n, p in enumerate(parts)]
    world = World(settings, number=np.arange(1))
    events = sum(int(found["events"]) for found, _ in finished)
    spent = np.sum([found["spent"] for found, _ in finished], axis=0)
    for name, table in world.tables(small_only=True).items():
        _write(folder / f"{name}.parquet", table)
    _write(folder / "spend.parquet", tables.spend_table(settings, world.campaigns, spent))
    for key, (_, names) in world.caused.items():
        caused = Caused(*(np.sum([found[f"{key}_{n}"] for found, _ in finished], axis=0) for n in range(4)))
        first = day_number(settings, 0)
        _write(folder / TRUTH / f"{key}s.parquet", truth.caused_table(caused, names, key))
        _write(folder / TRUTH / f"{key}_days.parquet", truth.caused_by_day(caused, names, key, first))
    (folder / "mappings").mkdir(exist_ok=True)
    for name in TABLES_IN_ORDER:
        write_durably(folder / "mappings" / f"{name}.toml", mapping_text(name))
    write_durably(folder / "taxonomy.toml", world_taxonomy())
    describe(folder, settings, policy.name, people_a_part, events=events)
    return Written(events, sum(kept for _, kept in finished))


def _write_part(
    settings: WorldSettings, policy: Policy, folder: Path, advance: Callable[[], object], *, part: int, number: Ints
) -> tuple[dict[str, Ints], int]:
    """Simulate some people; a part that was finished is only read, one that was cut off is simulated again."""
    totals = folder / TRUTH / "parts" / f"part-{part:04d}.npz"
    if totals.is_file():
        for _ in range(settings.days):
            advance()
        with np.load(totals) as found:
            return dict(found), settings.days
    world = World(settings, part, number)
    events = kept = 0
    for day in range(settings.days):
        passed = world.step(day, policy)
        events += passed.coded.num_rows
        kept += not _write_day(folder, passed, part)
        advance()
    name, person = f"part-{part:04d}.parquet", np.arange(len(number))
    _write(folder / "identities" / name, tables.identities_table(settings, world.words, world.people, person))
    _write(folder / "people" / name, tables.people_table(settings, world.words, world.people, person))
    arms = tables.assignments_tables(settings, world.words, world.campaigns, world.people)
    for campaign, table in enumerate(arms):
        _write(folder / "assignments" / f"campaign-{campaign:04d}-{name}", table)
    _write(folder / TRUTH / "people" / name, world.people_truth(person))
    found = {"events": np.array(events), "spent": world.spent}
    for key, (caused, _) in world.caused.items():
        found |= {f"{key}_{n}": values for n, values in enumerate(vars(caused).values())}
    totals.parent.mkdir(parents=True, exist_ok=True)
    draft = totals.with_name(f".{totals.name}.draft")
    with draft.open("wb") as file:
        np.savez(file, **found)
    publish_file(draft, totals)
    return found, kept


def _write_day(folder: Path, day: Day, part: int) -> bool:
    """Write a day's files where they are missing; return whether there was anything to do."""
    name = f"day-{day.number:04d}-part-{part:04d}.parquet"
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
