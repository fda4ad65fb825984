"""A store that is read with added columns: the contract of every store, and rows that are never misread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.definitions import Aggregate
from features.errors import StoreError
from features.rows.layout import RowLayout
from features.scopes import Scopes
from features.settings import Settings
from serving.online.added_columns import (
    AddedColumns,
    ExtendedStore,
    forget_added,
    open_store,
    read_added,
    write_added,
)
from serving.online.sqlite_store import SqliteStore
from serving.online.store import OnlineStore
from serving.scoring.scorer import Scorer
from tests.serving.fakes import AS_OF, FakeBundle
from tests.serving.test_store import StoreContract

BASE = RowLayout((Aggregate(("purchase",)),), (), Scopes.of({}), (), ())
MORE = BASE.extended(Scopes.of({}), (), ("new",))
AND_MORE = MORE.extended(Scopes.of({}), (), ("newer",))
HISTORY = np.array([[1, 0, 1, 0.5], [0, 0, np.nan, 0]], np.float32)
ADDED = AddedColumns.of(AS_OF, ["b", "a"], HISTORY)


def filled(folder: Path, layout: RowLayout = BASE, as_of: int = AS_OF) -> SqliteStore:
    store = SqliteStore(folder / "online.sqlite")
    rows = np.full((3, layout.width), 7, np.float32)
    with store.fill(layout.schema_hash, layout.width, as_of) as fill:
        fill.add(["a", "b", "c"], rows)
        fill.link(["x"], ["a"])
    return store


class TestExtendedStore(StoreContract):
    """Rows of other layouts are handed on, so the whole contract holds."""

    def open(self, folder: Path) -> OnlineStore:
        return ExtendedStore(SqliteStore(folder / "online.sqlite"), MORE, ADDED)


def test_rows_are_read_with_the_added_columns(tmp_path: Path) -> None:
    store = ExtendedStore(filled(tmp_path), MORE, ADDED)
    b, nobody, a, c = store.get(["b", "z", "a", "c"])
    assert nobody is None
    assert a is not None
    assert b is not None
    assert c is not None
    assert {row.schema_hash for row in (a, b, c)} == {MORE.schema_hash}
    np.testing.assert_array_equal(b.vector, np.array([7, 1, 0, 1, 0.5], np.float32))
    np.testing.assert_array_equal(a.vector, np.array([7, 0, 0, np.nan, 0], np.float32))
    np.testing.assert_array_equal(c.vector, np.array([7, *[np.nan] * 4], np.float32))
    info = store.describe()
    assert (info.schema_hash, info.width, info.people) == (MORE.schema_hash, 5, 3)
    assert store.resolve(["x"]) == ["a"]
    store.close()


def test_a_scan_gives_the_same_rows(tmp_path: Path) -> None:
    store = ExtendedStore(filled(tmp_path), MORE, ADDED)
    blocks = list(store.scan(store.describe().fill, "", None, 2))
    matrix = np.concatenate([block.matrix for block in blocks])
    expected = [row.vector for row in store.get(["a", "b", "c"]) if row is not None]
    np.testing.assert_array_equal(matrix, np.stack(expected))
    assert [person for block in blocks for person in block.persons] == ["a", "b", "c"]
    other = ExtendedStore(filled(tmp_path), MORE, AddedColumns.of(AS_OF, ["a"], HISTORY[:1]))
    renamed = ExtendedStore(filled(tmp_path), MORE, AddedColumns.of(AS_OF, ["c", "a"], HISTORY))
    assert len({one.describe().fill for one in (store, other, renamed)}) == 3


def test_columns_of_another_instant_are_missing(tmp_path: Path) -> None:
    store = ExtendedStore(filled(tmp_path, as_of=AS_OF + 1), MORE, ADDED)
    (row,) = store.get(["a"])
    assert row is not None
    assert np.isnan(row.vector[1:]).all()


def test_neither_bundle_reads_rows_of_the_others_layout(tmp_path: Path) -> None:
    base = filled(tmp_path)
    extended = ExtendedStore(base, MORE, ADDED)
    old = FakeBundle(layout=BASE)  # type: ignore[arg-type]
    new = FakeBundle(layout=MORE)  # type: ignore[arg-type]
    newer = FakeBundle(layout=AND_MORE)  # type: ignore[arg-type]
    Scorer(old, base, b"k" * 32)
    Scorer(new, extended, b"k" * 32)
    for bundle, store in ((new, base), (old, extended), (newer, extended), (newer, base)):
        with pytest.raises(StoreError, match="do not follow the layout of the bundle"):
            Scorer(bundle, store, b"k" * 32)


def test_a_store_filled_in_the_larger_layout_is_read_as_it_is(tmp_path: Path) -> None:
    store = ExtendedStore(filled(tmp_path, MORE), MORE, ADDED)
    (row,) = store.get(["a"])
    assert row is not None
    assert row.vector.tolist() == [7] * 5
    assert store.describe().schema_hash == MORE.schema_hash


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    filled(tmp_path).close()
    return Settings(home=tmp_path)


def test_the_columns_are_kept_by_layout(home: Settings) -> None:
    assert read_added(home, MORE) is None
    assert open_store(home, MORE).describe().schema_hash == BASE.schema_hash
    write_added(home, MORE, ADDED)
    write_added(home, AND_MORE, ADDED.arranged(MORE, AND_MORE))
    store = open_store(home, AND_MORE)
    (row,) = store.get(["b"])
    assert row is not None
    np.testing.assert_array_equal(row.vector, np.array([7, 1, 0, 1, 0.5, *[np.nan] * 4], np.float32))
    assert isinstance(open_store(home, BASE), SqliteStore)
    forget_added(home, [BASE, AND_MORE])
    assert read_added(home, MORE) is None
    assert read_added(home, AND_MORE) is not None


def test_columns_go_where_their_names_say() -> None:
    back = ADDED.arranged(MORE, AND_MORE).arranged(AND_MORE, MORE)
    np.testing.assert_array_equal(back.columns, ADDED.columns)
    alone = BASE.extended(Scopes.of({}), (), ("newer",))
    assert np.isnan(ADDED.arranged(MORE, alone).columns).all()


@pytest.mark.parametrize("broken", ["about.json", "columns.npy", "persons.npy"])
def test_damaged_columns_are_refused(home: Settings, broken: str) -> None:
    write_added(home, MORE, ADDED)
    (folder,) = (home.home / "added").iterdir()
    (folder / broken).write_bytes(b"{}")
    with pytest.raises(StoreError, match="added tags are damaged"):
        read_added(home, MORE)


def test_columns_of_another_layout_are_refused(home: Settings) -> None:
    write_added(home, MORE, ADDED)
    (folder,) = (home.home / "added").iterdir()
    folder.rename(folder.with_name(AND_MORE.schema_hash[:24]))
    with pytest.raises(StoreError, match="added tags are damaged"):
        open_store(home, AND_MORE)


def test_nobody_s_columns_are_missing(tmp_path: Path) -> None:
    store = ExtendedStore(filled(tmp_path), MORE, AddedColumns.empty(AS_OF, MORE))
    (row,) = store.get(["a"])
    assert row is not None
    assert np.isnan(row.vector[1:]).all()
