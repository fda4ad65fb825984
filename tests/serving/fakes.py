"""A tiny bundle with known probabilities, and a store filled for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from features.people.identity import account_key
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from serving.online.sqlite_store import SqliteStore
from serving.scoring.scorer import Scorer
from training.tags.explain import Factor

KEY = b"k" * 32
AS_OF = 1_509_494_400
DAIRY = account_key(KEY, "shop", "dairy lover")
LINKED = "ab" * 16
"""Person to whom two accounts belong."""

TAXONOMY: Taxonomy = taxonomy_of(
    {
        "name": "shop",
        "vertical": [
            {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK"]},
            {"id": "bread", "name": "Bread", "name_zh": "面包", "categories": ["BREAD"]},
            {"id": "fish", "name": "Fish", "name_zh": "鱼", "categories": ["FISH"]},
        ],
        "pattern": [
            {
                "id": "will-buy",
                "name": "{vertical}: will buy",
                "name_zh": "{vertical}:将购买",
                "meaning": "Buys {vertical} within {horizon} days.",
                "rule": "count(purchase) >= 1",
            }
        ],
    }
)


@dataclass(frozen=True)
class FakeLayout:
    schema_hash: str = "layout-1"
    width: int = 3


class FakeModel:
    """The row is the probabilities; the third tag, fish, was too rare to learn."""

    assign_at = np.array([0.5, 0.5, 0.5])
    active = np.array([True, True, False])
    base_rates = np.array([0.25, 0.125, np.nan])

    def predict(self, rows: np.ndarray, /) -> np.ndarray:
        probabilities = rows.astype(np.float64)
        probabilities[:, 2] = np.nan
        return probabilities

    def explain(self, row: np.ndarray, tags: Sequence[int], /) -> list[list[Factor]]:
        names = ["dairy", "bread", "fish"]
        return [
            [
                Factor(f"purchase_count_30d@{names[tag]}", 3.0, 1.25),
                Factor(f"purchase_recency_all@{names[tag]}", float("nan"), -0.5),
            ]
            for tag in tags
        ]


@dataclass(frozen=True)
class FakeBundle:
    version: str = "fake-1"
    as_of: int = AS_OF - 86_400
    taxonomy: Taxonomy = TAXONOMY
    layout: FakeLayout = field(default_factory=FakeLayout)
    model: FakeModel = field(default_factory=FakeModel)


def filled_store(folder: Path) -> SqliteStore:
    store = SqliteStore(folder / "online.sqlite")
    with store.fill("layout-1", 3, AS_OF) as fill:
        fill.add([DAIRY, LINKED], np.array([[0.9, 0.25, 1], [0.125, 0.5, 1]], np.float32))
        fill.link([account_key(KEY, "shop", "one"), account_key(KEY, "notes", "uno")], [LINKED, LINKED])
    return store


def fake_scorer(folder: Path) -> Scorer:
    return Scorer(FakeBundle(), filled_store(folder), KEY)
