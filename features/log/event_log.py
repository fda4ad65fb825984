"""The event log: Delta tables of canonical rows, read with DuckDB."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

import duckdb

from features.errors import EventLogError
from features.events import EVENTS, IDENTITIES, TABLES, Table, table
from features.log.delta_table import LogTable
from features.rights.ledger import refused_keys
from features.rights.refused_links import without_refused
from features.settings import Settings

_SQL_TYPES = {
    "text": "VARCHAR",
    "account": "VARCHAR",
    "person": "VARCHAR",
    "integer": "BIGINT",
    "money": "BIGINT",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
    "time": "BIGINT",
    "day": "INTEGER",
}
_PROPERTIES = "log.json"
_FORMAT = 1
# Tables in which a later row with the same key replaces the earlier one for readers.
VERSIONED = ("notes", "items", "campaigns")


@dataclass(frozen=True)
class EventLog:
    """The canonical tables of one installation.

    Parameters
    ----------
    settings
        Settings of the installation.
    timezone
        IANA zone whose days the log counts in, fixed by the first import.
    currency
        ISO 4217 code of the log's money, fixed by the first import.
    """

    settings: Settings
    timezone: str
    currency: str

    @classmethod
    def open(cls, settings: Settings, *, create: bool = False, currency: str | None = None) -> Self:
        """Open the log.

        Parameters
        ----------
        settings
            A time zone or currency that was set explicitly must be the log's.
        create
            Make an empty log where there is none.
        currency
            Currency of the data about to be imported; the settings' one by default.

        Raises
        ------
        EventLogError
            There is no log, or its time zone or currency is another one.
        """
        path = settings.log_dir / _PROPERTIES
        if not path.exists():
            if not create:
                raise EventLogError(
                    f"there is no event log in {settings.log_dir}",
                    next_step="run zhongcao import complete-journey or zhongcao import --mapping FILE DATA",
                )
            properties = {
                "format": _FORMAT,
                "timezone": settings.timezone,
                "currency": currency or settings.currency,
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text(json.dumps(properties))
            draft.replace(path)
        stored = json.loads(path.read_text())
        if stored["format"] != _FORMAT:
            raise EventLogError("the log has another format", value=stored["format"], valid=[_FORMAT])
        wanted = {"currency": currency} | {
            name: getattr(settings, name) for name in ("timezone", "currency") if name in settings.model_fields_set
        }
        for name, value in wanted.items():
            if value is not None and value != stored[name]:
                raise EventLogError(
                    f"the {name} of a log is fixed by its first import",
                    value=value,
                    valid=[stored[name]],
                    next_step="keep to it, or start another log with ZHONGCAO_HOME",
                )
        return cls(settings, stored["timezone"], stored["currency"])

    def log_table(self, name: str) -> LogTable:
        """Return the Delta table of a canonical table's rows."""
        return LogTable(self.settings.log_dir / name, table(name))

    @property
    def version(self) -> int:
        """Version of the events, -1 before the first import of events."""
        return self.log_table(EVENTS.name).version

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with the settings' threads and memory, which downloads nothing."""
        return connect(self.settings)

    def events(self, con: duckdb.DuckDBPyConnection, version: int | None = None) -> duckdb.DuckDBPyRelation:
        """Return all columns of the events of a version (the latest by default)."""
        return self.table(con, EVENTS.name, version)

    def table(
        self, con: duckdb.DuckDBPyConnection, name: str, version: int | None = None, *, known_at: int | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Return a canonical table; of notes, items and campaigns only the latest row of each key.

        With `known_at` the latest of these is that of the rows which had arrived by then. Of identities, whoever
        opted out of personalisation agrees at no time.

        Raises
        ------
        EventLogError
            There is no such table or version.
        """
        rows = self.rows(con, name, version)
        if name == IDENTITIES.name and (refused := refused_keys(self.settings)):
            return without_refused(con, rows, refused)
        return latest_rows(con, rows, name, known_at) if name in VERSIONED else rows

    def rows(
        self, con: duckdb.DuckDBPyConnection, name: str, version: int | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Return every stored row of a canonical table, replaced ones too."""
        canonical = table(name)
        files = self.log_table(name).files(version)
        if not files:
            return empty(con, canonical)
        columns = ", ".join(f'"{column.name}"' for column in canonical.columns)
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        return con.sql(f"SELECT {columns} FROM read_parquet([{listed}])")  # noqa: S608

    def span(self, con: duckdb.DuckDBPyConnection, version: int | None = None) -> tuple[int, int]:
        """Return the first and the last event time of a version (the latest by default).

        Raises
        ------
        EventLogError
            The log holds no events.
        """
        first, last = self.events(con, version).aggregate("min(event_time), max(event_time)").fetchall()[0]
        if first is None:
            raise EventLogError("the log holds no events", next_step="import some with zhongcao import")
        return int(first), int(last)

    def history(self) -> list[dict[str, Any]]:
        """Return one entry per import and table, oldest first: what was imported, when, and how it went."""
        entries = [{"table": name} | entry for name in TABLES for entry in self.log_table(name).history()]
        return sorted(entries, key=lambda entry: int(entry["committed_at"]))


def latest_rows(
    con: duckdb.DuckDBPyConnection,
    rows: duckdb.DuckDBPyRelation,  # noqa: ARG001  (DuckDB finds it by its name)
    name: str,
    known_at: int | None = None,
) -> duckdb.DuckDBPyRelation:
    """Return the latest row of each key among stored rows of a versioned table.

    Parameters
    ----------
    con
        Connection that the rows live on.
    rows
        Replaced ones too.
    name
        One of ``VERSIONED``.
    known_at
        Only rows that had arrived by then, epoch seconds; all by default.
    """
    arrived = "" if known_at is None else f"WHERE arrived_at <= {int(known_at)}"
    return con.sql(
        f'SELECT * FROM rows {arrived} QUALIFY row_number() OVER (PARTITION BY "{table(name).key}" '  # noqa: S608
        "ORDER BY arrived_at DESC, hash(rows)) = 1"
    )


def connect(settings: Settings, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection that spills into the home and downloads nothing."""
    spill = settings.work_dir / "duckdb"
    spill.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(
        ":memory:",
        config={
            "threads": threads or settings.threads,
            "memory_limit": settings.memory,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    con.execute("SET TimeZone = 'UTC'")
    return con


def empty(con: duckdb.DuckDBPyConnection, canonical: Table) -> duckdb.DuckDBPyRelation:
    """Return a canonical table without rows."""
    columns = ", ".join(f'CAST(NULL AS {_SQL_TYPES[c.type]}) AS "{c.name}"' for c in canonical.columns)
    return con.sql(f"SELECT {columns} LIMIT 0")
