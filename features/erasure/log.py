"""Erasing people from the event log: parts are written anew without their rows, earlier versions deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow.parquet as pq

from features.erasure.erasable import ErasablePlace
from features.events import TABLES, Table
from features.log.canonical_sql import literal
from features.log.delta_table import ERASURE, Part
from features.log.event_log import EventLog
from features.log.parts import RANGED, PartWriter
from features.small_tables import one_of

PERSONAL: Final = tuple(
    name for name, table in TABLES.items() if any(c.type in ("account", "person") for c in table.columns)
)
"""Tables whose rows are about somebody."""


class LogPlace(ErasablePlace):
    """A canonical table of the log; whoever erases from it holds `features.log.importing.import_lock`.

    Parameters
    ----------
    log
        The log.
    table
        Name of the table.
    renamed
        Told the names of the parts before and after, where they were written anew.
    """

    def __init__(
        self, log: EventLog, table: str, renamed: Callable[[list[str], list[str]], None] | None = None
    ) -> None:
        self._renamed = renamed
        self.name = f"event log: {table}"
        self._log = log
        self._target = log.log_table(table)

    def erase(self, persons: Sequence[str], accounts: Sequence[str]) -> int:
        """Delete rows of people and every version that held them, see `ErasablePlace.erase`."""
        target = self._target
        if not target.exists:
            return 0
        target.recover()
        con = self._log.connect()
        try:
            removed = self._rewrite(con, sorted({*persons, *accounts}))
        finally:
            con.close()
        # Also after an erasure that was cut off between the two.
        target.vacuum()
        return removed

    def _rewrite(self, con: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> int:
        files = self._target.files()
        gone = {file: n for file in files if (n := _count(con, file, whose(self._target.table, keys)))}
        if not gone:
            return 0
        prefix = f"part-kept-{int(time.time())}-{uuid.uuid4().hex[:12]}"
        # What is left of a part may fill a part and begin another one.
        names = {file: [f"{prefix}-{n:04d}{half}.parquet" for half in "ab"] for n, file in enumerate(files)}
        self._target.announce([name for both in names.values() for name in both])
        parts: list[Part] = []
        for file, both in names.items():
            if file in gone:
                parts += self._without(con, file, both, whose(self._target.table, keys))
            else:
                # A new name for the same file: the version replaces all parts at once.
                Path(file).with_name(both[0]).hardlink_to(file)
                parts.append(_part(con, both[0], file, self._target.table))
        said = {"table": self._target.table.name, "source": ERASURE, "erased": sum(gone.values())}
        self._target.commit(parts, said, replace=True)
        if self._renamed is not None:
            self._renamed([Path(file).name for file in files], [part.name for part in parts])
        return sum(gone.values())

    def _without(self, con: duckdb.DuckDBPyConnection, file: str, names: Sequence[str], rows: str) -> list[Part]:
        table = self._target.table
        writer = PartWriter(self._target.folder, table, names, self._log.timezone, int(time.time()))
        read = pq.ParquetFile(file)
        for group in range(read.num_row_groups):
            held = read.read_row_group(group)  # noqa: F841
            left = con.sql(f"SELECT * FROM held WHERE NOT ({rows})").to_arrow_table()  # noqa: S608
            if left.num_rows:
                writer.append(left.select(table.schema.names).cast(table.schema))
        return writer.close()


def whose(table: Table, keys: Sequence[str]) -> str:
    """Write the condition that a row is about one of some people."""
    columns = [column.name for column in table.columns if column.type in ("account", "person")]
    return " OR ".join(one_of(f'"{name}"', keys) for name in columns)


def _count(con: duckdb.DuckDBPyConnection, file: str, rows: str) -> int:
    found = con.execute(f"SELECT count(*) FROM read_parquet({literal(file)}) WHERE {rows}").fetchall()  # noqa: S608
    return int(found[0][0])


def _part(con: duckdb.DuckDBPyConnection, name: str, file: str, table: Table) -> Part:
    ranged = [column.name for column in table.columns if column.name in RANGED]
    asked = ", ".join(f'min("{column}"), max("{column}")' for column in ranged)
    rows, *bounds = con.execute(f"SELECT count(*), {asked} FROM read_parquet({literal(file)})").fetchall()[0]  # noqa: S608
    ranges: dict[str, Any] = dict(zip(ranged, zip(bounds[::2], bounds[1::2], strict=True), strict=True))
    return Part(name, int(rows), {column: both for column, both in ranges.items() if both[0] is not None})
