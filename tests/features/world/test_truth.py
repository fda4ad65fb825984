"""True probabilities come true."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.truth import purchase_within
from features.world.world import World, run

SETTINGS = WorldSettings(people=6_000, days=24, campaigns=8, seed=5, organic_truth=True)
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
    for before, after in zip(STEPS, STEPS[1:], strict=False):
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
    shown = log[log.kind == "impression"][["prediction_id", "event_time", "account", "note"]]
    told = truth.to_pandas().merge(shown, on="prediction_id", validate="one_to_one")
    bought = log[(log.kind == "purchase") & log.note.notna()].event_time
    early = told.event_time < SETTINGS.begin + 10 * 86_400
    for days in (0.1, 3, 14):
        chance = purchase_within(truth, days)
        assert (chance <= truth["p_purchase"].to_numpy()).all()
        expected = chance[truth_rows(truth, told[early])].sum()
        assert 0 < expected < len(bought) + 40
    # Everything that is bought until the end, each impression with the days that are left for it.
    left = (SETTINGS.end - told.event_time.to_numpy()) / 86_400
    expected = purchase_within(truth, left[np.argsort(truth_rows(truth, told))]).sum()
    assert abs(expected - len(bought)) < 4 * np.sqrt(len(bought))


def truth_rows(truth: pa.Table, told: pd.DataFrame) -> np.ndarray:
    place = pd.Series(np.arange(truth.num_rows), index=truth["prediction_id"].to_pylist())
    return place.loc[told.prediction_id].to_numpy()


def test_people_are_known_by_their_accounts(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    world, _, log = known
    people = world.truth()["people"].to_pandas()
    identities = world.tables()["identities"].to_pandas()
    assert len(people) == SETTINGS.people
    linked = identities[identities.platform == "jd"].set_index("account").person
    jd = people.dropna(subset=["jd", "linked_from"]).set_index("jd").person
    assert linked.sort_index().equals(jd.sort_index())
    assert (people.linked_from.isna().mean(), (~people.consent).mean()) == pytest.approx((0.12, 0.02), abs=0.02)
    assert people.filter(like="buys_").to_numpy().max() < 1


def test_who_likes_a_category_clicks_it(known: tuple[World, pa.Table, pd.DataFrame]) -> None:
    world, truth, log = known
    people = world.truth()["people"].to_pandas().set_index("account")
    shown = log[log.kind == "impression"].merge(truth.to_pandas(), on="prediction_id")
    of_serum = shown[shown.note.isin(world.tables()["notes"].to_pandas().query("category == 'serum'").note)]
    interest = people.interest_serum.loc[of_serum.account].to_numpy()
    assert np.corrcoef(interest, of_serum.p_click)[0, 1] > 0.5
