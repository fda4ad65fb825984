"""Seed lists: whom a file names, and of whom nothing is known; only pseudonymous keys are kept."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

import numpy as np

from features.durable import write_durably
from features.errors import SourceError
from features.named_files import read_named
from features.people.identity import account_key
from features.settings import Settings
from serving.consent.log import WITHDRAWN
from serving.online.store import OnlineStore

UNKNOWN: Final = "unknown: no row in the online store"
EMPTY: Final = "empty"
TWICE: Final = "the same person as in an earlier line"
_KEYS_AT_ONCE: Final = 1_000
_AROUND_IDS: Final = " \t\r"
"""What the import takes away around ids before it hashes them."""


@dataclass(frozen=True)
class SeedList:
    """The people of a seed list.

    Parameters
    ----------
    persons
        Keys of those of whom the online store has rows, sorted.
    unmatched
        (line of the file, reason) of every other row, in order.
    """

    persons: tuple[str, ...]
    unmatched: tuple[tuple[int, str], ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        return dict(Counter(reason for _, reason in self.unmatched))


def read_seeds(path: Path, key: bytes, store: OnlineStore, withdrawn: AbstractSet[str]) -> SeedList:
    """Find the people of a CSV file in the online store.

    Parameters
    ----------
    path
        A CSV file with the columns ``platform`` and ``account``, or ``person`` with pseudonymous keys as the API
        answers them.
    key
        Installation key that account ids are hashed with.
    store
        Filled.
    withdrawn
        Keys of people of whom nothing may be learned.

    Raises
    ------
    SourceError
        The file cannot be read, or has none of the columns.
    """
    text = read_named(path, "seed", SourceError, "check the path")
    rows = csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        names, lines = list(rows.fieldnames or ()), [(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise SourceError(
            f"the seed file cannot be read after line {rows.line_num}: {error}",
            value=str(path),
            next_step="mend it",
        ) from error
    by_account = {"platform", "account"} <= set(names)
    if not by_account and "person" not in names:
        raise SourceError(
            f"{path} does not say who its people are",
            value=names,
            valid=["columns platform and account", "a column person"],
            next_step="name its columns so in the first line",
        )
    wanted = ("platform", "account") if by_account else ("person",)
    found = [(line, [(row[name] or "").strip(_AROUND_IDS) for name in wanted]) for line, row in lines]
    whole = [(line, values) for line, values in found if all(values)]
    unmatched = [(line, EMPTY) for line, values in found if not all(values)]
    keys = [account_key(key, *values) if by_account else values[0] for _, values in whole]
    persons = store.resolve(keys) if by_account else keys
    known = _known(persons, store)
    kept: dict[str, None] = {}
    for (line, _), person in zip(whole, persons, strict=True):
        if person in withdrawn:
            unmatched.append((line, WITHDRAWN))
        elif person not in known:
            unmatched.append((line, UNKNOWN))
        elif person in kept:
            unmatched.append((line, TWICE))
        else:
            kept[person] = None
    return SeedList(tuple(sorted(kept)), tuple(sorted(unmatched)))


def keep_seeds(settings: Settings, tag: str, entry: dict[str, str], seeds: SeedList) -> Path | None:
    """Keep a list beside the tag that is learned from it, readable by its owner only.

    Returns
    -------
    Path or None
        File of the lines that were left out, with their reasons; None where there are none.
    """
    seeds_folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    document = {**entry, "persons": list(seeds.persons)}
    write_durably(_file(settings, tag), json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    left_out = unmatched_file(settings, tag)
    if not seeds.unmatched:
        left_out.unlink(missing_ok=True)
        return None
    lines = ["line,reason", *(f"{line},{json.dumps(reason)}" for line, reason in seeds.unmatched)]
    write_durably(left_out, "\n".join(lines) + "\n")
    return left_out


def kept_seeds(settings: Settings, tag: str) -> tuple[str, ...]:
    """Return the keys of the list that a tag was learned from; none where it is not kept."""
    path = _file(settings, tag)
    return tuple(json.loads(path.read_text(encoding="utf-8"))["persons"]) if path.exists() else ()


def forget_seeds(settings: Settings, tag: str) -> None:
    """Delete a tag's list."""
    for path in (_file(settings, tag), unmatched_file(settings, tag)):
        path.unlink(missing_ok=True)


def seeds_folder(settings: Settings) -> Path:
    """Return the folder of the lists."""
    return settings.home / "seeds"


def unmatched_file(settings: Settings, tag: str) -> Path:
    """Return the file of the lines of a tag's list that were left out."""
    return seeds_folder(settings) / f"{tag}.unmatched.csv"


def head_rows(
    store: OnlineStore, seeds: Sequence[str], others: int, columns: np.ndarray, withdrawn: AbstractSet[str]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Read the listed people's rows, and those of some others, who are the first ones by key.

    Keys are hashes, so the first ones are a random choice.

    Parameters
    ----------
    store
        Filled.
    seeds
        Keys of the listed people, sorted.
    others
        Others that are enough.
    columns
        Numbers of the columns that are read.
    withdrawn
        Keys of people of whom nothing may be learned.

    Returns
    -------
    tuple
        float32 rows of the seeds and of the others, each in the order of keys, and how many people there are
        without those who withdrew.
    """
    info = store.describe()
    passed_over = withdrawn | set(seeds)
    of_seeds = []
    for start in range(0, len(seeds), _KEYS_AT_ONCE):
        rows = store.get(seeds[start : start + _KEYS_AT_ONCE])
        of_seeds += [row.vector[columns] for row in rows if row is not None]
    of_others: list[np.ndarray] = []
    count = 0
    for block in store.scan(info.fill, "", None, _KEYS_AT_ONCE):
        kept = np.array([person not in passed_over for person in block.persons])
        of_others.append(block.matrix[kept][:, columns])
        count += int(kept.sum())
        if count >= others:
            break
    width, people = len(columns), info.people - len(_known(sorted(withdrawn), store))
    rest = np.concatenate([np.empty((0, width), np.float32), *of_others])[:others]
    return np.array(of_seeds, np.float32).reshape(-1, width), rest, people


def _known(persons: Sequence[str], store: OnlineStore) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(persons), _KEYS_AT_ONCE):
        some = persons[start : start + _KEYS_AT_ONCE]
        known |= {person for person, row in zip(some, store.get(some), strict=True) if row is not None}
    return known


def _file(settings: Settings, tag: str) -> Path:
    return seeds_folder(settings) / f"{tag}.json"
