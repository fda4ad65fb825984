from __future__ import annotations

import duckdb
import numpy as np
import pytest

from features.rows.catalog import layout_for
from features.spine import spine_of
from tests.training.small_log import DAY, small_taxonomy
from training.quality.metrics import macro_metrics
from training.tags.pairs import PairView
from training.tags.slices import measure_slices, platforms_of, tag_groups

TAXONOMY = small_taxonomy()
TAGS = len(TAXONOMY.tags)
VIEW = PairView(layout_for(TAXONOMY, ("purchase",)), TAXONOMY)
PEOPLE = 60


def rows(tenure_days: np.ndarray, days: np.ndarray, bought: np.ndarray) -> np.ndarray:
    made = np.zeros((PEOPLE, VIEW.layout.width), np.float32)
    person = {name: n for n, name in enumerate(VIEW.layout.person_names)}
    made[:, person["purchase_tenure_all"]] = tenure_days * DAY
    made[:, person["purchase_days_90d"]] = days
    scope = VIEW.layout.scope_names.index("purchase_days_all")
    VIEW.layout.scope(made)[:, :, scope] = bought[:, None]
    return made


def test_slices_are_the_metrics_of_their_pairs() -> None:
    rng = np.random.default_rng(1)
    tenure = np.where(np.arange(PEOPLE) < 20, 10.0, 90.0)
    tenure[0] = np.nan
    days = np.arange(PEOPLE) // 10
    bought = np.arange(PEOPLE) % 2
    labels = (rng.random((PEOPLE, TAGS - 1)) < 0.4).astype(np.uint8)
    probabilities = rng.uniform(0.1, 0.9, labels.shape)
    active = np.arange(TAGS) > 0
    app = np.arange(PEOPLE) < 50
    found = measure_slices(
        VIEW, rows(tenure, days, bought), labels, probabilities, active=active, platforms={"app": app, "shop": ~app}
    )
    by_name = {(one.dimension, one.name.split(":")[0]): one for one in found}
    parts = {
        ("people", "new"): tenure != 90,
        ("people", "known for longer"): tenure == 90,
        ("history in the tag's scope", "never bought there"): bought == 0,
        ("activity", "low"): days < 2,
        ("activity", "high"): days > 3,
        ("platform", "shop"): ~app,
    }
    for name, people in parts.items():
        assert by_name[name].people == people.sum()
        assert by_name[name].metrics.as_dict() == pytest.approx(
            macro_metrics(labels[people], probabilities[people]).as_dict()
        )
    assert [one.name for one in found if one.dimension == "activity"] == [
        "low: 0–1 purchase days in 90", "middle: 2–3 purchase days in 90", "high: 4–5 purchase days in 90",
    ]  # fmt: skip
    assert sum(one.metrics.tags for one in found if one.dimension == "tags by base rate") == labels.shape[1]


def test_one_platform_and_empty_parts_are_no_slices() -> None:
    labels = np.tile(np.array([[0], [1]], np.uint8), (PEOPLE // 2, TAGS))
    probabilities = np.full(labels.shape, 0.5)
    everybody = np.ones(PEOPLE, bool)
    same = rows(np.full(PEOPLE, 90.0), np.full(PEOPLE, 3), np.full(PEOPLE, 1))
    found = measure_slices(
        VIEW, same, labels, probabilities, active=np.ones(TAGS, bool), platforms={"shop": everybody}
    )
    assert {(one.dimension, one.people) for one in found if one.dimension != "tags by base rate"} == {
        ("people", PEOPLE), ("history in the tag's scope", PEOPLE), ("activity", PEOPLE),
    }  # fmt: skip


def test_platforms_are_those_of_events_known_by_the_instant() -> None:
    con = duckdb.connect()
    con.execute(
        "create table events as select * from (values "
        "('a', 'app', 10, 10), ('b', 'shop', 20, 20), ('c', 'shop', 30, 500), ('d', 'app', 200, 200)) "
        "as t(account, platform, event_time, arrived_at)"
    )
    spine = spine_of({"ann": ["a", "b"], "bob": ["c"], "cid": ["d"]}, [100])
    assert {name: people.tolist() for name, people in platforms_of(con.table("events"), spine).items()} == {
        "app": [True, False, False],
        "shop": [True, False, False],
    }


def test_tags_are_parted_by_how_often_they_came_true() -> None:
    labels = np.zeros((100, 7), np.uint8)
    for tag, positives in enumerate([50, 1, 30, 2, 40, 3, 20]):
        labels[:positives, tag] = 1
    groups = tag_groups(labels)
    assert list(groups) == ["rare: 1–3 %", "middle: 20–30 %", "common: 40–50 %"]
    assert np.sum(list(groups.values()), axis=0).tolist() == [1] * 7
    assert list(tag_groups(labels[:, :2])) == ["all"]
