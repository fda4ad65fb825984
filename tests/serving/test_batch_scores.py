"""Batch scoring: what is in the folder, whom it leaves out, and what a second start does."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import serving.batch.listed_people
import serving.batch.people
from features.errors import ScoresError, StoreError
from features.people.identity import account_key
from serving.batch.listed_people import ListedPeople
from serving.batch.people import Everybody, ScoredPeople
from serving.batch.row_source import StoreRows
from serving.batch.scores import score_people
from serving.batch.table import ScoreFilter
from serving.online.sqlite_store import SqliteStore
from tests.serving.fakes import AS_OF, DAIRY, KEY, LINKED, FakeBundle, FakeLayout, FakeModel, filled_store

ALL = ScoreFilter()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (serving.batch.people, serving.batch.listed_people):
        monkeypatch.setattr(module, "PEOPLE_PER_PART", 20)
        monkeypatch.setattr(module, "PEOPLE_PER_BLOCK", 7)


def crowd(folder: Path, people: int = 50) -> SqliteStore:
    """Fill a store with people whose keys are spread like hashes, and rows that differ."""
    folder.mkdir(exist_ok=True)
    store = SqliteStore(folder / "online.sqlite")
    keys = [account_key(KEY, "shop", str(n)) for n in range(people)]
    rows = np.random.default_rng(3).random((people, 3), np.float32)
    store.replace("layout-1", AS_OF, keys, rows)
    return store


def everybody(store: SqliteStore, withdrawn: Sequence[str] = ()) -> Everybody:
    return Everybody(StoreRows(store), sorted(withdrawn))


def listed(store: SqliteStore, path: Path, text: str, withdrawn: Sequence[str] = ()) -> ListedPeople:
    path.write_text(text)
    return ListedPeople(path, KEY, StoreRows(store), frozenset(withdrawn))


def scores(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(out.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def run(people: ScoredPeople, out: Path, chosen: ScoreFilter = ALL, **more: Any) -> dict[str, Any]:
    return score_people(more.pop("bundle", FakeBundle()), people, chosen, out, **more)


def test_everybody_has_a_line_for_every_tag_that_was_learned(tmp_path: Path) -> None:
    done = run(everybody(filled_store(tmp_path)), tmp_path / "out")
    line = {"person": DAIRY, "as_of": AS_OF, "model": "fake-1"}
    linked = line | {"person": LINKED}
    assert sorted(
        scores(tmp_path / "out"), key=lambda row: (row["person"] != DAIRY, row["tag"] != "dairy.will-buy")
    ) == [
        line | {"tag": "dairy.will-buy", "probability": pytest.approx(0.9), "assigned": True},
        line | {"tag": "bread.will-buy", "probability": 0.25, "assigned": False},
        linked | {"tag": "dairy.will-buy", "probability": 0.125, "assigned": False},
        linked | {"tag": "bread.will-buy", "probability": 0.5, "assigned": True},
    ]
    assert (done["people"], done["scores"], done["left_out"], done["kept"]) == (2, 4, {}, 0)


def test_parts_hold_everybody_once_in_the_order_of_keys(tmp_path: Path, small_parts: None) -> None:
    store = crowd(tmp_path)
    done = run(everybody(store), tmp_path / "out", threads=2)
    assert [part["people"] for part in done["parts"]] == [len(block) for block in by_key_range(3)]
    keys = [row["person"] for row in scores(tmp_path / "out") if row["tag"] == "dairy.will-buy"]
    assert keys == sorted(account_key(KEY, "shop", str(n)) for n in range(50))
    probabilities = {(row["person"], row["tag"]): row["probability"] for row in scores(tmp_path / "out")}
    for key, stored in zip(keys, store.get(keys), strict=True):
        assert stored is not None
        assert probabilities[key, "bread.will-buy"] == stored.vector[1]


def by_key_range(parts: int) -> list[list[str]]:
    keys = [account_key(KEY, "shop", str(n)) for n in range(50)]
    return [[key for key in keys if int(key[:4], 16) * parts // 65536 == part] for part in range(parts)]


def test_the_model_and_what_made_the_scores_are_in_every_file(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run(everybody(store), tmp_path / "out")
    about = pq.read_metadata(tmp_path / "out" / "part-00000.parquet").metadata
    assert about[b"zhongcao.model"] == b"fake-1"
    made = json.loads(about[b"zhongcao.run"])
    assert made["rows"] == {"from": "online store", "as_of": AS_OF, "fill": store.describe().fill}
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert manifest["run"] == made
    assert manifest["assigned_from"] == {"dairy.will-buy": 0.5, "bread.will-buy": 0.5, "fish.will-buy": 0.5}


def test_every_start_writes_the_same_bytes(tmp_path: Path, small_parts: None) -> None:
    for name, threads in (("one", 1), ("three", 3)):
        run(everybody(crowd(tmp_path / name)), tmp_path / name / "out", threads=threads)
    assert files(tmp_path / "one" / "out") == files(tmp_path / "three" / "out")


@dataclass(frozen=True)
class CutOffModel(FakeModel):
    """Stops as a killed process would, once it has scored so many blocks."""

    left: list[int]

    def predict(self, rows: np.ndarray, /) -> np.ndarray:
        if not self.left:
            raise KeyboardInterrupt
        self.left.pop()
        return super().predict(rows)


def test_a_second_start_goes_on_behind_the_last_finished_part(tmp_path: Path, small_parts: None) -> None:
    store = crowd(tmp_path)
    run(everybody(store), tmp_path / "whole")
    first = -(-len(by_key_range(3)[0]) // 7)
    with pytest.raises(KeyboardInterrupt):
        run(everybody(store), tmp_path / "out", bundle=FakeBundle(model=CutOffModel([0] * (first + 1))))
    assert sorted(files(tmp_path / "out")) == ["_run.json", "part-00000.parquet"]
    written = (tmp_path / "out" / "part-00000.parquet").stat().st_mtime_ns
    (tmp_path / "out" / ".part-00001.draft").write_text("left by a crash")
    assert run(everybody(store), tmp_path / "out")["kept"] == 1
    assert (tmp_path / "out" / "part-00000.parquet").stat().st_mtime_ns == written
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    done = run(everybody(store), tmp_path / "out", bundle=FakeBundle(model=CutOffModel([])))
    assert done["kept"] == 3, "nothing is scored again"


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"bundle": FakeBundle(version="fake-2")}, r"model differs: 'fake-1'; valid: fake-2"),
        ({"chosen": ScoreFilter(top=1)}, r"top differs: None; valid: 1"),
        ({"chosen": ScoreFilter(min_probability=0.5)}, r"min_probability differs"),
    ],
)
def test_scores_of_different_runs_are_not_mixed(tmp_path: Path, change: dict[str, Any], differs: str) -> None:
    store = filled_store(tmp_path)
    run(everybody(store), tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(ScoresError, match=f"another run, whose {differs}.*name another folder with --out"):
        run(everybody(store), tmp_path / "out", **change)
    assert files(tmp_path / "out") == before


def test_rows_that_were_filled_anew_are_another_run(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    run(everybody(store), tmp_path / "out")
    store.replace("layout-1", AS_OF, [DAIRY], np.zeros((1, 3), np.float32))
    with pytest.raises(ScoresError, match="whose rows differs"):
        run(everybody(store), tmp_path / "out")


def test_a_fill_meanwhile_ends_the_run(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    people = everybody(store)
    in_list = listed(store, tmp_path / "people.csv", f"person\n{DAIRY}\n")
    store.replace("layout-1", AS_OF + 1, [DAIRY], np.zeros((1, 3), np.float32))
    for name, these in (("all", people), ("listed", in_list)):
        with pytest.raises(StoreError, match="filled anew while it was read"):
            run(these, tmp_path / name)
        assert list(files(tmp_path / name)) == ["_run.json"]


def test_rows_of_another_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'layout-1'; valid: layout-9; run `zhongcao retrain`"):
        run(everybody(filled_store(tmp_path)), tmp_path / "out", bundle=FakeBundle(layout=FakeLayout("layout-9")))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.jpg").touch()
    with pytest.raises(ScoresError, match="holds other files"):
        run(everybody(store), tmp_path / "out")
    with pytest.raises(ScoresError, match="cannot be written there"):
        run(everybody(store), tmp_path / "out" / "holiday.jpg")
    assert list(files(tmp_path / "out")) == ["holiday.jpg"]


def test_who_withdrew_is_taken_out_also_of_finished_parts(tmp_path: Path, small_parts: None) -> None:
    store = crowd(tmp_path)
    run(everybody(store), tmp_path / "out")
    gone = by_key_range(3)[1][0]
    done = run(everybody(store, [gone]), tmp_path / "out")
    assert (done["people"], done["left_out"], done["kept"]) == (49, {"the person withdrew consent": 1}, 2)
    assert gone not in {row["person"] for row in scores(tmp_path / "out")}
    assert gone not in (tmp_path / "out" / "_manifest.json").read_text()


def test_a_list_by_accounts_is_echoed_and_nobody_in_it_is_lost(tmp_path: Path) -> None:
    store = filled_store(tmp_path)
    text = (
        "account,platform,note\n"
        "dairy lover,shop,a\n"
        " one ,shop,b\n"
        "uno,notes,c\n"
        "nobody,shop,d\n"
        ",shop,e\n"
        "too,shop,many,f\n"
        "dairy lover,shop,again\n"
        "one,shop,\n"
    )
    (tmp_path / "out").mkdir(mode=0o755)
    done = run(listed(store, tmp_path / "people.csv", text), tmp_path / "out", ScoreFilter(top=1))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()} == {0o600}
    found = [(row["platform"], row["account"], row["person"], row["tag"]) for row in scores(tmp_path / "out")]
    assert found == [
        ("shop", "dairy lover", DAIRY, "dairy.will-buy"),
        ("shop", "one", LINKED, "bread.will-buy"),
        ("notes", "uno", LINKED, "bread.will-buy"),
        ("shop", "dairy lover", DAIRY, "dairy.will-buy"),
        ("shop", "one", LINKED, "bread.will-buy"),
    ]
    assert (tmp_path / "out" / "not-scored-00000.csv").read_text().splitlines() == [
        "line,reason,row",
        '5,unknown: nothing is known of this person as of the rows\' instant,"nobody,shop,d"',
        '6,platform or account is empty,",shop,e"',
        '7,row: another number of columns; valid: 3,"too,shop,many,f"',
    ]
    assert done["people"] + sum(done["left_out"].values()) == 8


def test_a_list_by_keys(tmp_path: Path) -> None:
    text = f"person\n{LINKED}\nDAIRY\n{DAIRY}\n{'0' * 32}\n"
    done = run(listed(filled_store(tmp_path), tmp_path / "p.csv", text, [DAIRY]), tmp_path / "out")
    assert {row["person"] for row in scores(tmp_path / "out")} == {LINKED}
    assert "platform" not in scores(tmp_path / "out")[0]
    assert done["left_out"] == {
        "person is no key of 32 hexadecimal digits": 1,
        "the person withdrew consent": 1,
        "unknown: nothing is known of this person as of the rows' instant": 1,
    }


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_a_long_list_comes_in_parts(tmp_path: Path, small_parts: None, name: str) -> None:
    store = crowd(tmp_path)
    accounts = [str(n) for n in range(53)]
    if name.endswith("csv"):
        people = listed(store, tmp_path / name, "\n".join(["platform,account", *(f"shop,{a}" for a in accounts)]))
    else:
        pq.write_table(pa_table(accounts), tmp_path / name)
        people = ListedPeople(tmp_path / name, KEY, StoreRows(store), frozenset())
    done = run(people, tmp_path / "out", threads=2)
    assert [part["people"] for part in done["parts"]] == [20, 20, 10]
    assert [row["account"] for row in scores(tmp_path / "out") if row["tag"] == "bread.will-buy"] == accounts[:50]
    assert (tmp_path / "out" / "not-scored-00002.csv").read_text().count("unknown") == 3
    assert run(people, tmp_path / "out", bundle=FakeBundle(model=CutOffModel([])))["kept"] == 3


def pa_table(accounts: list[str]) -> Any:
    return pa.table({"platform": ["shop"] * len(accounts), "account": [int(account) for account in accounts]})


def test_rows_that_cannot_be_split_stay_with_their_part(tmp_path: Path, small_parts: None) -> None:
    lines = [f"shop,{n}" if n % 19 else f"shop,{n},more" for n in range(45)]
    done = run(
        listed(crowd(tmp_path), tmp_path / "p.csv", "\n".join(["platform,account", *lines])), tmp_path / "out"
    )
    assert [part["people"] for part in done["parts"]] == [18, 19, 5]
    assert (tmp_path / "out" / "not-scored-00001.csv").read_text().splitlines()[1].startswith("40,")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name\nann\n", "does not say who its people are: 'p.csv'; valid: columns platform and account, a column"),
        ("account\n1\n", "does not say who its people are"),
        ("person\n", "names nobody"),
    ],
)
def test_a_list_that_names_nobody_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    store = filled_store(tmp_path)
    with pytest.raises(ScoresError, match=problem):
        listed(store, tmp_path / "p.csv", text)


def test_ids_that_became_fractions_are_refused(tmp_path: Path) -> None:
    table = pa_table(["1"])
    pq.write_table(table.set_column(1, "account", table["account"].cast("float64")), tmp_path / "p.parquet")
    with pytest.raises(ScoresError, match="ids in column account are fractions"):
        ListedPeople(tmp_path / "p.parquet", KEY, StoreRows(filled_store(tmp_path)), frozenset())


def test_an_empty_store_gives_an_empty_part(tmp_path: Path) -> None:
    done = run(everybody(crowd(tmp_path, 0)), tmp_path / "out")
    assert (done["people"], done["scores"]) == (0, 0)
    assert scores(tmp_path / "out") == []
