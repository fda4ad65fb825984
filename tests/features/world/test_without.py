"""What campaigns and notes caused, against the same world simulated once more without them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from features.world.draws import Ints
from features.world.policy import BroadPolicy, Choice, InterestPolicy, Policy, Slots
from features.world.settings import WorldSettings
from features.world.without import _pairs
from features.world.world import World, run

# More campaigns than brands, so that some brands have two.
SETTINGS = WorldSettings(
    people=800, days=24, campaigns=30, brands_per_category=1, seed=3, effect=6.0, no_effect=1, prepares=1
)
NO_EFFECT, PREPARES = "campaign-029", "campaign-028"


class Recorded:
    """Repeats another policy's choices, whatever people do."""

    name = "recorded"

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.choices: dict[int, Choice] = {}

    def choose(self, slots: Slots) -> Choice:
        return self.choices.setdefault(slots.day, self.policy.choose(slots))


def totals(world: World, policy: Policy) -> dict[str, Ints]:
    """Purchases and net revenue of each brand, and purchases of each category."""
    columns = ["kind", "brand", "category", "amount"]
    log = pa.concat_tables([day.events.select(columns) for day in run(world, policy)]).to_pandas()
    bought, back = log[log.kind == "purchase"], log[log.kind == "refund"]
    brands, categories = world.catalogue.brand_names, sorted(log.category.dropna().unique())
    return {
        "purchases": bought.groupby("brand").size().reindex(brands, fill_value=0).to_numpy(),
        "revenue": (
            bought.groupby("brand").amount.sum().reindex(brands, fill_value=0)
            - back.groupby("brand").amount.sum().reindex(brands, fill_value=0)
        ).to_numpy(),
        "category_purchases": bought.groupby("category").size().reindex(categories, fill_value=0).to_numpy(),
    }


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (BroadPolicy(), ["campaign-000", "campaign-001", PREPARES, NO_EFFECT, "ad-000000"]),
        (InterestPolicy(), ["campaign-000", "campaign-002", "ad-000000", "ad-000005"]),
    ],
    ids=["broad", "interest"],
)
def test_truth_is_the_difference_to_the_world_without(policy: Policy, names: list[str]) -> None:
    recorded = Recorded(policy)
    world = World(SETTINGS)
    happened = totals(world, recorded)
    truth = {name: world.truth()[name].to_pandas().set_index(name[:-1]) for name in ("campaigns", "notes")}
    brands = dict(zip(world.campaigns.names, world.campaigns.brand, strict=True))
    brands |= dict(zip(world.notes.names, world.notes.brand, strict=True))
    for name in names:
        kind = "campaigns" if name.startswith("campaign") else "notes"
        without = World(dataclasses.replace(SETTINGS, **{f"without_{kind}": (name,)}))
        other = totals(without, recorded)
        caused = truth[kind].loc[name]
        difference = {what: happened[what] - other[what] for what in happened}
        assert caused.purchases == difference["purchases"][brands[name]]
        assert caused.revenue == difference["revenue"][brands[name]]
        assert caused.category_purchases == difference["category_purchases"].sum()
        if kind == "campaigns":
            assert (caused.purchases > 0) == (name != NO_EFFECT)


def test_truth_by_day_adds_up() -> None:
    world = World(dataclasses.replace(SETTINGS, people=800))
    log = pa.concat_tables([day.events.select(["kind", "campaign", "note"]) for day in run(world, BroadPolicy())])
    truth = {name: table.to_pandas() for name, table in world.truth().items()}
    for kind in ("campaign", "note"):
        by_day = (
            truth[f"{kind}_days"].groupby(kind)[["purchases", "revenue", "returned", "category_purchases"]].sum()
        )
        total = truth[f"{kind}s"].set_index(kind)[by_day.columns]
        assert by_day.reindex(total.index, fill_value=0).equals(total)
    caused = truth["campaigns"].set_index("campaign")
    assert (caused.loc[NO_EFFECT] == 0).all()
    direct = log.to_pandas().query("kind == 'purchase'").campaign.value_counts()
    assert PREPARES not in direct.index
    assert caused.purchases[PREPARES] > 0


def test_pairs_are_all_equal_keys() -> None:
    rng = np.random.default_rng(1)
    keys, wanted = rng.integers(0, 9, 40), rng.integers(0, 9, 30)
    row, place = _pairs(keys, wanted)
    expected = {(i, j) for i in range(40) for j in range(30) if keys[i] == wanted[j]}
    assert set(zip(row.tolist(), place.tolist(), strict=True)) == expected
    assert len(row) == len(expected)
