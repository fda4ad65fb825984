"""What a plan learns from the log: fatigue, what is caused, audiences, and how sure it is."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from features.errors import OverlapError, TrainingError
from training.policy.plan_caused import STRATA, Trials, caused_share, stratum_of
from training.policy.plan_made import Learned, PlanQuestion, plan_of
from training.policy.plan_people import Reachable, expected_of, market_of
from training.policy.plan_repeats import LEVELS, Repeats, drawn_rates, read_delivered, repeats_of
from training.policy.plan_segments import segments_of
from training.policy.plan_trials import sought_of

UNTIL = 1_750_000_000
FLAT = Repeats(np.ones(LEVELS), np.ones(LEVELS))


def test_delivery_is_counted_by_how_often_a_note_was_seen() -> None:
    def shown(account: str, at: int, **more: object) -> dict[str, object]:
        return {"kind": "impression", "account": account, "note": "n", "event_time": at, "campaign": "c",
                "policy": None, "cost_micros": 30_000} | more  # fmt: skip

    start = UNTIL - 10_000
    rows = [
        shown("a", start), shown("a", start + 100), shown("a", start + 200),
        shown("b", start), shown("b", start + 50, campaign=None, policy="hold_out:c", cost_micros=0),
        shown("b", UNTIL - 40 * 86_400), shown("a", start + 300, campaign=None),
        {"kind": "click", "account": "a", "note": "n", "event_time": start + 150, "campaign": None, "policy": None,
         "cost_micros": None},
        {"kind": "hide", "account": "b", "note": "n", "event_time": start + 10, "campaign": None, "policy": None,
         "cost_micros": None},
    ]  # fmt: skip
    full = [
        {"event_id": str(n), "arrived_at": row["event_time"], "platform": "red"} | row for n, row in enumerate(rows)
    ]
    con = duckdb.connect()
    con.register("given", pa.Table.from_pylist(full))
    found = read_delivered(con.sql("select * from given"), UNTIL).to_pylist()
    said = {(row["account"], row["before"]): row for row in found}
    assert {key: (row["impressions"], row["clicks"], row["hides"]) for key, row in said.items()} == {
        ("a", 0): (1, 0, 0), ("a", 1): (1, 1, 0), ("a", 2): (1, 0, 0), ("b", 0): (1, 0, 1), ("b", 1): (1, 0, 0),
    }  # fmt: skip
    assert said["a", 0]["cost"] == 30_000
    assert (said["b", 1]["priced"], said["b", 1]["campaign"]) == (0, None)
    with pytest.raises(OverlapError, match="no paid impression of the last 28 days"):
        read_delivered(con.sql("select * from given"), UNTIL + 60 * 86_400)
    con.close()


def delivered(people: int, falls: float, seed: int = 1) -> pa.Table:
    """Who likes notes more is shown them more often; with every repeat clicks fall by a factor."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(people):
        liking = rng.uniform(0.02, 0.4)
        for before in range(1 + int(liking > 0.2) + int(liking > 0.3)):
            clicks = int(rng.random() < liking * falls**before)
            rows.append((f"a{person}", "n", before, 1, clicks, int(rng.random() < 0.01 * (1 + before))))
    names = ("account", "note", "before", "impressions", "clicks", "hides")
    return pa.table({name: pa.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})


def test_response_falls_as_it_does_for_each_and_not_as_between_people() -> None:
    table = delivered(12_000, 0.6)
    rates = [np.asarray(table["clicks"])[np.asarray(table["before"]) == level].mean() for level in range(3)]
    found = repeats_of(table)
    # Those who see it again like it more: plain rates hide most of the fall.
    assert rates[1] / rates[0] > 0.8
    assert found.response[1] == pytest.approx(0.6, abs=0.05)
    assert found.response[2] == pytest.approx(0.36, abs=0.05)
    assert (np.diff(found.response) <= 0).all() and (np.diff(found.hides) >= 0).all()  # noqa: PT018
    assert found.hides[1] > 1.2 * found.hides[0]


def test_too_few_clicks_tell_nothing_of_repeats() -> None:
    assert repeats_of(delivered(20, 0.5)).response.tolist() == [1.0] * LEVELS


def test_rates_of_small_groups_are_drawn_to_that_of_all() -> None:
    found = drawn_rates(np.array([0.0, 60.0]), np.array([10.0, 20_000.0]))
    assert found[0] == pytest.approx(20 / (10 + 20 / (60 / 20_010)))
    assert drawn_rates(np.zeros(2), np.ones(2)).tolist() == [0, 0]


def trials(effect: float, people: int = 20_000, seed: int = 2) -> Trials:
    """Two in ten are held out; buyers of the brand buy anyway, others only if they are shown something."""
    rng = np.random.default_rng(seed)
    treated = rng.random(people) < 0.8
    stratum = rng.integers(0, 3, people)
    anyway = np.where(stratum == 0, 0.3, 0.02)
    bought = rng.poisson(anyway + np.where(stratum == 0, 0.0, effect) * treated)
    followed = np.where(treated, rng.binomial(bought, 0.5), 0)
    return Trials(np.arange(people), np.zeros(people, np.int64), treated, bought.astype(float),
                  followed.astype(float), stratum)  # fmt: skip


def test_what_is_caused_is_told_from_what_would_be_bought_anyway() -> None:
    found = caused_share(trials(0.06), draws=100)
    truth = 0.06 * 2 / (0.5 * (0.3 + 2 * 0.08))
    assert found.low < truth < found.high
    assert found.whole == pytest.approx(truth, abs=0.2)
    # Purchases of those who bought the brand before follow impressions, and are not caused by them.
    assert found.shares[0] < 0.4 * found.shares[1]
    assert found.draws.shape == (100, len(STRATA))
    assert (found.campaigns, found.people) == (1, 20_000)


def test_without_a_hold_out_everything_counts_and_says_so() -> None:
    found = caused_share(None)
    assert (found.whole, found.shares.tolist(), found.campaigns) == (1.0, [1.0] * 3, 0)
    assert np.isnan(found.low)
    assert stratum_of(np.array([True, False, False]), np.array([True, True, False])).tolist() == [0, 1, 2]


def people(n: int = 3_000, seed: int = 4) -> tuple[Reachable, tuple[str, ...]]:
    """Tea is bought by its few friends; who has the other tag differs in nothing."""
    rng = np.random.default_rng(seed)
    tea, odd = rng.random(n) < 0.2, rng.random(n) < 0.5
    chance = np.where(tea, 0.02, 0.005)[:, None] * np.array([1.0, 0.5]) * rng.uniform(0.9, 1.1, (n, 1))
    return Reachable(
        np.arange(n), np.zeros(n, np.int64), rng.poisson(8.0, n).astype(float), chance, np.full(n, 2),
        np.column_stack([tea, odd]), np.full(n, 20.0), (rng.random(n) < 0.05).astype(float),
    ), ("tea.will-buy", "odd")  # fmt: skip


def test_audiences_are_those_that_differ_and_share_nobody() -> None:
    who, tags = people()
    found = segments_of(who.member, tags, who.worth(np.ones(3)))
    assert [one.tag for one in found] == ["tea.will-buy", ""]
    assert found[1].audience == {"all": [], "none": ["tea.will-buy"]}
    assert np.sort(np.concatenate([one.rows for one in found])).tolist() == list(range(3_000))
    with pytest.raises(OverlapError, match="too few people"):
        segments_of(who.member[:40], tags, np.ones(40))


def test_a_plan_prefers_whom_it_changes_and_says_how_sure_it_is() -> None:
    who, tags = people()
    share = caused_share(trials(0.06), draws=100)
    learned = Learned(share, FLAT, np.array([0.03]))
    segments, plan = plan_of(who, tags, learned, PlanQuestion("c", 60.0))
    spent = plan.total.sum(axis=(1, 2)) / [len(one.rows) for one in segments]
    assert spent[0] > 3 * spent[1]
    assert plan.total[0, 0].sum() >= plan.total[0, 1].sum()
    found = expected_of(plan, who, segments, share)
    assert found.caused == pytest.approx(plan.value, rel=0.02)
    assert found.low < found.caused < found.high
    assert found.lift_low > 0
    # Twice the hold-outs' uncertainty can only widen what is said of the sum, and not the comparison.
    assert (found.lift_high - found.lift_low) < (found.high - found.low) / found.caused


def test_an_audience_of_few_people_on_a_platform_is_not_reached_there() -> None:
    who, tags = people()
    platform = np.zeros(3_000, np.int64)
    platform[np.flatnonzero(who.member[:, 0])[:30]] = 1
    split = Reachable(who.person, platform, *(getattr(who, name) for name in list(Reachable.__annotations__)[2:]))
    segments = segments_of(who.member, tags, who.worth(np.ones(3)))
    found = market_of(split, segments, np.ones(3), FLAT, np.array([0.03, 0.03]), cap=3, most_of_slots=0.5)
    assert found.slots[0, 1] == found.slots[1, 1] == 0
    assert found.slots.sum() == pytest.approx(who.slots[platform == 0].sum())


def test_people_differ_by_the_last_step_that_came_often_enough() -> None:
    steps = {"click": 9_000, "store_visit": 1_200, "ctcvr": 30}
    assert sought_of(steps, ("click", "store_visit", "ctcvr")) == "store_visit"
    assert sought_of({}, ("click", "ctcvr")) == "ctcvr"
    with pytest.raises(TrainingError, match="does not predict purchases"):
        sought_of(steps, ("click",))
