"""Rows cut into parts: every row once, in its part, in the order in which it came."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.log import cut as module
from features.log.cut import Cut, write_cut

ROWS = st.lists(st.tuples(st.integers(0, 4), st.none() | st.text("ab", max_size=2)), max_size=30)
SCHEMA = pa.schema([("of", pa.int32()), ("name", pa.string()), ("place", pa.int64())])


def relation(rows: list[tuple[int, str | None]]) -> duckdb.DuckDBPyRelation:
    table = [{"of": of, "name": name, "place": place} for place, (of, name) in enumerate(rows)]
    return duckdb.connect().from_arrow(pa.Table.from_pylist(table, SCHEMA))


@given(rows=ROWS, at_once=st.sampled_from((1, 3, 100)))
def test_each_part_holds_its_rows_in_their_order(rows: list[tuple[int, str | None]], at_once: int) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", at_once)
        write_cut(relation(rows), "of", Path(place) / "cut")
        cut = Cut(Path(place) / "cut")
        for part in range(6):
            found = cut[part]
            assert found.schema.names == ["name", "place"]
            expected = [{"name": name, "place": place} for place, (of, name) in enumerate(rows) if of == part]
            assert found.to_pylist() == expected


def test_threads_may_read_parts_at_once(tmp_path: Path) -> None:
    write_cut(relation([(number % 7, "x") for number in range(7_000)]), "of", tmp_path / "cut")
    cut = Cut(tmp_path / "cut")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: cut[part]["place"].to_pylist(), list(range(7)) * 20))
    assert found == [list(range(part, 7_000, 7)) for part in range(7)] * 20


def test_what_lies_there_is_not_written_over(tmp_path: Path) -> None:
    write_cut(relation([(0, "x")]), "of", tmp_path / "cut")
    with pytest.raises(FileExistsError):
        write_cut(relation([(0, "y")]), "of", tmp_path / "cut")
    assert Cut(tmp_path / "cut")[0]["name"].to_pylist() == ["x"]
