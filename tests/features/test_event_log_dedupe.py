from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.log.event_log import EventLog
from features.log.quarantine import load, names
from tests.features.log_cases import COLUMNS, imported, mapping, rows, settings_in, written

HEADER = "kind,t,user,item,amount\n"
TWICE = HEADER + 2 * "purchase,1700000000,ann,i1,12.99\n" + "cart,1700000060,bob,i2,\n"
WITH_ID = COLUMNS | {"event_id": "id"}
ID_HEADER = "id,kind,t,user,item,amount\n"


def test_true_repeats_stay_and_importing_twice_adds_nothing(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    first = imported(home, written(tmp_path, TWICE), mapping())
    again = imported(home, written(tmp_path, TWICE), mapping(source="another name"))
    assert (first.accepted, first.duplicates) == (3, 0)
    assert (again.accepted, again.duplicates, again.version) == (0, 3, 0)
    ids = [row[0] for row in rows(home, "event_id")]
    assert len(set(ids)) == 3
    assert sum(row.endswith("-2") for row in ids) == 1


def test_the_same_rows_in_two_files_are_the_same_events(tmp_path: Path) -> None:
    files = [written(tmp_path, TWICE, "a.csv"), written(tmp_path, TWICE + "cart,1700000060,bob,i2,\n", "b.csv")]
    summary = imported(settings_in(tmp_path), files, mapping())
    assert (summary.read, summary.accepted, summary.duplicates) == (7, 4, 3)


def test_a_longer_export_adds_only_what_is_new(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    imported(home, written(tmp_path, TWICE), mapping())
    summary = imported(home, written(tmp_path, TWICE + "like,1700000070,bob,,\n"), mapping())
    assert (summary.accepted, summary.duplicates, summary.version) == (1, 3, 1)
    assert len(rows(home)) == 4


def test_the_same_id_with_other_content_goes_to_quarantine(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(columns=WITH_ID)
    first = imported(
        home, written(tmp_path, ID_HEADER + "1,cart,1700000000,ann,i1,\n1,cart,1700000000,ann,i1,\n"), used
    )
    assert (first.accepted, first.duplicates) == (1, 1)
    text = (
        "1,cart,1700000000,ann,i2,\n1,purchase,1700000000,ann,i2,\n"
        "2,cart,1700000000,bob,i1,\n2,cart,1700000000,bob,i2,\n"
    )
    second = imported(home, written(tmp_path, ID_HEADER + text, "b.csv"), used)
    assert (second.read, second.accepted, second.duplicates, second.quarantined) == (4, 2, 0, 2)
    assert second.reasons == {"event_id: same id, other content": 2}
    assert rows(home, "event_id, item") == [
        ("shop:cart:1", "i1"), ("shop:cart:2", "i1"), ("shop:purchase:1", "i2")
    ]  # fmt: skip
    refused = load(home, names(home)[0])[0].rows
    assert [(row.line, row.raw) for row in refused] == [
        (2, "1,cart,1700000000,ann,i2,"),
        (5, "2,cart,1700000000,bob,i2,"),
    ]


def test_a_catalogue_that_changed_makes_no_contradiction(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    for columns in (COLUMNS, WITH_ID):
        events = written(tmp_path, ID_HEADER + "1,cart,1700000000,ann,i1,\n")
        imported(home, events, mapping(columns=columns, source="before"))
        items = mapping(table="items", platform=None, columns={"item": "item", "category": "category"})
        imported(home, written(tmp_path, f"item,category\ni1,{len(columns)}\n", "i.csv"), items)
        again = imported(home, events, mapping(columns=columns, source="after"))
        assert (again.duplicates, again.accepted, again.quarantined) == (1, 0, 0)


def test_ids_are_composed_of_several_columns(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(columns=COLUMNS | {"event_id": ["order", "line"]})
    imported(
        home,
        written(
            tmp_path,
            "order,line,kind,t,user,item,amount\no1,2,cart,1700000000,ann,i1,\no1,,cart,1700000000,ann,i1,\n",
        ),
        used,
    )
    assert rows(home, "event_id") == [("shop:cart:o1:",), ("shop:cart:o1:2",)]


def test_an_import_that_is_cut_off_leaves_nothing_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = settings_in(tmp_path)
    used = mapping()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("features.log.delta_table.LogTable.commit", cut)
        with pytest.raises(KeyboardInterrupt):
            imported(home, written(tmp_path, TWICE), used)
    folder = home.log_dir / "events"
    orphans = set(folder.glob("*.parquet"))
    assert len(orphans) == 1
    assert EventLog.open(home).version == -1
    assert not list(home.work_dir.glob("import-*"))
    assert imported(home, written(tmp_path, TWICE), used).accepted == 3
    assert not orphans & set(folder.glob("*.parquet"))
    assert len(list(folder.glob("*.parquet"))) == 1


ROWS = st.tuples(
    st.sampled_from(["cart", "purchase", "like", "nothing", ""]),
    st.sampled_from(["1700000000", "1700000001", "soon", "99999999999"]),
    st.sampled_from(["ann", "bob", ""]),
    st.sampled_from(["i1", "i 2", ""]),
    st.sampled_from(["1", "1.5", "0.29", "-1", "1.234", "x", ""]),
)


@settings(max_examples=25, deadline=None)
@given(data=st.lists(ROWS, min_size=1, max_size=30), piece=st.integers(1, 400), with_id=st.booleans())
def test_every_row_is_accounted_for_wherever_the_pieces_are_cut(
    data: list[tuple[str, str, str, str, str]], piece: int, with_id: bool
) -> None:
    text = HEADER + "".join(",".join(row) + "\n" for row in data)
    good = Counter(
        row for row in data
        if row[0] in ("cart", "purchase", "like") and row[1] in ("1700000000", "1700000001") and row[2]
        and row[4] in ("1", "1.5", "0.29", "")
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("features.sources.delimited.DelimitedReader.__init__.__defaults__", (piece,))
        home = settings_in(Path(folder))
        used = mapping(columns=COLUMNS | ({"event_id": "item"} if with_id else {}))
        summary = imported(home, written(Path(folder), text), used)
        assert summary.read == len(data)
        assert summary.accepted + summary.duplicates + summary.quarantined == len(data)
        held = rows(home, "kind, event_time, coalesce(item, ''), amount")
        if not with_id:
            assert summary.accepted == good.total()
            expected = [
                (kind, int(t), item, round(float(amount) * 100) if amount else None)
                for kind, t, _, item, amount in good.elements()
            ]
            assert Counter(held) == Counter(expected)
        again = imported(home, written(Path(folder), text), used)
        assert again.accepted == 0
        assert again.quarantined == summary.quarantined
        assert rows(home, "kind, event_time, coalesce(item, ''), amount") == held
