"""Small literal logs around the notes of a brand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from features.events import EVENTS, IDENTITIES, Table, table

DAY = 86_400
START = 19_000 * DAY
Row = dict[str, Any]
NAMES = ("notes", "note_items", "items", "campaigns", "assignments", "spend")


def rows_of(table: Table, rows: Sequence[Row]) -> pa.Table:
    """Fill what a row leaves out with nulls, and what every row must have with something."""
    made = {"source": "t", "arrived_at": START - 400 * DAY, table.key: ""}
    full = [
        {c.name: None for c in table.columns} | made | {table.key: f"{table.name}-{n}"} | row
        for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=table.schema)


def event(kind: str, account: str, days: float, late: float = 0, **more: Any) -> Row:
    """Something that happened some days after the start and arrived some days later."""
    at = START + round(days * DAY)
    platform = "shop" if account.startswith("s") else "content"
    return {
        "kind": kind,
        "account": account,
        "event_time": at,
        "arrived_at": at + round(late * DAY),
        "day": at // DAY,
        "platform": platform,
        **more,
    }


def link(account: str, person: str, days: float = -300, late: float = 0) -> Row:
    """An account that is known to be a person's from some day on."""
    at = START + round(days * DAY)
    return {
        "platform": "any",
        "account": account,
        "person": person,
        "valid_from": at,
        "arrived_at": at + round(late * DAY),
    }


def log_of(events: list[Row], *, links: Sequence[Row] = (), **more: Sequence[Row]) -> dict[str, Any]:
    """Return canonical tables by name, those that are not given empty; events are a relation."""
    con = duckdb.connect(config={"threads": 1})
    return {
        "events": con.from_arrow(rows_of(EVENTS, events)),
        "identities": rows_of(IDENTITIES, links),
        **{name: rows_of(table(name), more.get(name, ())) for name in NAMES},
    }
