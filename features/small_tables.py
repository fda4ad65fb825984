"""Canonical tables held in memory beside a query, and answers whose names take little room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.events import Table

_BATCH: Final = 500_000


def columns_of(table: Any | None, canonical: Table, names: Sequence[str]) -> pa.Table:
    """Return columns of a canonical table in memory.

    Parameters
    ----------
    table
        Relation, frame or Arrow table, or None for one without rows. Columns that it lacks are null.
    canonical
        What it is.
    names
        Which columns.

    Examples
    --------
    >>> from features.events import NOTES
    >>> columns_of(pa.table({"note": ["n"]}), NOTES, ["note", "brand"]).to_pylist()
    [{'note': 'n', 'brand': None}]
    """
    schema = pa.schema([canonical.schema.field(name) for name in names])
    if table is None:
        return schema.empty_table()
    if isinstance(table, duckdb.DuckDBPyRelation):
        table = table.select(*(name for name in names if name in table.columns)).to_arrow_table()
    rows = nw.from_native(table, eager_only=True).to_arrow()
    there = set(rows.column_names)
    return pa.table(
        [
            rows[field.name].cast(field.type) if field.name in there else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ],
        names=schema.names,
    )


def encoded(answer: duckdb.DuckDBPyRelation, names: Sequence[str]) -> pa.Table:
    """Read an answer batch by batch, its text columns `names` as dictionaries: a name takes four bytes a row.

    Examples
    --------
    >>> encoded(duckdb.sql("select 'x' as note from range(3)"), ["note"])["note"].chunk(0).indices.to_pylist()
    [0, 0, 0]
    """
    reader = answer.to_arrow_reader(_BATCH)
    places = {reader.schema.get_field_index(name) for name in names}
    columns: list[list[pa.Array]] = [[] for _ in reader.schema]
    for batch in reader:
        for place, column in enumerate(batch.columns):
            columns[place].append(column.dictionary_encode() if place in places else column)
    types = [
        pa.dictionary(pa.int32(), pa.string()) if place in places else field.type
        for place, field in enumerate(reader.schema)
    ]
    table = pa.table(
        [pa.chunked_array(chunks, kind) for chunks, kind in zip(columns, types, strict=True)],
        names=reader.schema.names,
    )
    return table.unify_dictionaries().combine_chunks()


def codes_of(table: pa.Table, name: str) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return a text column as int64 codes and the names they stand for; null has the code after the last name.

    Examples
    --------
    >>> codes, names = codes_of(pa.table({"note": ["x", None, "y", "x"]}), "note")
    >>> codes.tolist(), names.to_pylist()
    ([0, 2, 1, 0], ['x', 'y'])
    """
    column = table[name].combine_chunks()
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), encoded.dictionary


def one_of(column: str, names: Sequence[str]) -> str:
    """Write the condition that a column is one of some names; no names ask for nothing.

    Examples
    --------
    >>> one_of("brand", ["L'Eau", "x"]), one_of("brand", [])
    ("brand in ('L''Eau', 'x')", 'true')
    """
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    return f"{column} in ({quoted})" if names else "true"
