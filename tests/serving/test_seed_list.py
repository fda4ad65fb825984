"""Seed lists: who is matched, why others are not, and what is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest

from features.errors import SourceError
from features.people.identity import account_key
from features.settings import Settings
from serving.consent.log import WITHDRAWN
from serving.online.sqlite_store import SqliteStore
from serving.tags.seed_list import (
    EMPTY,
    TWICE,
    UNKNOWN,
    forget_seeds,
    head_rows,
    keep_seeds,
    kept_seeds,
    read_seeds,
    unmatched_file,
)

KEY = b"k" * 32
ANN, BOB = account_key(KEY, "shop", "ann"), account_key(KEY, "shop", "bob")
ENTRY = {"id": "club", "name": "Club"}
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "online.sqlite")
    with store.fill("h", 2, 7) as fill:
        fill.add(sorted([ANN, BOB]), np.array([[0, 1], [2, 3]], np.float32))
        fill.link([account_key(KEY, "notes", "annie")], [ANN])
    return store


def test_accounts_are_matched_and_every_other_line_has_a_reason(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "\ufeffname,platform,account\nA,shop,ann\nA,notes,annie\nB, shop , bob \nC,shop,\nD,shop,dora\n,,\n",
        encoding="utf-8",
    )
    seeds = read_seeds(path, KEY, store, NOBODY)
    assert seeds.persons == tuple(sorted([ANN, BOB]))
    assert seeds.unmatched == ((3, TWICE), (5, EMPTY), (6, UNKNOWN), (7, EMPTY))
    assert seeds.reasons == {TWICE: 1, EMPTY: 2, UNKNOWN: 1}


def test_ids_are_trimmed_as_the_import_does(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("platform,account\n shop\t,\tann \nshop,bob\u00a0\n", encoding="utf-8")
    seeds = read_seeds(path, KEY, store, NOBODY)
    assert (seeds.persons, seeds.unmatched) == ((ANN,), ((3, UNKNOWN),))


def test_person_keys_are_taken_as_they_are(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(f"person\n{BOB}\n{'0' * 32}\n")
    assert read_seeds(path, KEY, store, NOBODY).persons == (BOB,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id\n1\n", r"does not say who its people are: \['id'\]; valid: columns platform and account, a column"),
        (b"", r"does not say who its people are: \[\]"),
        (b"person\n\xff\xfe", "not text in UTF-8"),
        (b"person\n" + b"x" * 200_000, "cannot be read after line 1: field larger than field limit"),
    ],
)
def test_a_file_without_people_is_refused(store: SqliteStore, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=said):
        read_seeds(path, KEY, store, NOBODY)


def test_a_missing_file_is_named(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such seed file"):
        read_seeds(tmp_path / "none.csv", KEY, store, NOBODY)


def test_keys_and_reasons_are_kept_for_the_owner_only(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("platform,account\nshop,ann\nshop,secret name\n")
    home = Settings(home=tmp_path / "home")
    left_out = keep_seeds(home, "club", ENTRY, read_seeds(path, KEY, store, NOBODY))
    assert left_out is not None
    assert left_out.read_text() == f'line,reason\n3,"{UNKNOWN}"\n'
    assert kept_seeds(home, "club") == (ANN,)
    for file in left_out.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "secret" not in file.read_text()
    path.write_text("platform,account\nshop,ann\n")
    assert keep_seeds(home, "club", ENTRY, read_seeds(path, KEY, store, NOBODY)) is None
    assert not unmatched_file(home, "club").exists()
    forget_seeds(home, "club")
    assert kept_seeds(home, "club") == ()


def test_the_others_are_the_first_ones_by_key(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "many.sqlite")
    people = [f"{n:04}" for n in range(2_500)]
    store.replace("h", 7, people, np.arange(5_000, dtype=np.float32).reshape(-1, 2))
    seeds, others, everybody = head_rows(store, ["0001", "2400"], 1_500, np.array([1]), NOBODY)
    assert seeds.ravel().tolist() == [3, 4801]
    assert others.ravel().tolist() == [2 * n + 1 for n in range(1_501) if n != 1]
    assert everybody == 2_500
    assert len(head_rows(store, ["0001"], 9_999, np.array([0]), NOBODY)[1]) == 2_499


def test_nothing_is_learned_of_who_withdrew(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("platform,account\nshop,ann\nshop,bob\nshop,dora\n")
    seeds = read_seeds(path, KEY, store, {ANN, account_key(KEY, "shop", "dora")})
    assert seeds.persons == (BOB,)
    assert seeds.unmatched == ((2, WITHDRAWN), (4, WITHDRAWN))
    _, others, everybody = head_rows(store, [], 10, np.array([0]), {ANN, "0" * 32})
    assert (len(others), everybody) == (1, 1)
