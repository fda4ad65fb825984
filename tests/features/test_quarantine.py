from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.errors import EventLogError
from features.inbox.replay import replay
from features.log.event_log import EventLog
from features.log.quarantine import counts, load, names, path_of, reasons_of
from tests.features.log_cases import imported, mapping, rows, settings_in, written

HEADER = "kind,t,user,item,amount\n"
BAD = (
    HEADER
    + "cart,1700000000,ann,i1,\n"
    + "clik,1700000001,ann,i1,-3\n"
    + "\n"
    + '"purchase",soon,,"i,1",12.345\n'
    + "cart,1700000000\n"
)


def test_every_refused_row_is_kept_with_file_line_text_and_reasons(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    summary = imported(home, written(tmp_path, BAD), mapping())
    assert (summary.read, summary.accepted, summary.quarantined) == (4, 1, 3)
    assert names(home) == [summary.quarantine]
    (file,) = load(home, summary.quarantine)
    assert (file.name, file.header) == ("data.csv", "kind,t,user,item,amount")
    found = {row.line: (row.record, row.raw, [(r.column, r.value) for r in row.reasons]) for row in file.rows}
    assert found == {
        3: (1, "clik,1700000001,ann,i1,-3", [("kind", "clik"), ("amount", "-3")]),
        5: (2, '"purchase",soon,,"i,1",12.345', [
            ("event_time (t)", "soon"), ("account (user)", None), ("amount", "12.345")
        ]),
        6: (3, "cart,1700000000", [("row", "2")]),
    }  # fmt: skip
    assert reasons_of([file])["account (user): missing"] == 1
    problem = (
        "no amount of CNY; valid: 0 or more with at most 2 decimals, beside it CNY or ¥ or ￥ or 元 or nothing"
    )
    assert summary.reasons[f"amount: {problem}"] == 2
    assert summary.reasons["row: another number of columns; valid: 5"] == 1
    assert home.quarantine_dir.stat().st_mode & 0o077 == 0


def test_replay_after_mending_the_mapping(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    text = HEADER + "bought,1700000000,ann,i1,1\nbought,1700000000,ann,i1,1\nsold,1700000000,ann,i1,1\n"
    first = imported(home, written(tmp_path, text), mapping())
    assert first.quarantined == 3
    log = EventLog.open(home)
    second = replay(log, first.quarantine, mapping=mapping(kinds={"bought": "purchase"}))
    assert (second.read, second.accepted, second.duplicates, second.quarantined) == (3, 2, 0, 1)
    assert counts(home) == {second.quarantine: 1}
    third = replay(log, second.quarantine, mapping=mapping(kinds={"sold": "purchase"}))
    assert (third.read, third.accepted, third.duplicates, third.quarantined) == (1, 0, 1, 0)
    assert counts(home) == {}
    whole = imported(home, written(tmp_path, text), mapping(kinds={"bought": "purchase", "sold": "cart"}))
    assert (whole.accepted, whole.duplicates) == (1, 2)
    assert len(rows(home)) == 3


def test_replay_after_mending_the_rows(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    name = imported(home, written(tmp_path, BAD), mapping()).quarantine
    path = path_of(home, name)
    path.write_text(path.read_text().replace("clik,1700000001,ann,i1,-3", "click,1700000001,ann,i1,3"))
    summary = replay(EventLog.open(home), name)
    assert (summary.read, summary.accepted, summary.quarantined) == (3, 1, 2)
    assert rows(home, "kind, amount") == [("cart", None), ("click", 300)]
    lines = [row.line for file in load(home, summary.quarantine) for row in file.rows]
    assert lines == [5, 6]


def test_replay_keeps_the_place_of_rows_that_have_order_in_place_of_time(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    columns = {"kind": "kind", "account": "user"}
    ordered = {"time": "order", "order": {"start": "2024-01-01", "step_seconds": 60}, "columns": columns}
    name = imported(home, written(tmp_path, "kind,user\ncart,a\nclik,b\ncart,c\n"), mapping(**ordered)).quarantine
    replay(EventLog.open(home), name, mapping=mapping(**ordered, kinds={"clik": "click"}))
    start = 1_704_067_200
    assert rows(home, "kind, event_time") == [("cart", start), ("cart", start + 120), ("click", start + 60)]


def test_a_row_is_in_one_quarantine_only(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    other = imported(home, written(tmp_path, HEADER + "odd,1,x,,\n", "other.csv"), mapping())
    first = imported(home, written(tmp_path, BAD), mapping())
    again = imported(home, written(tmp_path, BAD + "clik,1700000009,ann,i1,\n"), mapping())
    assert (first.quarantined, again.quarantined) == (3, 4)
    assert counts(home) == {other.quarantine: 1, again.quarantine: 4}


def test_what_a_cut_off_import_left_is_swept_away(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    stale = home.work_dir / "import-1-a"
    stale.mkdir(parents=True)
    written(stale, b"x", "0.arrow")
    home.quarantine_dir.mkdir()
    draft = written(home.quarantine_dir, b"x", "1-a.draft")
    imported(home, written(tmp_path, BAD), mapping())
    assert not stale.exists()
    assert not draft.exists()


def test_json_rows_can_be_replayed(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    row = {"kind": "buy", "t": 1700000000, "user": "a", "item": "i", "amount": 2}
    text = json.dumps(row) + "\nnot json\n"
    first = imported(home, written(tmp_path, text, "data.jsonl"), mapping())
    assert (first.quarantined, first.reasons["row: no JSON object"]) == (2, 1)
    again = replay(EventLog.open(home), first.quarantine, mapping=mapping(kinds={"buy": "purchase"}))
    assert (again.accepted, again.quarantined) == (1, 1)


def test_unknown_and_damaged_quarantines(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    name = imported(home, written(tmp_path, BAD), mapping()).quarantine
    with pytest.raises(EventLogError, match=f"no such quarantine: 'x'; valid: {name}"):
        load(home, "x")
    with path_of(home, name).open("a") as file:
        file.write("{}\n")
    with pytest.raises(EventLogError, match=r"line 5 of .* is no quarantine entry; edit only the text of raw"):
        load(home, name)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0c", "\x1e"])
def test_a_refused_text_may_hold_any_line_separator(tmp_path: Path, separator: str) -> None:
    home = settings_in(tmp_path)
    first = imported(home, written(tmp_path, f"{HEADER}clik,1700000000,ann,好{separator}看,1\n"), mapping())
    second = imported(home, written(tmp_path, HEADER + "klick,1700000000,ann,i1,1\n", "other.csv"), mapping())
    assert counts(home) == {first.quarantine: 1, second.quarantine: 1}
    again = replay(EventLog.open(home), first.quarantine, mapping=mapping(kinds={"clik": "click"}))
    assert again.accepted == 1
    assert rows(home, "item") == [(f"好{separator}看",)]
