from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import MappingError, SourceError
from features.sources.delimited import DelimitedReader
from features.sources.open_reader import open_reader
from features.sources.records import plain_records, quoted_records
from tests.features.log_cases import imported, mapping, rows, settings_in, written

HEADER = "kind,t,user,item,amount\n"
ROW = "cart,1700000000,ann,i1,2\n"
FIELD = st.text(st.sampled_from('ab,"\n é'), max_size=6)


@pytest.mark.parametrize("name", ["data.csv.gz", "data.csv"])
def test_gzip_is_told_by_content(tmp_path: Path, name: str) -> None:
    home = settings_in(tmp_path)
    assert imported(home, written(tmp_path, gzip.compress((HEADER + ROW).encode()), name), mapping()).accepted == 1


def test_a_damaged_gzip_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    packed = gzip.compress((HEADER + ROW * 5000).encode())
    with pytest.raises(SourceError, match="cannot read the data"):
        imported(home, written(tmp_path, packed[:-20], "data.csv.gz"), mapping())
    assert rows(home) == []


def test_headerless_tab_separated_columns_by_number(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(header=False, columns={"kind": 1, "event_time": 2, "account": "3", "item": 4})
    imported(
        home, written(tmp_path, "cart\t1700000000\tann\ti,1\r\nclick\t1700000001\tann\t\r\n", "data.tsv"), used
    )
    assert rows(home, "kind, event_time, item") == [("cart", 1700000000, "i,1"), ("click", 1700000001, None)]


def test_gb18030(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(
        encoding="gb18030", columns={"kind": "动作", "event_time": "时间", "account": "谁", "item": "商品"}
    )
    text = '动作,时间,谁,商品\ncart,1700000000,小草,"茶,一斤"\n'.encode("gb18030") + b"cart,1700000000,\xff\xff,x\n"
    summary = imported(home, written(tmp_path, text), used)
    assert rows(home, "item") == [("茶,一斤",)]
    assert summary.reasons == {"row: cannot be split into columns (UnicodeDecodeError)": 1}


def test_byte_order_mark_blank_lines_and_padding(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    text = b"\xef\xbb\xbf kind , t,user,item,amount\r\n\r\n cart ,1700000000,ann,\t i1, 2.50 \r\n"
    imported(home, written(tmp_path, text), mapping())
    assert rows(home, "kind, item, amount") == [("cart", "i1", 250)]


def test_bytes_that_are_not_utf8_refuse_their_row_only(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    summary = imported(home, written(tmp_path, (HEADER + ROW).encode() + b"cart,1700000000,\xe9,i1,2\n"), mapping())
    assert (summary.accepted, summary.quarantined) == (1, 1)


def test_parquet_with_its_own_types(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    path = tmp_path / "data.parquet"
    table = pa.table(
        {
            "kind": pa.array(["cart", "purchase"]).dictionary_encode(),
            "t": pa.array([1_700_000_000_500_000, 1_700_000_001_000_000], pa.timestamp("us", "UTC")),
            "user": [1, 2],
            "item": [7, None],
            "amount": [0.1 + 0.2, 19.99],
        }
    )
    pq.write_table(table, path)
    imported(home, path, mapping(time="iso"))
    assert rows(home, "kind, event_time, item, amount") == [
        ("cart", 1_700_000_000, "7", 30), ("purchase", 1_700_000_001, None, 1999)
    ]  # fmt: skip


def test_json_lines_with_nested_fields(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    used = mapping(
        columns={"kind": "a.kind", "event_time": "t", "account": "user.id", "read_percent": "p", "own_label": "own"}
    )
    lines = [
        {"a": {"kind": "read"}, "t": 1700000000, "user": {"id": 5}, "p": 12.5, "own": True},
        {"a.kind": "read", "t": "1700000001", "user.id": "六", "p": None},
        [1],
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n\n{broken"
    summary = imported(home, written(tmp_path, text, "data.ndjson"), used)
    assert (summary.read, summary.quarantined) == (4, 2)
    assert rows(home, "event_time, read_percent, own_label") == [(1700000000, 12.5, True), (1700000001, None, None)]


def test_what_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no such data file: '.*no.csv'; name a CSV, TSV"):
        open_reader(tmp_path / "no.csv", mapping())
    with pytest.raises(SourceError, match=r"the path of the data file is a folder: '.*'; name a file in it"):
        open_reader(tmp_path, mapping())
    with pytest.raises(SourceError, match=r"cannot tell the format from the file's name: 'data.xls'; valid: .csv"):
        open_reader(written(tmp_path, ROW, "data.xls"), mapping())
    with pytest.raises(SourceError, match="the data is empty"):
        open_reader(written(tmp_path, ""), mapping())
    with pytest.raises(SourceError, match="cannot read the data as Parquet"):
        open_reader(written(tmp_path, ROW, "data.parquet"), mapping())
    with pytest.raises(MappingError, match="the data has no column: 't'; valid: kind, user"):
        imported(settings_in(tmp_path), written(tmp_path, "kind,user\ncart,ann\n"), mapping())


@settings(max_examples=120, deadline=None)
@given(
    data=st.lists(st.lists(FIELD, min_size=3, max_size=3), min_size=1, max_size=12),
    piece=st.integers(1, 60),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_quoted_text_is_split_as_the_csv_module_does(data: list[list[str]], piece: int, end: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end).writerows([["kind", "t", "user"], *data])
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), text.getvalue())
        used = mapping(columns={"kind": "kind", "event_time": "t", "account": "user"})
        chunks = [piece() for piece in DelimitedReader(path, used, piece).pieces()]
        found = [tuple(row.values()) for chunk in chunks for row in chunk.table.to_pylist()]
        records = [record for chunk in chunks for record in chunk.records.to_pylist()]
        located = [place for chunk in chunks for place in chunk.locate(range(chunk.table.num_rows))]
    assert found == [tuple(row) for row in data]
    assert records == list(range(len(data)))
    lines = text.getvalue().split("\n")
    for (line, raw), row in zip(located, data, strict=True):
        assert "\n".join(lines[line - 1 :]).startswith(raw)
        assert next(csv.reader(io.StringIO(raw, newline=""))) == row


def test_a_quote_that_is_never_closed_costs_its_line_only(tmp_path: Path) -> None:
    home = settings_in(tmp_path)
    text = HEADER + 'cart,1700000000,ann,"i\n1",2\n' + 'cart,1700000001,"ann,i1,2\n' + ROW + ROW
    summary = imported(home, written(tmp_path, text), mapping())
    assert (summary.read, summary.accepted, summary.quarantined) == (4, 3, 1)
    assert rows(home, "item") == [("i1",), ("i1",), ("i\n1",)]


def test_a_lost_closing_quote_costs_one_line() -> None:
    data = b'a,"open,1\nb,2,3\nc,5" wide,4\n'
    lost = quoted_records(data.replace(b'5" wide', b"5 wide"), ",", last=True)
    assert [lost.text(data.replace(b'5" wide', b"5 wide"), n) for n in range(3)] == [
        b'a,"open,1',
        b"b,2,3",
        b"c,5 wide,4",
    ]
    assert plain_records(b"a\r\n\r\nb").lines.tolist() == [0, 2]
