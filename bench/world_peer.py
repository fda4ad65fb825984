"""The usual way to make up a log, as the peer of `bench.world`: a loop over people, rows as dictionaries, pandas.

The same chain with about the same rates and columns: sessions, organic notes and ads, click to purchase, desire
and stock. But no hold-outs, no searches, no true probabilities and no worlds without each campaign, which leaves
it less to do.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pandas as pd

CATEGORIES = 28
BRANDS = 84
DAY = 86_400
START = 1_711_929_600


def _act(rows: list[dict[str, Any]], kind: str, time: int, account: str, **more: Any) -> None:
    rows.append({"kind": kind, "event_time": time, "account": account, **more})


def _shop(
    rows: list[dict[str, Any]], person: dict[str, Any], brand: int, time: int, willing: float, **more: Any
) -> None:
    account = f"tb{person['number']:010d}"
    more |= {"brand": f"brand-{brand}", "category": f"category-{brand // 3}"}
    _act(rows, "store_visit", time, account, **more)
    for n in range(1 + min(int(random.expovariate(1 / 2.6)), 30)):
        _act(rows, "item_view", time + 4 + 12 * n, account, item=f"item-{brand}-{n % 4}", **more)
    desire, stock = person["desire"].get(brand, 0.0), person["stock"].get(brand // 3, 0.0)
    chance = 1 / (1 + math.exp(-(willing + 2.2 * desire / (desire + 1.5) - 2.5 * min(stock, 1.5))))
    bought = random.random() < chance
    if bought or random.random() < 0.16:
        _act(rows, "cart", time + 20, account, item=f"item-{brand}-0", **more)
    if bought:
        person["stock"][brand // 3] = stock + 1
        price = int(random.lognormvariate(9, 0.5))
        _act(
            rows,
            "purchase",
            time + 30,
            account,
            item=f"item-{brand}-0",
            amount=price,
            order=f"o{len(rows)}",
            **more,
        )


def _feed(rows: list[dict[str, Any]], person: dict[str, Any], day: int) -> None:
    account = f"xhs{person['number']:010d}"
    for place in range(1 + min(int(random.expovariate(1 / person["views"])), 300)):
        time = START + day * DAY + 28_800 + 2_400 * (place // 12) + 20 * (place % 12)
        paid = place % 12 > 0 and random.random() < 0.22
        category = random.choice(person["reads"]) if not paid else random.randrange(CATEGORIES)
        note, brand = random.randrange(60), category * 3 + random.randrange(3)
        about = {"note": f"note-{category}-{note}", "brand": f"brand-{brand}", "category": f"category-{category}"}
        paid_for = (
            {"campaign": f"campaign-{brand}", "cost_micros": 30_000, "propensity": 1 / BRANDS} if paid else {}
        )
        _act(rows, "impression", time, account, position=place % 12, **about, **paid_for)
        logit = -2.6 + 0.55 * person["interest"][category] - 0.03 * (place % 12) - (0.3 if paid else 0)
        if random.random() >= 1 / (1 + math.exp(-logit)):
            continue
        deep = random.random() < 0.6
        _act(rows, "click", time + 2, account, **about)
        _act(rows, "read", time + 9, account, dwell_ms=8_000 if deep else 2_000, **about)
        for kind, chance in (("like", 0.16), ("save", 0.1), ("comment", 0.025), ("share", 0.03), ("follow", 0.025)):
            if deep and random.random() < chance:
                _act(rows, kind, time + 12, account, **about)
        person["desire"][brand] = person["desire"].get(brand, 0.0) + (1.0 if deep else 0.35)
        if paid and random.random() < 0.2:
            _act(rows, "link_click", time + 13, account, **about)
            if random.random() < 0.85:
                _shop(rows, person, brand, time + 50, -2.0, note=about["note"])


def simulate(people: int, days: int) -> list[dict[str, Any]]:
    """Return the rows of a log."""
    rows: list[dict[str, Any]] = []
    crowd = []
    for number in range(people):
        interest = [random.gauss(0, 0.95) for _ in range(CATEGORIES)]
        weights = [math.exp(1.2 * value) for value in interest]
        crowd.append({
            "number": number, "interest": interest, "reads": random.choices(range(CATEGORIES), weights, k=24),
            "active": 1 / (1 + math.exp(0.5 - 1.3 * random.gauss(0, 1))), "views": random.lognormvariate(1.9, 0.7),
            "shopping": min(random.lognormvariate(-1.45, 0.7), 0.95), "desire": {}, "stock": {},
        })  # fmt: skip
    for day in range(days):
        for person in crowd:
            if random.random() < person["active"]:
                _feed(rows, person, day)
            if random.random() < person["shopping"]:
                brand = random.choice(person["reads"]) * 3 + random.randrange(3)
                _shop(rows, person, brand, START + day * DAY + 40_000, -2.75)
            person["desire"] = {brand: 0.944 * level for brand, level in person["desire"].items() if level > 0.01}
            person["stock"] = {category: 0.98 * level for category, level in person["stock"].items()}
    return rows


def write(people: int, days: int, folder: Path | None) -> int:
    """Make a log, sort it by time, write it as Parquet where a folder is given; return its number of rows."""
    random.seed(1)
    log = pd.DataFrame(simulate(people, days)).sort_values("event_time", kind="stable", ignore_index=True)
    log["event_id"] = [f"e{n:011d}" for n in range(len(log))]
    if folder is not None:
        log.to_parquet(folder / "events.parquet")
    return len(log)
