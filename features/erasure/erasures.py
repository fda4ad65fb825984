"""Erasures of people: asked for, carried out place by place, and finished whatever cuts them off."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from features.erasure.erasable import ErasablePlace
from features.erasure.person_keys import PersonKeys
from features.errors import RightsError
from features.people.identity import load_key
from features.rights.file import reading, rights_path, writing
from features.rights.ledger import ERASURE, say
from features.rights.tombstones import tombstone
from features.settings import Settings
from features.sqlite_pages import rewrite

_RECEIPTS: Final = (
    "SELECT id, mark, accounts, asked_at, finished_at, place, removed, begun FROM erasure"
    " LEFT JOIN step ON step.erasure = id {} ORDER BY number, step.rowid"
)


@dataclass(frozen=True)
class ErasedPlace:
    """What an erasure did in one place.

    Parameters
    ----------
    place
        Its name.
    removed
        How many rows, or files; None while it is still to be done.
    cut_off
        An earlier try was cut off there: it may have removed more than is counted.
    """

    place: str
    removed: int | None
    cut_off: bool


@dataclass(frozen=True)
class Receipt:
    """What became of an erasure; it holds no id and no key under which anything was kept.

    Parameters
    ----------
    id
        Of the erasure.
    person
        Tombstone of the person: with the installation's key, and only with it, it can be told whose receipt it is.
    accounts
        How many accounts were the person's.
    asked_at, finished_at
        Epoch seconds; None while it is under way.
    places
        What was done where, in order.
    """

    id: str
    person: str
    accounts: int
    asked_at: int
    finished_at: int | None
    places: tuple[ErasedPlace, ...]


def ask(settings: Settings, keys: PersonKeys, platforms: Iterable[str] = ()) -> str:
    """Ask for a person's erasure; from now on nothing is answered or taken about them.

    Parameters
    ----------
    settings
        Where the file of people's rights lies.
    keys
        Of the person.
    platforms
        Those of the log: rows that cannot be read may name an account without its platform.

    Returns
    -------
    str
        Id of the erasure; that of one under way where there is one.
    """
    key = load_key(settings)
    marks = [tombstone(key, one) for one in keys.all]
    with writing(rights_path(settings)) as connection:
        waiting = connection.execute("SELECT id, keys FROM erasure WHERE keys IS NOT NULL").fetchall()
        for erasure, held in waiting:
            if set(json.loads(held)).issuperset(keys.all):
                return str(erasure)
        erasure = secrets.token_hex(8)
        person = _known_person(connection, marks) or tombstone(key, keys.person)
        connection.executemany(
            "INSERT OR IGNORE INTO tombstone (mark, person) VALUES (?, ?)", [(mark, person) for mark in marks]
        )
        connection.executemany("INSERT OR IGNORE INTO platform VALUES (?)", [(name,) for name in platforms])
        say(connection, keys.all, ERASURE, holds=True)
        connection.execute(
            "INSERT INTO erasure (id, mark, accounts, asked_at, keys) VALUES (?, ?, ?, ?, ?)",
            (erasure, person, len(keys.accounts), int(time.time()), json.dumps([keys.person, *keys.accounts])),
        )
    return erasure


def _known_person(connection: sqlite3.Connection, marks: Sequence[str]) -> str | None:
    """Return the tombstone of the person whom one of the accounts was erased with before."""
    for mark in marks:
        for (person,) in connection.execute("SELECT person FROM tombstone WHERE mark = ?", (mark,)):
            return str(person)
    return None


def carry_out(settings: Settings, erasure: str, places: Sequence[ErasablePlace]) -> Receipt:
    """Erase a person from every place that was not finished yet; then forget the person's keys, too.

    Parameters
    ----------
    settings
        Where everything lies.
    erasure
        Id of the erasure.
    places
        All places, in order; nobody else writes to them meanwhile.

    Raises
    ------
    ZhongcaoError
        A place cannot be erased from now; the next call goes on there.
    """
    path = rights_path(settings)
    if receipt(settings, erasure).finished_at is not None:
        return receipt(settings, erasure)
    keys = _keys(settings, erasure)
    if keys is not None:
        _erase(settings, erasure, keys, places)
        with writing(path) as connection:
            connection.executemany("DELETE FROM said WHERE key = ?", [(key,) for key in keys])
            connection.execute("UPDATE erasure SET keys = NULL WHERE id = ?", (erasure,))
    # Finished only once the file itself shows no key any more: a reader may be in the way until the next try.
    rewrite(path)
    with writing(path) as connection:
        connection.execute("UPDATE erasure SET finished_at = ? WHERE id = ?", (int(time.time()), erasure))
    return receipt(settings, erasure)


def _erase(settings: Settings, erasure: str, keys: Sequence[str], places: Sequence[ErasablePlace]) -> None:
    """Erase a person from the places that were not finished yet, and note each."""
    path = rights_path(settings)
    done = {place.place for place in receipt(settings, erasure).places if place.removed is not None}
    for place in places:
        if place.name in done:
            continue
        with writing(path) as connection:
            connection.execute(
                "INSERT INTO step VALUES (?, ?, NULL, 1) ON CONFLICT DO UPDATE SET begun = begun + 1",
                (erasure, place.name),
            )
        removed = place.erase(keys[:1], keys[1:])
        with writing(path) as connection:
            connection.execute(
                "UPDATE step SET removed = ? WHERE erasure = ? AND place = ?", (removed, erasure, place.name)
            )


def unfinished(settings: Settings) -> list[str]:
    """Return the ids of erasures that are under way, in the order in which they were asked for."""
    return [i for (i,) in _select(settings, "SELECT id FROM erasure WHERE finished_at IS NULL ORDER BY number")]


def receipts(settings: Settings) -> list[Receipt]:
    """Return all receipts, in the order in which erasures were asked for."""
    return _receipts(_select(settings, _RECEIPTS.format("")))


def receipt(settings: Settings, erasure: str) -> Receipt:
    """Return the receipt of an erasure.

    Raises
    ------
    RightsError
        There is no such erasure.
    """
    found = _receipts(_select(settings, _RECEIPTS.format("WHERE id = ?"), erasure))
    if not found:
        raise RightsError("no erasure has this id", next_step="`zhongcao people erasures` lists them")
    return found[0]


def _receipts(rows: Iterable[tuple[Any, ...]]) -> list[Receipt]:
    """Return the receipts whose places come as rows, those of one erasure side by side."""
    found = []
    for (erasure, mark, accounts, asked_at, finished_at), steps in groupby(rows, key=lambda row: row[:5]):
        places = [
            ErasedPlace(place, removed, begun > 1) for *_, place, removed, begun in steps if place is not None
        ]
        found.append(Receipt(erasure, mark, accounts, asked_at, finished_at, tuple(places)))
    return found


def erased_since(settings: Settings, bundle: str) -> int:
    """Return how many people were erased since a bundle was trained, which may have learned from them."""
    found = _select(
        settings,
        "SELECT COUNT(DISTINCT mark) FROM trained_before JOIN erasure ON id = erasure WHERE bundle = ?",
        bundle,
    )
    return int(found[0][0]) if found else 0


def _keys(settings: Settings, erasure: str) -> list[str] | None:
    found = _select(settings, "SELECT keys FROM erasure WHERE id = ?", erasure)
    return None if not found or found[0][0] is None else list(json.loads(found[0][0]))


def _select(settings: Settings, query: str, *given: str) -> list[tuple[Any, ...]]:
    path = rights_path(settings)
    if not path.exists():
        return []
    try:
        with closing(reading(path)) as connection:
            return connection.execute(query, given).fetchall()
    except sqlite3.Error as error:
        raise RightsError(f"what people asked for cannot be read: {error}") from error
