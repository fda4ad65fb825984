"""Canonical events read as integers: from Arrow tables when they are many, from plain rows when they are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.definitions import CONDITIONS
from features.events import EVENTS, KINDS
from features.people.acts import code_of, codes_of

Int64 = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]
KIND_NUMBER: Final = {kind: number for number, kind in enumerate(KINDS)}
FLAG: Final = {name: 1 << number for number, name in enumerate(CONDITIONS)}
_TEXTS: Final = frozenset(c.name for c in EVENTS.columns if c.type in {"text", "account"})
_REALS: Final = frozenset(c.name for c in EVENTS.columns if c.type == "number")


class Columns(Protocol):
    """Columns of events; one that is missing counts as empty."""

    def kinds(self) -> Int64:
        """Return the numbers of the kinds, -1 for an unknown one."""
        ...

    def present(self, name: str) -> Truths:
        """Return where the column has a value."""
        ...

    def integers(self, name: str) -> Int64:
        """Return a column of integers or truths, 0 where it is empty."""
        ...

    def reals(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers, 0 where it is empty."""
        ...

    def texts(self, name: str) -> Int64:
        """Return the codes of a column of texts, 0 where it is empty."""
        ...


class TableColumns:
    """Columns of an Arrow table or record batch."""

    def __init__(self, table: pa.Table | pa.RecordBatch) -> None:
        self._table, self._names = table, frozenset(table.schema.names)

    def kinds(self) -> Int64:
        """Return the numbers of the kinds, -1 for an unknown one."""
        numbers = pc.index_in(self._column("kind"), pa.array(KINDS))
        return np.asarray(pc.fill_null(numbers, -1).to_numpy(), np.int64)

    def present(self, name: str) -> Truths:
        """Return where the column has a value."""
        return np.asarray(self._column(name).is_valid().to_numpy(zero_copy_only=False), np.bool_)

    def integers(self, name: str) -> Int64:
        """Return a column of integers or truths, 0 where it is empty."""
        return np.asarray(pc.fill_null(self._column(name).cast(pa.int64()), 0).to_numpy(), np.int64)

    def reals(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers, 0 where it is empty."""
        return np.asarray(pc.fill_null(self._column(name), 0.0).to_numpy(), np.float64)

    def texts(self, name: str) -> Int64:
        """Return the codes of a column of texts, 0 where it is empty."""
        return codes_of(self._column(name))

    def _column(self, name: str) -> pa.Array:
        if name not in self._names:
            return pa.nulls(self._table.num_rows, EVENTS.column(name).arrow)
        column = self._table.column(name)
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


class RowColumns:
    """Columns of some rows in the canonical form, column name → value."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def kinds(self) -> Int64:
        """Return the numbers of the kinds, -1 for an unknown one."""
        return np.array([KIND_NUMBER.get(row["kind"], -1) for row in self._rows], np.int64)

    def present(self, name: str) -> Truths:
        """Return where the column has a value."""
        return np.array([row.get(name) is not None for row in self._rows], np.bool_)

    def integers(self, name: str) -> Int64:
        """Return a column of integers or truths, 0 where it is empty."""
        return np.array([row.get(name) or 0 for row in self._rows], np.int64)

    def reals(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers, 0 where it is empty."""
        return np.array([row.get(name) or 0.0 for row in self._rows], np.float64)

    def texts(self, name: str) -> Int64:
        """Return the codes of a column of texts, 0 where it is empty."""
        values = [row.get(name) for row in self._rows]
        return np.array([0 if value is None else code_of(value) for value in values], np.int64)


def codes(columns: Columns, name: str) -> Int64:
    """Return one code per different value of a column of any type, 0 where it is empty."""
    if name in _TEXTS:
        return columns.texts(name)
    # adding 0 makes -0 the same as 0
    values = (columns.reals(name) + 0.0).view(np.int64) if name in _REALS else columns.integers(name)
    return np.where(columns.present(name), np.where(values >= 0, values + 1, values), 0)


HOLDS: Final[Mapping[str, Callable[[Columns], Truths]]] = {
    "discounted": lambda events: events.integers("discount") > 0,
    "coupon": lambda events: events.integers("coupon") > 0,
    "own_label": lambda events: events.integers("own_label") > 0,
    "paid": lambda events: events.present("campaign"),
    "deep_read": lambda events: (events.integers("dwell_ms") >= 5_000) | (events.reals("read_percent") >= 50.0),
}
"""The conditions of `features.expressions`."""
