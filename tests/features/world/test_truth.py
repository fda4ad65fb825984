"""True probabilities come true."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.truth import purchase_within
from features.world.world import World, run

SETTINGS = WorldSettings(people=3_000, days=20, campaigns=8, seed=5, organic_truth=True)
STEPS = ("p_click", "p_link_click", "p_store_visit", "p_cart", "p_purchase")


@pytest.fixture(scope="module")
def known() -> tuple[World, pa.Table, pd.DataFrame]:
    world = World(SETTINGS)
    days = list(run(world, BroadPolicy()))
    columns = ["kind", "event_time", "account", "note", "prediction_id", "dwell_ms", "read_percent"]
    return (
        world,
        pa.concat_tables([day.truth for day in days]),
        pa.concat_tables([day.events.select(columns) for day in days]).to_pandas(),
    )


def test_every_impression_has_its_truth(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    _, truth, log = known
    assert set(truth["prediction_id"].to_pylist()) == set(log[log.kind == "impression"].prediction_id)


def test_probabilities_fall_along_the_chain(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    truth = known[1].to_pandas()
    for before, after in pairwise(STEPS):
        assert (truth[after] <= truth[before]).all()
    assert (truth.p_true_interest <= truth.p_click).all()
    assert (truth.p_click < 1).all()
    strangers = truth[truth.p_store_visit == 0]
    assert len(strangers) > 0


def test_sums_of_probabilities_are_what_happens(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    _, truth, log = known
    deep = (log.kind == "read") & ((log.dwell_ms >= 5_000) | (log.read_percent >= 50))
    happened = {
        "p_click": (log.kind == "click").sum(),
        "p_true_interest": deep.sum(),
        "p_link_click": (log.kind == "link_click").sum(),
        "p_store_visit": ((log.kind == "store_visit") & log.note.notna()).sum(),
        "p_cart": ((log.kind == "cart") & log.note.notna()).sum(),
    }
    for name, count in happened.items():
        assert abs(truth[name].to_numpy().sum() - count) < 4 * np.sqrt(count)


def test_purchases_within_days_are_what_happens(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    _, truth, log = known
    shown = log[log.kind == "impression"].set_index("prediction_id").event_time
    bought = (log.kind == "purchase") & log.note.notna()
    # Everything that is bought until the end: each impression with the days that are left for it.
    left = (SETTINGS.end - shown.loc[truth["prediction_id"].to_pylist()].to_numpy()) / 86_400
    assert abs(purchase_within(truth, left).sum() - bought.sum()) < 4 * np.sqrt(bought.sum())
    first, second = (purchase_within(truth, days) for days in (1, 14))
    assert (first <= second).all()
    assert (second <= truth["p_purchase"].to_numpy()).all()
    assert first.sum() > truth["p_purchase"].to_numpy().sum() / 2


def test_people_are_known_by_their_accounts(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    world = known[0]
    people = world.truth()["people"].to_pandas()
    identities = world.tables()["identities"].to_pandas()
    assert len(people) == SETTINGS.people
    linked = identities[identities.platform == "jd"].set_index("account").person
    jd = people.dropna(subset=["jd", "linked_from"]).set_index("jd").person
    assert linked.sort_index().equals(jd.sort_index())
    assert (people.linked_from.isna().mean(), (~people.consent).mean()) == pytest.approx((0.12, 0.02), abs=0.02)
    interests = people[[f"interest_{name}" for name in ("cat-food", "dog-toys", "cat-litter")]].mean(axis=1)
    assert interests[people.vertical == "pets"].mean() > interests[people.vertical != "pets"].mean() + 0.5
    assert people.filter(like="buys_").to_numpy().max() < 1


def test_who_likes_a_category_clicks_it(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    world, truth, log = known
    people = world.truth()["people"].to_pandas().set_index("account")
    shown = log[log.kind == "impression"].merge(truth.to_pandas(), on="prediction_id")
    of_serum = shown[shown.note.isin(world.tables()["notes"].to_pandas().query("category == 'serum'").note)]
    interest = people.interest_serum.loc[of_serum.account].to_numpy()
    assert np.corrcoef(interest, of_serum.p_click)[0, 1] > 0.5
