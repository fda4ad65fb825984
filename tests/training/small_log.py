"""A small shop log with habits that can be learned, as a CSV file with its mapping, and a taxonomy over it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from features.settings import Settings
from features.sources.mapping import load_text
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from tests.features.log_cases import imported
from training.tags.fit import TagSettings
from training.tags.head_fit import HeadSettings
from training.tags.job import JobSettings
from training.tags.pooled import PooledSettings

START = 1_704_067_200  # 2024-01-01
DAY = 86_400
CATEGORIES = ("tea", "snacks", "shampoo", "shoes", "toys", "lamps")
MAPPING = """
source = "shop"
platform = "shop"
time = "epoch_s"
money = "minor"
[columns]
kind = "kind"
event_time = "t"
account = "user"
category = "category"
item = "item"
amount = "amount"
quantity = "quantity"
[kinds]
buy = "purchase"
view = "item_view"
"""


def write_log(path: Path, people: int = 150, days: int = 150, seed: int = 1) -> None:
    """Write a CSV file: everybody buys each category at a rate of their own, and looks before buying."""
    rng = np.random.default_rng(seed)
    rates = rng.gamma(0.4, 0.12, (people, len(CATEGORIES)))
    bought = rng.poisson(rates[:, None, :], (people, days, len(CATEGORIES)))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["kind", "t", "user", "category", "item", "amount", "quantity"])
        for person, day, category in np.argwhere(bought > 0):
            at = START + int(day) * DAY + int(rng.integers(3600, DAY))
            item = f"{CATEGORIES[category]}-{rng.integers(5)}"
            price = int(rng.integers(100, 900))
            rows.writerow(["view", at - 600, f"u{person}", CATEGORIES[category], item, "", ""])
            rows.writerow(["buy", at, f"u{person}", CATEGORIES[category], item, price, 1])


def small_taxonomy() -> Taxonomy:
    """Return six verticals × two patterns, and a tag that nobody ever fulfils."""
    verticals = [{"id": c, "name": c.title(), "name_zh": c, "categories": [c]} for c in CATEGORIES]
    patterns = [
        {
            "id": "will-buy", "name": "{vertical}: will buy", "name_zh": "{vertical}:将购买",
            "meaning": "Buys {vertical} within {horizon} days.", "rule": "count(purchase) >= 1",
        },
        {
            "id": "heavy", "name": "{vertical}: heavy", "name_zh": "{vertical}:重度",
            "meaning": "Buys {vertical} at least twice within {horizon} days.", "rule": "count(purchase) >= 2",
        },
    ]  # fmt: skip
    never = {
        "id": "never", "name": "Never", "name_zh": "从不", "meaning": "Returns a thousand purchases.",
        "rule": "count(refund) >= 1000",
    }  # fmt: skip
    return taxonomy_of(
        {"name": "small", "horizon_days": 15, "vertical": verticals, "pattern": patterns, "tag": [never]}
    )


def small_home(folder: Path) -> Settings:
    """Make a home and import the log."""
    settings = Settings(home=folder / "home", mlruns=folder / "mlruns", threads=2)
    write_log(folder / "log.csv")
    imported(settings, folder / "log.csv", load_text(MAPPING, "small.toml"))
    return settings


def small_choices(seed: int = 7) -> JobSettings:
    """Return settings that train in a second."""
    return JobSettings(
        tags=TagSettings(
            pooled=PooledSettings(trees=30, leaves=7, min_data_in_leaf=20),
            heads=HeadSettings(trees=5, leaves=4, min_data_in_leaf=10),
            seed=seed,
        ),
        most_instants=4,
    )
