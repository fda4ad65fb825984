from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import SourceError
from features.proposals.mapping import draft
from features.sources.guess import guess, time_unit
from features.sources.mapping import Mapping, load_mapping, load_text
from features.sources.sample import take_sample
from tests.features.log_cases import imported, settings_in, written

EXAMPLES = Path(__file__).parents[3] / "examples" / "mappings"


def _drafted(path: Path, home: Path) -> tuple[Mapping, str]:
    made = draft(path, settings_in(home))
    return load_text(made.toml, "draft"), made.preview


def test_a_headerless_log_of_clicks_and_purchases(tmp_path: Path) -> None:
    text = "1,22,33,pv,1511544070\n1,23,33,buy,1511561733\n2,24,34,fav,1511572885\n2,24,34,odd,1511572886\n"
    path = written(tmp_path, text)
    mapping, preview = _drafted(path, tmp_path)
    assert (mapping.header, mapping.time) == (False, "epoch_s")
    assert mapping.columns == {"event_time": "5", "kind": "4", "account": "1", "item": "2", "category": "3"}
    assert mapping.kinds == {"pv": "item_view", "buy": "purchase", "fav": "favourite"}
    assert "of the first 4 rows 1 would be refused" in preview
    assert "'odd': no event kind" in preview
    assert imported(settings_in(tmp_path), path, mapping).accepted == 3


def test_every_guess_has_a_reason_and_no_key_is_made(tmp_path: Path) -> None:
    made = draft(written(tmp_path, "user_id,action,ts,price\nu1,buy,1700000000123,9.5\n"), settings_in(tmp_path))
    assert 'time = "epoch_ms"  # its numbers would be years 2023 to 2023' in made.toml
    assert 'account = "user_id"  # its name means account' in made.toml
    assert 'kind = "action"  # its name means a kind' in made.toml
    assert '"buy" = "purchase"  # a known word for it' in made.toml
    assert not settings_in(tmp_path).key_file.exists()


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    row = {"user": {"id": "u1"}, "event": "click", "timestamp": "2024-05-01T08:30:00Z", "note_id": "n1"}
    mapping, _ = _drafted(written(tmp_path, json.dumps(row) + "\n", "a.jsonl"), tmp_path)
    assert (mapping.format, mapping.time) == ("jsonl", "iso")
    assert mapping.columns == {"event_time": "timestamp", "kind": "event", "note": "note_id", "account": "user.id"}
    pq.write_table(
        pa.table({"uid": [1, 2], "day": ["2024-05-01"] * 2, "amount": [1.5, 2.0]}), tmp_path / "b.parquet"
    )
    mapping, preview = _drafted(tmp_path / "b.parquet", tmp_path)
    assert (mapping.format, mapping.time) == ("parquet", "day")
    assert mapping.model_dump()["columns"]["kind"] == {"constant": "purchase"}
    assert "0 would be refused" in preview


def _event(number: int) -> dict[str, object]:
    return {
        "id": f"e{number}", "event": {"type": "view"}, "context": {"ts": 1_700_000_000 + number, "channel": "app"},
        "user": {"created_at": 1_600_000_000, "rank": number, "id": f"u{number % 2}"},
        "note": {"id": "n1", "author": {"id": "k1"}}, "item": {"price": 9.5, "sku": "s1", "brand": {"name": "b"}},
    }  # fmt: skip


def test_nested_names_are_read_with_their_parents(tmp_path: Path) -> None:
    text = "".join(json.dumps(_event(number)) + "\n" for number in range(4))
    mapping, preview = _drafted(written(tmp_path, text, "a.jsonl"), tmp_path)
    assert mapping.columns == {
        "event_id": "id", "kind": "event.type", "event_time": "context.ts", "account": "user.id", "note": "note.id",
        "creator": "note.author.id", "item": "item.sku", "brand": "item.brand.name", "amount": "item.price",
        "platform": "context.channel",
    }  # fmt: skip
    assert mapping.time == "epoch_s"
    assert "of the first 4 rows 0 would be refused" in preview


def test_the_example_of_nested_lines_is_drafted(tmp_path: Path) -> None:
    found = guess(take_sample(EXAMPLES / "content_platform.jsonl"))
    used = load_mapping(EXAMPLES / "content_platform.toml").columns
    assert {
        name: found.columns[name] for name in ("event_id", "kind", "event_time", "account", "note", "creator")
    } == {name: used[name] for name in ("event_id", "kind", "event_time", "account", "note", "creator")}


@pytest.mark.parametrize(
    ("text", "account", "event_id"),
    [
        ("id,action,ts\n7,buy,1700000000\n8,buy,1700000001\n", "id", None),
        ("id,action,ts,x\n7,buy,1700000000,a\n8,buy,1700000001,b\n", "x", "id"),
        ("id,action,ts,x\n7,buy,1700000000,a\n7,buy,1700000001,b\n8,buy,1700000002,b\n", "id", None),
        ("_id,userId,action,ts\n7,a,buy,1700000000\n8,b,buy,1700000001\n", "userId", "_id"),
        ("id,event-id,user id,action,ts\n7,1,a,buy,1700000000\n8,2,b,buy,1700000001\n", "user id", "event-id"),
    ],
)
def test_a_mere_id_is_the_event_s_where_it_can_be(
    tmp_path: Path, text: str, account: str, event_id: str | None
) -> None:
    found = guess(take_sample(written(tmp_path, text)))
    assert (found.columns["account"], found.columns.get("event_id")) == (account, event_id)


def test_data_without_times_is_taken_in_order(tmp_path: Path) -> None:
    mapping, preview = _drafted(written(tmp_path, "who|what\nu1|like\nu2|share\n"), tmp_path)
    assert mapping.delimiter == "|"
    assert mapping.order is not None
    assert '"event_time": 1577836801' in preview


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["1700000000"], "epoch_s"), (["1700000000123456"], "epoch_us"), (["2024-05-01"], "day"),
        (["2024/05/01 08:30"], "%Y/%m/%d %H:%M"), (["99"], ""), (["12345678901"], ""), ([], ""),
    ],
)  # fmt: skip
def test_units_of_time(texts: list[str], unit: str) -> None:
    assert time_unit(texts)[0] == unit


WHOLE = "1\t22\tpv\t1511544070\n2\t23\tbuy\t1511561733\n4\t24\tfav\t1511572886\n"


@pytest.mark.parametrize("text", [WHOLE + "3\t24\n", "3\t24\n" + WHOLE, "3\n" + WHOLE])
def test_a_short_row_hides_neither_the_tabs_nor_the_missing_header(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text, "acts.TSV")
    made = draft(path, settings_in(tmp_path))
    used = load_text(made.toml, "draft")
    assert (used.format, used.delimiter, used.header) == ("tsv", "\t", False)
    assert "# the file's name ends in .tsv, and it gives 4 fields in 75% of the first lines" in made.toml
    assert used.columns == {"event_time": "4", "kind": "3", "account": "1", "item": "2"}
    assert "of the first 4 rows 1 would be refused" in made.preview
    assert "row: '" in made.preview
    assert imported(settings_in(tmp_path), path, used).accepted == 3


@pytest.mark.parametrize(
    ("text", "name", "delimiter", "header"),
    [
        ("user;price\nu1;1,5\nu2;2,5\n", "a.csv", ";", True),
        ("user,cat,n\nu1,a|b,1\nu2,a|b\nu3,a|b,3\n", "a.csv", ",", True),
        ("user,cat,n\nu1,a,1\n", "a.tsv", ",", True),
        ("user\ttext\nu1\ta,b,c\nu2\ta,b,c\n", "a.tsv.gz", "\t", True),
        ("u1,pv,2024-05-01 08:30:00\nu2,pv,2024-05-01 08:31:00\n", "a.csv", ",", False),
        ("u1,u1,a\nu2,u1,b\n", "a.csv", ",", False), ("user\nu1\nu2\n", "a.csv", ",", True),
    ],
)  # fmt: skip
def test_delimiter_and_header(tmp_path: Path, text: str, name: str, delimiter: str, header: bool) -> None:
    found = take_sample(written(tmp_path, text, name))
    assert (found.delimiter, found.header) == (delimiter, header)


def test_files_without_rows(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the data is empty"):
        take_sample(written(tmp_path, " \n"))
    with pytest.raises(SourceError, match="holds no rows below its header"):
        take_sample(written(tmp_path, "a,b\n"))
    with pytest.raises(SourceError, match="there is no such data file"):
        take_sample(tmp_path / "no.csv")


def test_texts_may_hold_unicode_line_separators(tmp_path: Path) -> None:
    table = take_sample(written(tmp_path, "user;text\nu1;好\u2028看\nu2;x\n"))
    assert (table.delimiter, table.columns["text"]) == (";", ["好\u2028看", "x"])
    lines = [json.dumps({"user": "u1", "text": "好\u2028看"}, ensure_ascii=False)] * 2
    found = take_sample(written(tmp_path, "\n".join(lines), "data.jsonl"))
    assert found.columns == {"user": ["u1", "u1"], "text": ["好\u2028看"] * 2}
