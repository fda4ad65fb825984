"""Columns of added tags beside the online store: a new tag is served at once, and no stored row is rewritten."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.durable import publish
from features.errors import StoreError
from features.rows.layout import RowLayout
from features.settings import Settings
from serving.online import choice as stores
from serving.online.store import Fill, Live, OnlineStore, RowBlock, StoredRow, StoredState, StoreInfo, Update

_ABOUT: Final = "about.json"
_COLUMNS: Final = "columns.npy"
_PERSONS: Final = "persons.npy"
_DRAFT: Final = ".writing-"


@dataclass(frozen=True)
class AddedColumns:
    """The added columns of everybody, as of one instant.

    Parameters
    ----------
    as_of
        Instant that they were computed for, epoch seconds.
    persons
        Person keys as bytes, ascending.
    columns
        float32 [n, layout.added.width].
    """

    as_of: int
    persons: NDArray[np.bytes_]
    columns: NDArray[np.float32]

    @classmethod
    def of(cls, as_of: int, persons: Sequence[str], columns: NDArray[np.float32]) -> AddedColumns:
        """Put the columns in the order of the people's keys."""
        keys = np.array([person.encode() for person in persons], dtype=np.bytes_)
        order = np.argsort(keys, kind="stable")
        return cls(as_of, keys[order], columns[order])

    @classmethod
    def empty(cls, as_of: int, layout: RowLayout) -> AddedColumns:
        """Return the columns of nobody."""
        return cls(as_of, np.empty(0, np.bytes_), np.empty((0, layout.added.width), np.float32))

    def beside(self, persons: Sequence[str], as_of: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the columns of some people; missing for a row of another instant, or a person who is not known."""
        keys = np.array([person.encode() for person in persons], dtype=np.bytes_)
        place = np.minimum(np.searchsorted(self.persons, keys), max(len(self.persons) - 1, 0))
        out = np.full((len(persons), self.columns.shape[1]), np.nan, np.float32)
        if len(self.persons):
            known = (self.persons[place] == keys) & (as_of == self.as_of)
            out[known] = self.columns[place[known]]
        return out

    def arranged(self, old: RowLayout, new: RowLayout) -> AddedColumns:
        """Return them in the order of another layout; columns that were not there are missing."""
        place = {name: n for n, name in enumerate(old.added.columns)}
        out = np.full((len(self.persons), new.added.width), np.nan, np.float32)
        for number, name in enumerate(new.added.columns):
            if name in place:
                out[:, number] = self.columns[:, place[name]]
        return replace(self, columns=out)


class ExtendedStore(OnlineStore):
    """A store of rows of a base layout, read as rows of the layout with the added columns.

    What the store under it holds of any other layout is handed on as it is, under that layout's hash.

    Parameters
    ----------
    store
        The online store.
    layout
        With added columns.
    added
        Those columns.
    """

    def __init__(self, store: OnlineStore, layout: RowLayout, added: AddedColumns) -> None:
        self._store = store
        self._base = layout.base.schema_hash
        self._hash = layout.schema_hash
        self._added = added
        # The name of a fill tells what is read; so it must tell the added columns, too.
        mark = hashlib.sha256(f"{self._hash} {added.as_of}".encode())
        for part in (added.persons, added.columns):
            mark.update(np.ascontiguousarray(part).data)
        self._mark = mark.hexdigest()[:8]

    def fill(self, schema_hash: str, width: int, as_of: int, *, replace: bool = True, source: str = "") -> Fill:
        """Begin to fill the store under it, see `OnlineStore.fill`."""
        return self._store.fill(schema_hash, width, as_of, replace=replace, source=source)

    def get(self, persons: Sequence[str]) -> list[StoredRow | None]:
        """Return each person's row, see `OnlineStore.get`."""
        rows = self._store.get(persons)
        places = [n for n, row in enumerate(rows) if row is not None and row.schema_hash == self._base]
        instants = np.array(
            [row.as_of for row in rows if row is not None and row.schema_hash == self._base], np.int64
        )
        beside = self._added.beside([persons[place] for place in places], instants)
        for place, columns in zip(places, beside, strict=True):
            row = rows[place]
            if row is not None:
                vector = np.concatenate([row.vector, columns])
                rows[place] = replace(row, vector=vector, schema_hash=self._hash, fill=f"{row.fill}+{self._mark}")
        return rows

    def scan(self, fill: str, first: str, end: str | None, size: int) -> Iterator[RowBlock]:
        """Yield the rows of everybody whose key lies in a range, see `OnlineStore.scan`."""
        info = self._store.describe()
        extended = info.schema_hash == self._base
        for block in self._store.scan(fill.removesuffix(f"+{self._mark}"), first, end, size):
            if extended:
                beside = self._added.beside(block.persons, block.as_of)
                yield replace(block, matrix=np.concatenate([block.matrix, beside], axis=1))
            else:
                yield block

    def resolve(self, accounts: Sequence[str]) -> list[str]:
        """Return each account's person key, see `OnlineStore.resolve`."""
        return self._store.resolve(accounts)

    def live(self) -> Live | None:
        """Return how far the store under it is in the live events, see `OnlineStore.live`."""
        return self._store.live()

    def states(self, persons: Sequence[str]) -> list[StoredState | None]:
        """Return states of the store under it, see `OnlineStore.states`."""
        return self._store.states(persons)

    def update(self, now: Live, seq: int, updates: Sequence[Update]) -> None:
        """Update the store under it, see `OnlineStore.update`."""
        self._store.update(now, seq, updates)

    def describe(self) -> StoreInfo:
        """Return what the store holds, see `OnlineStore.describe`."""
        info = self._store.describe()
        if info.schema_hash != self._base:
            return info
        width = info.width + self._added.columns.shape[1]
        return replace(info, schema_hash=self._hash, width=width, fill=f"{info.fill}+{self._mark}")

    def close(self) -> None:
        """Close the store under it."""
        self._store.close()


def open_store(settings: Settings, layout: RowLayout) -> OnlineStore:
    """Open the online store so that it is read in a layout, where it can be.

    Parameters
    ----------
    settings
        Where it lies.
    layout
        Of the bundle that reads it.

    Raises
    ------
    StoreError
        The layout's added columns are damaged.
    """
    return read_in(stores.open_store(settings), settings, layout)


def read_in(store: OnlineStore, settings: Settings, layout: RowLayout) -> OnlineStore:
    """Return an open store as `open_store` does; whoever opened it closes it."""
    if layout.base == layout:
        return store
    added = read_added(settings, layout)
    return store if added is None else ExtendedStore(store, layout, added)


def write_added(settings: Settings, layout: RowLayout, added: AddedColumns) -> None:
    """Keep the added columns of a layout, in place of those that were kept for it before."""
    about = {"schema_hash": layout.schema_hash, "base_hash": layout.base.schema_hash, "as_of": added.as_of}
    _write(_folder(settings, layout), json.dumps(about), added.persons, added.columns)


def _write(target: Path, about: str, persons: NDArray[np.bytes_], columns: NDArray[np.float32]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for cut_off in target.parent.glob(f"{_DRAFT}*"):
        shutil.rmtree(cut_off, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=target.parent))
    try:
        np.save(work / _COLUMNS, columns, allow_pickle=False)
        np.save(work / _PERSONS, persons, allow_pickle=False)
        (work / _ABOUT).write_text(about, encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        publish(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_added(settings: Settings, layout: RowLayout) -> AddedColumns | None:
    """Return the added columns that are kept for a layout; None where there are none.

    Raises
    ------
    StoreError
        They are another layout's, or damaged.
    """
    folder = _folder(settings, layout)
    if not folder.exists():
        return None
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        columns = np.load(folder / _COLUMNS, mmap_mode="r", allow_pickle=False)
        added = AddedColumns(int(about["as_of"]), np.load(folder / _PERSONS, allow_pickle=False), columns)
        hashes = (about["schema_hash"], about["base_hash"])
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(folder) from error
    if hashes != (layout.schema_hash, layout.base.schema_hash) or columns.shape != (
        len(added.persons),
        layout.added.width,
    ):
        raise _damaged(folder)
    return added


def erase_added(settings: Settings, keys: Collection[str]) -> int:
    """Delete the columns of some people, of every layout; return how many people that were."""
    removed = 0
    gone = np.array([key.encode() for key in keys], dtype=np.bytes_)
    for folder in sorted((settings.home / "added").glob("*")):
        if not (folder / _PERSONS).exists():
            continue
        persons = np.load(folder / _PERSONS, allow_pickle=False)
        kept = ~np.isin(persons, gone)
        if not kept.all():
            removed += int((~kept).sum())
            columns = np.load(folder / _COLUMNS, mmap_mode="r", allow_pickle=False)[kept]
            _write(folder, (folder / _ABOUT).read_text(encoding="utf-8"), persons[kept], columns)
    return removed


def forget_added(settings: Settings, kept: Collection[RowLayout]) -> None:
    """Delete the added columns of all layouts but some."""
    folder = settings.home / "added"
    names = {_folder(settings, layout).name for layout in kept}
    for path in folder.iterdir() if folder.exists() else ():
        if path.name not in names:
            shutil.rmtree(path, ignore_errors=True)


def _folder(settings: Settings, layout: RowLayout) -> Path:
    return settings.home / "added" / layout.schema_hash[:24]


def _damaged(folder: Path) -> StoreError:
    return StoreError(
        "the columns of the added tags are damaged",
        value=str(folder),
        next_step="run `zhongcao tags remove` and `zhongcao tags add` again, or `zhongcao retrain`",
    )
