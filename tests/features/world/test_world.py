"""A world's log: canonical, ordered, repeatable, with sticky hold-outs and exact propensities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.errors import SettingsError
from features.events import EVENTS, TABLES
from features.world.policy import BroadPolicy
from features.world.settings import WorldSettings
from features.world.world import Day, World, run

SETTINGS = WorldSettings(people=1_500, days=20, campaigns=6, seed=11, hold_out=0.25)


@pytest.fixture(scope="module")
def passed() -> tuple[World, list[Day]]:
    world = World(SETTINGS)
    return world, list(run(world, BroadPolicy()))


@pytest.fixture(scope="module")
def log(passed: tuple[World, list[Day]]) -> pd.DataFrame:
    return pa.concat_tables([day.events for day in passed[1]]).to_pandas()


def test_events_are_canonical_and_in_order(passed: tuple[World, list[Day]]) -> None:
    days = passed[1]
    ids: set[str] = set()
    for day in days:
        assert day.events.schema.names == [column.name for column in EVENTS.columns]
        assert day.events.cast(EVENTS.schema).num_rows == day.coded.num_rows
        times = day.events["event_time"].to_numpy()
        begin = SETTINGS.begin + day.number * 86_400
        assert (np.diff(times) >= 0).all()
        assert (times.min() >= begin) & (times.max() < begin + 86_400)
        assert (day.events["arrived_at"].to_numpy() > times).all()
        ids.update(day.events["event_id"].to_pylist())
    assert len(ids) == sum(day.coded.num_rows for day in days)


def test_tables_are_canonical(passed: tuple[World, list[Day]]) -> None:
    tables = passed[0].tables()
    assert set(tables) == set(TABLES) - {"events"}
    for name, table in tables.items():
        assert table.schema == TABLES[name].schema
        assert table[TABLES[name].key].null_count == 0
        assert len(set(table[TABLES[name].key].to_pylist())) == table.num_rows > 0


def test_same_seed_same_bytes(passed: tuple[World, list[Day]]) -> None:
    again = run(World(SETTINGS), BroadPolicy(), 6)
    assert all(one.coded.equals(other.coded) for one, other in zip(again, passed[1], strict=False))
    other = next(run(World(dataclasses.replace(SETTINGS, seed=12)), BroadPolicy()))
    assert other.coded["event_time"] != passed[1][0].coded["event_time"]


def test_what_events_name_is_in_the_tables(passed: tuple[World, list[Day]], log: pd.DataFrame) -> None:
    tables = {name: table.to_pandas() for name, table in passed[0].tables().items()}
    for name in ("note", "item", "campaign"):
        assert set(log[name].dropna()) <= set(tables[f"{name}s"][name])
    notes = tables["notes"].set_index("note")
    shown = log[log.kind == "impression"]
    assert (shown.event_time > notes.published_at.loc[shown.note].to_numpy()).all()
    direct = log[(log.kind == "purchase") & log.note.notna()]
    pairs = set(zip(tables["note_items"].note, tables["note_items"].item, strict=True))
    assert len(direct) > 10
    assert set(zip(direct.note, direct.item, strict=True)) <= pairs


def test_a_held_out_person_sees_house_ads_instead(passed: tuple[World, list[Day]], log: pd.DataFrame) -> None:
    world, days = passed
    arms = world.tables()["assignments"].to_pandas()
    assert (arms.groupby("campaign").size() == SETTINGS.people).all()
    assert (arms.arm == "hold_out").mean() == pytest.approx(0.25, abs=0.02)
    held = set(zip(*arms.loc[arms.arm == "hold_out", ["account", "campaign"]].to_numpy().T, strict=True))
    shown = log[(log.kind == "impression") & log.campaign.notna()]
    assert not held & set(zip(shown.account, shown.campaign, strict=True))
    truth = pa.concat_tables([day.truth for day in days]).to_pandas().set_index("prediction_id")
    spared = truth[truth.held_out_of.notna()]
    instead = log[log.prediction_id.isin(spared.index)]
    house = instead[instead.kind == "impression"]
    assert house.note.str.startswith("house-").all()
    assert house.campaign.isna().all()
    kept_from = spared.held_out_of.astype(str).loc[house.prediction_id].to_numpy()
    assert (house.policy.to_numpy() == "hold_out:" + kept_from).all()
    assert len(house) == len(spared)
    assert len(house) / len(truth) == pytest.approx(0.25, abs=0.03)


def test_broad_policy_is_logged_with_its_propensity(log: pd.DataFrame) -> None:
    ads = log[(log.kind == "impression") & log.campaign.notna()]
    assert (ads.policy == "broad").all()
    for _, day in ads.groupby("day"):
        per_note = day.groupby("note").agg(shown=("propensity", "size"), chance=("propensity", "first"))
        assert day.groupby("note").propensity.nunique().max() == 1
        assert per_note.chance.sum() == pytest.approx(1)
        expected = per_note.chance * len(day)
        assert ((per_note.shown - expected).abs() < 5 * np.sqrt(expected) + 3).all()
    organic = log[(log.kind == "impression") & log.cost_micros.isna()]
    assert organic.propensity.isna().all()


def test_spending_is_what_impressions_cost(passed: tuple[World, list[Day]], log: pd.DataFrame) -> None:
    spent = passed[0].tables()["spend"].to_pandas().groupby("campaign").amount.sum()
    cost = log.groupby("campaign").cost_micros.sum() / 10_000
    assert (spent - cost[spent.index]).abs().max() <= SETTINGS.days


def test_refunds_give_an_order_back(log: pd.DataFrame) -> None:
    orders = log[log.kind == "purchase"].set_index("order")
    refunds = log[log.kind == "refund"].set_index("order")
    assert len(refunds) > 3
    bought = orders.loc[refunds.index]
    assert (bought.amount == refunds.amount).all()
    assert (bought.account == refunds.account).all()
    assert (bought.event_time < refunds.event_time).all()
    assert orders.index.is_unique


def test_a_jump_leads_into_the_shop_on_the_same_note(log: pd.DataFrame) -> None:
    jumps = log[log.kind == "link_click"].groupby("note").size()
    visits = log[(log.kind == "store_visit") & log.note.notna()].groupby("note").size()
    assert set(visits.index) <= set(jumps.index)
    assert visits.sum() / jumps.sum() == pytest.approx(0.82, abs=0.06)
    assert log[(log.kind == "search") & log.brand.notna()].note.isna().all()


def test_days_pass_one_by_one() -> None:
    world = World(dataclasses.replace(SETTINGS, people=50, days=2))
    with pytest.raises(SettingsError, match="one by one: 1; valid: 0"):
        world.step(1, BroadPolicy())
    assert len(list(run(world, BroadPolicy()))) == 2
    with pytest.raises(SettingsError, match="one by one"):
        world.step(2, BroadPolicy())


def test_settings_are_checked() -> None:
    with pytest.raises(SettingsError, match="hold_out of a world is out of range: 2"):
        WorldSettings(people=10, days=5, hold_out=2)
    with pytest.raises(SettingsError, match="no such campaign: 'none'; valid: campaign-000"):
        World(WorldSettings(people=10, days=5, campaigns=1, without_campaigns=("none",)))


def test_a_world_without_campaigns_shows_house_ads() -> None:
    world = World(WorldSettings(people=200, days=2, campaigns=0))
    log = pa.concat_tables([day.events for day in run(world, BroadPolicy())]).to_pandas()
    assert log.campaign.isna().all()
    assert (log[log.propensity.notna()].propensity == 1).all()
    assert set(world.truth()) == {"people"}
