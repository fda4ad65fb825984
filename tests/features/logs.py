"""Random small event logs and an oracle that reads definitions literally, one event at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import strategies as st

from features.definitions import Aggregate
from features.events import EVENTS
from features.scopes import Scopes
from features.spine import Spine

Event = dict[str, Any]
DAY = 86_400
START = 1_500_000_000 // DAY * DAY
COLUMNS = (
    "account", "kind", "event_time", "arrived_at", "day", "category", "item", "brand", "campaign", "amount",
    "quantity", "discount", "coupon", "own_label", "dwell_ms", "read_percent",
)  # fmt: skip


def day_of(moment: int, timezone: str = "UTC") -> int:
    local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(timezone))
    return (local.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def event(account: str, kind: str, at: int, late: int = 0, timezone: str = "UTC", **more: Any) -> Event:
    row = dict.fromkeys(COLUMNS)
    return row | {
        "account": account,
        "kind": kind,
        "event_time": at,
        "arrived_at": at + late,
        "day": day_of(at, timezone),
        **more,
    }


def table_of(log: list[Event]) -> pa.Table:
    return pa.Table.from_pylist(log, schema=pa.schema([pa.field(c, EVENTS.column(c).arrow) for c in COLUMNS]))


def logs(timezone: str = "UTC", largest: int = 40) -> st.SearchStrategy[list[Event]]:
    """Logs over four accounts and 50 days in half-hours, so that ties with instants and day edges are common."""
    some = st.one_of(st.none(), st.integers(0, 3))
    return st.lists(
        st.builds(
            event,
            st.sampled_from("abcd"),
            st.sampled_from(("impression", "click", "read", "save", "cart", "purchase", "purchase")),
            st.integers(0, 50 * 48).map(lambda half_hours: START + half_hours * 1800),
            late=st.sampled_from((0, 0, 0, 1, 1800, DAY, 20 * DAY)),
            timezone=st.just(timezone),
            category=st.sampled_from(("milk", "tea", "soap", None)),
            item=st.sampled_from(("i1", "i2", "i3", None)),
            brand=st.sampled_from(("x", "y", None)),
            campaign=st.sampled_from(("c", None)),
            amount=some,
            quantity=some,
            discount=some,
            coupon=some,
            own_label=st.sampled_from((True, False, None)),
            dwell_ms=st.sampled_from((None, 0, 4999, 5000)),
            read_percent=st.sampled_from((None, 0.0, 49.5, 50.0)),
        ),
        max_size=largest,
    )


def holds(condition: str | None, row: Event) -> bool:
    if condition is None:
        return True
    if condition == "deep_read":
        return (row["dwell_ms"] or 0) >= 5000 or (row["read_percent"] or 0) >= 50
    if condition == "paid":
        return row["campaign"] is not None
    return (row[{"discounted": "discount"}.get(condition, condition)] or 0) > 0


def oracle(a: Aggregate, log: list[Event], instant: int, timezone: str) -> int | None:
    """Read the definition of one aggregate literally over the events that one person is known by."""
    counted = []
    today = day_of(instant, timezone)
    for row in log:
        if row["kind"] not in a.kinds:
            continue
        if a.window.side == "past":
            inside = row["event_time"] < instant
            inside = inside and (a.window.days is None or row["day"] in range(today - a.window.days + 1, today + 1))
        else:
            assert a.window.days is not None
            inside = instant <= row["event_time"] < instant + a.window.days * DAY
        if inside and holds(a.condition, row):
            counted.append(row)
    times = [row["event_time"] for row in counted]
    values = [row[a.of] for row in counted if a.of and row[a.of] is not None]
    if a.measure == "decayed":
        assert a.half_life is not None
        return sum(round(2**16 * 2 ** ((row["day"] - today) / a.half_life)) for row in counted)
    return {
        "count": len(counted),
        "days": len({row["day"] for row in counted}),
        "sum": sum(values) if a.measure == "sum" else 0,
        "distinct": len(set(values)),
        "recency": instant - max(times) if times else None,
        "tenure": instant - min(times) if times else None,
    }[a.measure]


def oracle_cells(
    aggregates: list[Aggregate], log: list[Event], spine: Spine, scopes: Scopes | None = None
) -> dict[tuple[int, ...], list[int | None]]:
    """All aggregates by (row) or (row, scope)."""
    members: list[tuple[str, ...] | None] = [None] if scopes is None else [m for _, m in scopes.members]
    cells: dict[tuple[int, ...], list[int | None]] = {}
    for row in spine.rows.to_pylist():
        mine = {pair["account"] for pair in spine.accounts.to_pylist() if pair["row"] == row["row"]}
        known = [e for e in log if e["account"] in mine and e["arrived_at"] <= row["known_at"]]
        for scope, categories in enumerate(members):
            inside = [e for e in known if categories is None or "*" in categories or e["category"] in categories]
            key = (row["row"],) if scopes is None else (row["row"], scope)
            cells[key] = [oracle(a, inside, row["instant"], spine.timezone) for a in aggregates]
    return cells
