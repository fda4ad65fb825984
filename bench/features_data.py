"""The seeded log, spine and columns that `bench.features` measures with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.days import DAY_SECONDS
from features.definitions import Aggregate, past

EVENTS: Final = 2_000_000
PEOPLE: Final = 20_000
START: Final = 17_167  # 2017-01-01
DAYS: Final = 300
INSTANTS: Final = tuple((START + day) * DAY_SECONDS + 43_200 for day in (150, 180, 210, 240, 270))

BUY: Final = ("purchase",)
CLICK: Final = ("click",)
SEEN: Final = ("impression",)
DEEP: Final = ("like", "save", "share")
AGGREGATES: Final = (
    *(Aggregate(BUY, window=past(d)) for d in (1, 3, 7, 15, 30, 90)),
    Aggregate(BUY),
    *(Aggregate(BUY, "days", window=past(d)) for d in (30, 90)),
    Aggregate(BUY, "days"),
    *(Aggregate(BUY, "sum", of="amount", window=past(d)) for d in (7, 30, 90)),
    Aggregate(BUY, "sum", of="amount"),
    *(Aggregate(BUY, "sum", of="quantity", window=past(d)) for d in (30, 90)),
    Aggregate(BUY, "sum", of="discount", window=past(90)),
    Aggregate(BUY, "sum", of="coupon", window=past(90)),
    *(Aggregate(BUY, condition=c, window=past(90)) for c in ("discounted", "coupon", "own_label")),
    Aggregate(BUY, "recency"),
    Aggregate(BUY, "tenure"),
    *(Aggregate(BUY, "decayed", half_life=h) for h in (7, 30, 90)),
    *(Aggregate(BUY, "distinct", of="item", window=past(d)) for d in (30, 90)),
    *(Aggregate(BUY, "distinct", of="category", window=past(d)) for d in (30, 90)),
    *(Aggregate(kinds, window=past(d)) for kinds in (SEEN, CLICK, DEEP) for d in (1, 7, 30, 90)),
    *(Aggregate(kinds, "days", window=past(30)) for kinds in (CLICK, DEEP)),
    *(Aggregate(kinds, "recency") for kinds in (SEEN, CLICK, DEEP)),
    *(Aggregate(kinds, "decayed", half_life=30) for kinds in (CLICK, DEEP)),
)


def accounts() -> list[str]:
    """Account keys, as long as real ones."""
    return [f"{number:032x}" for number in np.random.default_rng(3).permutation(PEOPLE)]


def write_events(path: Path) -> None:
    """Write the log: some people are far busier than others, and 2 % of the events arrive days late."""
    rng = np.random.default_rng(1)
    busy = rng.pareto(1.5, PEOPLE) + 0.2
    kinds = np.array(["impression", "click", "like", "save", "share", "cart", "purchase"])
    kind = rng.choice(7, EVENTS, p=[0.45, 0.15, 0.04, 0.03, 0.01, 0.05, 0.27])
    bought = kind == 6
    time = START * DAY_SECONDS + rng.integers(0, DAYS * DAY_SECONDS, EVENTS)
    late = np.where(rng.random(EVENTS) < 0.02, rng.integers(0, 10 * DAY_SECONDS, EVENTS), 0)
    item = rng.zipf(1.3, EVENTS) % 30_000

    def paid(high: int) -> pa.Array:
        return pa.array(rng.integers(0, high, EVENTS) * (rng.random(EVENTS) < 0.4), pa.int64(), mask=~bought)

    def text(values: np.ndarray) -> pa.Array:
        return pa.array(values).cast(pa.string())

    table = pa.table(
        {
            "account": pa.array(accounts()).take(pa.array(rng.choice(PEOPLE, EVENTS, p=busy / busy.sum()))),
            "kind": pa.array(kinds).take(pa.array(kind)),
            "event_time": time,
            "arrived_at": time + late,
            "day": pa.array(time // DAY_SECONDS, pa.int32()),
            "category": text(item % 300),
            "item": text(item),
            "amount": pa.array(rng.integers(0, 50_000, EVENTS), mask=~bought),
            "quantity": pa.array(rng.integers(1, 5, EVENTS), mask=~bought),
            "discount": paid(2_000),
            "coupon": paid(1_000),
            "own_label": pa.array(item % 5 == 0, mask=~bought),
        }
    )
    pq.write_table(table, path)
