"""Small literal logs around the notes of a brand."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from features.events import CAMPAIGNS, EVENTS, IDENTITIES, ITEMS, NOTES, SPEND, Table

DAY = 86_400
START = 19_000 * DAY
Row = dict[str, Any]


def rows_of(table: Table, rows: list[Row]) -> pa.Table:
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


def log_of(
    events: list[Row],
    *,
    links: list[Row] = (),  # type: ignore[assignment]
    notes: list[Row] = (),  # type: ignore[assignment]
    items: list[Row] = (),  # type: ignore[assignment]
    campaigns: list[Row] = (),  # type: ignore[assignment]
    spend: list[Row] = (),  # type: ignore[assignment]
) -> dict[str, Any]:
    """Return the tables by the names of the arguments that read them."""
    con = duckdb.connect(config={"threads": 1})
    return {
        "events": con.from_arrow(rows_of(EVENTS, events)),
        "identities": rows_of(IDENTITIES, list(links)),
        "notes": rows_of(NOTES, list(notes)),
        "items": rows_of(ITEMS, list(items)),
        "campaigns": rows_of(CAMPAIGNS, list(campaigns)),
        "spend": rows_of(SPEND, list(spend)),
    }
