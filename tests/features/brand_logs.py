"""Small logs of notes, searches and orders of two brands, with accounts that change hands."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

import pyarrow as pa

from features.events import EVENTS, IDENTITIES

Row = dict[str, Any]
DAY = 86_400
START = 1_700_006_400  # 2023-11-15
END = START + 10 * DAY
KNOWN = START + 20 * DAY

NOTES = pa.table(
    {
        "note": ["n1", "n2", "n3", "n4"],
        "creator": ["ann", "ann", "bob", None],
        "brand": ["X", "X", "Y", None],
        "item": ["i1", None, "i3", "i2"],
        "topic": ["balm", None, "soap", None],
        "campaign": ["c1", None, None, None],
        "paid": [True, False, None, None],
    }
)
ITEMS = pa.table({"item": ["i1", "i2", "i3"], "brand": ["X", "X", "Y"]})


def event(kind: str, at: int, account: str = "a", late: int = 0, **more: Any) -> Row:
    return {"kind": kind, "event_time": at, "arrived_at": at + late, "account": account, "platform": "p"} | more


def events_of(rows: list[Row]) -> pa.Table:
    """Rows as an events table; event ids follow the order of rows where none is named."""
    ids = (f"e{number:04}" for number in count())
    return pa.Table.from_pylist([{"event_id": next(ids)} | row for row in rows], schema=EVENTS.schema)


def link(account: str, person: str, since: int = 0, late: int = 0, consent: bool | None = None) -> Row:
    return {
        "row_id": f"{account}{person}{since}{late}{consent}",
        "account": account,
        "person": person,
        "valid_from": since,
        "arrived_at": since + late,
        "consent": consent,
    }


def links_of(rows: list[Row]) -> pa.Table:
    names = ("row_id", "account", "person", "valid_from", "arrived_at", "consent")
    return pa.Table.from_pylist(rows, schema=pa.schema([pa.field(n, IDENTITIES.column(n).arrow) for n in names]))


def _moment(random: Random) -> int:
    """Return whole days and a second around them, so that edges of windows are common."""
    return START + random.randint(-4, 13) * DAY + random.randint(-1, 1)


def random_log(seed: int, size: int) -> tuple[list[Row], list[Row]]:
    """Return events and links of three accounts that change hands."""
    random = Random(seed)
    rows = []
    for number in range(size):
        kind = random.choice(
            ("impression", "impression", "click", "click", "purchase", "purchase", "refund", "search")
        )
        row = event(kind, _moment(random), random.choice("abc"), random.choice((0, 0, 0, DAY, 30 * DAY)))
        row |= {"event_id": f"e{number:04}", "brand": random.choice(("X", "Y", None))}
        if kind in {"impression", "click"}:
            row |= {"note": random.choice(("n1", "n2", "n3", "n4")), "cost_micros": random.choice((None, 0, 7))}
        elif kind == "search":
            row |= {"topic": random.choice(("balm", None))}
        else:
            row |= {
                "order": random.choice(("o1", "o2", "o3", "o4", None)),
                "note": random.choice(("n1", None, None)),
            }
            row |= {"item": random.choice(("i1", "i2", "i3", None)), "amount": random.choice((None, 0, 1, 50, 333))}
        rows.append(row)
    links = [
        link(random.choice("abc"), random.choice("PQ"), _moment(random), random.choice((0, DAY, 30 * DAY)))
        for _ in range(random.randint(0, 4))
    ]
    return rows, list({row["row_id"]: row for row in links}.values())


def owner(rows: list[Row], account: str, at: int, known_at: int = KNOWN) -> str:
    """Whose an account is at an instant, as known later."""
    known = [r for r in rows if r["account"] == account and r["valid_from"] <= at and r["arrived_at"] <= known_at]
    latest = max(known, key=lambda r: (r["valid_from"], r["arrived_at"], r["row_id"]), default=None)
    return account if latest is None else str(latest["person"])


def known_rows(rows: list[Row], known_at: int = KNOWN) -> list[Row]:
    """Rows without those that were not known."""
    return [r for r in rows if r["event_time"] < known_at and r["arrived_at"] <= known_at]
