from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from features.errors import ContributionError
from tests.training.contribution.small_notes import DAY, START, Row, event, link, log_of
from training.contribution.attributed import Shape
from training.contribution.caused import NO_CAMPAIGN, NOT_A_SUM, NOT_LISTED, NOT_OF_ONE, NOT_RUNNING
from training.contribution.credit import RULES
from training.contribution.question import Brand, brands_of, question_of
from training.contribution.report import Line, Report, Tables, contribution_report
from training.steps import Steps

NOTES: list[Row] = [
    {"note": "paid", "brand": "B", "creator": "c1", "item": "i1", "category": "serum"},
    {"note": "free", "brand": "B", "creator": "c2", "category": "serum"},
    {"note": "other", "brand": "X"},
]
BRANDS = [Brand("B", 2, 9, 9), Brand("X", 1, 1, 1)]


def report_of(events: list[Row], by: str = "click_date", days: int = 10, as_of: int = 60, **more: Any) -> Report:
    log = log_of(events, **{"notes": NOTES} | more, links=[link("a", "P"), link("sa", "P")])
    tables = Tables(**log, timezone="UTC", currency="CNY", minor_digits=2)
    question = question_of(
        BRANDS, "B", start=START, end=START + days * DAY, as_of=START + as_of * DAY, timezone="UTC", by=by
    )
    return contribution_report(tables, question, Steps())


def line(report: Report, by: str, key: str | None) -> Line:
    return {row.funnel.key: row for row in report.level(by)}[key]


def buys(account: str, days: float, amount: int, order: str, **more: Any) -> Row:
    return event("purchase", account, days, brand="B", amount=amount, order=order, **more)


@pytest.fixture(scope="module")
def small() -> Report:
    """A paid click prepares, an organic click comes last; one order is halo, one has no touch."""
    return report_of(
        [
            event("impression", "a", 0.9, note="paid", campaign="k1", cost_micros=3_000_000),
            event("click", "a", 1.0, note="paid", campaign="k1"),
            event("click", "a", 2.0, note="free"),
            buys("sa", 3.0, 1_000, "o1", item="i1"),
            event("refund", "sa", 4.0, order="o1", amount=100),
            event("impression", "b", 1.0, note="paid", campaign="k2", cost_micros=1_000_000),
            event("click", "b", 1.1, note="paid", campaign="k2"),
            event("search", "b", 1.2, brand="B"),
            buys("b", 1.5, 500, "o2", item="i9"),
            buys("c", 5.0, 70, "o3", item="i1"),
        ],
        campaigns=[
            {"campaign": "k1", "brand": "B", "starts_at": START, "ends_at": START + 5 * DAY},
            {"campaign": "k9", "brand": "B", "starts_at": START - 50 * DAY, "ends_at": START - 20 * DAY},
        ],
    )


def test_each_rule_divides_what_was_bought_after_touches(small: Report) -> None:
    assert set(small.all.credit) == set(RULES)
    assert {given.value for given in small.all.credit.values()} == {1_400}
    totals = small.totals
    assert (totals.orders, totals.value, totals.new_customers) == (3, 1_470, 3)
    assert (totals.touched_orders, totals.touched_value) == (2, 1_400)
    assert (totals.untouched_orders, totals.untouched_value) == (1, 70)
    paid, free = line(small, "note", "paid"), line(small, "note", "free")
    assert (paid.credit["first"].value, paid.credit["last"].value) == (1_400, 500)
    assert (paid.credit["linear"].direct, paid.credit["linear"].halo) == (450, 500)
    assert (free.credit["first"].value, free.credit["last"].value, free.orders) == (0, 900, 1)
    assert paid.orders == 2


def test_a_note_is_credited_whose_campaign_alone_says_the_brand() -> None:
    report = report_of(
        [event("click", "a", 1.0, note="new"), buys("a", 2.0, 500, "o1")],
        campaigns=[{"campaign": "k1", "brand": "B"}],
        notes=[{"note": "new", "campaign": "k1"}],
    )
    assert line(report, "note", "new").credit["last"].value == 500


def test_orders_before_the_period_whose_paths_would_be_cut_teach_nothing() -> None:
    clicks = [event("click", "a", 1.0, note="paid"), event("click", "a", 2.0, note="free")]
    log = [*clicks, buys("a", 3.0, 900, "o1"), event("click", "d", 4.0, note="paid")]
    # Whoever ordered now was won fifteen days before the period, when nothing was read yet.
    for number in range(4):
        seen = [event("click", f"e{number}", day, note=note) for day, note in ((-15.5, "paid"), (-9.0, "free"))]
        log += [*seen, buys(f"e{number}", -8.0, 500, f"p{number}")]
    alone, beside = report_of(log[:4]), report_of(log)
    assert [row.credit for row in beside.level("note")] == [row.credit for row in alone.level("note")]
    assert [(cycle.category, cycle.orders) for cycle in beside.cycles] == [(None, 1), ("serum", 1)]


def test_paths_say_their_steps_and_how_the_shop_was_entered(small: Report) -> None:
    assert small.shapes == [
        Shape("ad click → click → shop", 1, 900),
        Shape("ad click → search-back", 1, 500),
    ]
    assert small.entries == {"direct": 0, "search_back": 1, "other": 2}


def test_roi_is_of_paid_touches(small: Report) -> None:
    everything, paid = small.all.roi, line(small, "campaign", "k1").roi
    assert everything is not None
    assert paid is not None
    assert (everything.cost[-1], everything.value[-1]) == (400, 950)
    assert (paid.cost[-1], paid.value[-1]) == (300, 450)
    assert (paid.first_day, paid.value[:3].tolist()) == (START // DAY + 1, [0, 0, 450])
    assert line(small, "note", "free").roi is None
    assert line(small, "campaign", None).roi is None


def test_spending_without_a_touch_is_in_the_curves_as_it_is_in_the_funnel() -> None:
    spent = [
        {"campaign": name, "spent_at": START + DAY, "amount": amount, "arrived_at": START + DAY}
        for name, amount in (("k1", 50), ("k2", 70), ("x1", 900))
    ]
    found = report_of(
        [event("impression", "a", 2.0, note="paid", campaign="k1"), buys("a", 2.5, 200, "o1")],
        campaigns=[{"campaign": name, "brand": brand} for name, brand in (("k1", "B"), ("k2", "B"), ("x1", "X"))],
        spend=spent,
    )
    for by, key, cost, value in (("all", None, 120, 200), ("campaign", "k1", 50, 200), ("campaign", "k2", 70, 0)):
        row = line(found, by, key)
        assert row.roi is not None
        assert (row.roi.first_day, row.roi.cost[-1], row.roi.value[-1]) == (START // DAY + 1, cost, value)
        assert row.funnel.cost(2) == cost
    assert "x1" not in {row.funnel.key for row in found.level("campaign")}


def test_what_is_not_known_to_be_caused_has_a_reason(small: Report) -> None:
    assert small.all.caused.reason == NOT_A_SUM
    assert line(small, "note", "paid").caused.reason == line(small, "creator", "c1").caused.reason == NOT_OF_ONE
    assert line(small, "campaign", None).caused.reason == NO_CAMPAIGN
    assert line(small, "campaign", "k2").caused.reason == NOT_LISTED
    refused = line(small, "campaign", "k1").caused
    assert refused.found is not None
    assert refused.found.effect is None
    assert refused.as_dict()["method"] == "refused"
    assert len(refused.reason) > 20


def test_decision_cycles_are_not_told_from_few_orders(small: Report) -> None:
    assert [(cycle.category, cycle.orders) for cycle in small.cycles] == [(None, 2), ("serum", 2)]
    assert math.isnan(small.cycles[0].median_days)
    assert small.still_to_come == 0


def experiment() -> Iterator[Row]:
    """800 treated people buy for 100 with chance 1/2, 200 held-out ones with 1/10; the click before is theirs."""
    rng = np.random.default_rng(7)
    for number in range(1_000):
        held = number % 5 == 0
        account = f"p{number:04}"
        yield event("impression", account, -3.0, note="other")
        if not held:
            yield event("impression", account, 1.0, note="paid", campaign="k1", cost_micros=10_000)
        if rng.random() < (0.1 if held else 0.5):
            if not held and number % 4 == 1:
                yield event("click", account, 1.1, note="paid", campaign="k1")
            yield buys(account, 1.5 + rng.random(), 100, f"o{number}")


def test_a_campaign_that_is_credited_with_less_than_it_caused_is_flagged() -> None:
    arms = [
        {
            "campaign": "k1", "platform": "content", "account": f"p{n:04}", "valid_from": START,
            "arrived_at": START,            "arm": "hold_out" if n % 5 == 0 else "treated",
        }
        for n in range(1_000)
    ]  # fmt: skip
    campaign = {"campaign": "k1", "brand": "B", "starts_at": START, "ends_at": START + 4 * DAY}
    found = report_of(list(experiment()), campaigns=[campaign], assignments=arms)
    caused = line(found, "campaign", "k1").caused
    assert caused.found is not None
    assert caused.found.method == "hold_out"
    assert caused.found.effect is not None
    assert caused.found.effect.low < 0.4 * 800 * 100 < caused.found.effect.high
    credited = line(found, "campaign", "k1").credit["last"].value
    assert 0 < credited < caused.found.effect.low
    assert caused.disagreement == dict.fromkeys(RULES, "under")
    assert line(found, "campaign", "k1").incremental_roi(2) == caused.found.effect.total / 800
    partly = report_of(list(experiment()), days=3, campaigns=[campaign], assignments=arms)
    caused = line(partly, "campaign", "k1").caused
    assert "not compared" in caused.reason
    assert caused.disagreement == {}
    assert math.isnan(line(partly, "campaign", "k1").incremental_roi(2))
    later = {**campaign, "starts_at": START - 9 * DAY, "ends_at": START - DAY}
    ended = report_of(list(experiment()), campaigns=[later], assignments=arms)
    assert line(ended, "campaign", "k1").caused.reason == NOT_RUNNING


def random_events(seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["impression", "click", "purchase", "search", "refund"], 400, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    return [
        event(
            kind, str(rng.choice(["a", "sa", "b", "c", "d"])), float(rng.uniform(-20, 30)) + n / 1e6,
            note=str(rng.choice(["paid", "free", "other"])) if kind in {"impression", "click"} else None,
            campaign=str(rng.choice(["k1", "k2"])) if kind == "impression" and rng.random() < 0.5 else None,
            brand="B" if kind in {"purchase", "search"} else None, item=str(rng.choice(["i1", "i2"])),
            order=f"o{rng.integers(60)}", amount=int(rng.integers(1, 1_000)), cost_micros=int(rng.integers(9_999)),
        )
        for n, kind in enumerate(kinds)
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["click_date", "order_date"])
def test_levels_add_up_to_everything(by: str) -> None:
    found = report_of(random_events(5), by=by, as_of=25)
    for level in ("campaign", "creator", "note"):
        lines = found.level(level)
        for rule in RULES:
            parts = [row.credit[rule] for row in lines]
            whole = found.all.credit[rule]
            assert (sum(p.direct for p in parts), sum(p.halo for p in parts)) == (whole.direct, whole.halo)
        for name in ("impressions", "clicks", "hides", "link_clicks", "revenue", "cost_micros"):
            assert sum(getattr(row.funnel, name) for row in lines) == getattr(found.all.funnel, name)
    totals = found.totals
    assert totals.touched_value + totals.untouched_value == totals.value
    assert totals.touched_orders + totals.untouched_orders == totals.orders
    assert sum(found.entries.values()) == totals.orders
    credited = {given.value for given in found.all.credit.values()}
    assert credited == {totals.touched_value} if by == "order_date" else max(credited) <= totals.touched_value
    assert totals.touched_value > 0


def test_what_makes_no_question_is_refused() -> None:
    days = {"start": START, "end": START + DAY, "as_of": START + 9 * DAY, "timezone": "UTC"}
    with pytest.raises(ContributionError, match=r"no such brand: 'Bb'; valid: B; zhongcao contribution without"):
        question_of([Brand("B", 1, 1, 1), Brand("long name", 1, 1, 1)], "Bb", **days)
    with pytest.raises(ContributionError, match="no day lies in the period: '2022-01-08 to 2022-01-07'"):
        question_of(BRANDS, "B", **days | {"end": START})
    with pytest.raises(
        ContributionError, match="the period begins when the report is made, or later: '2022-01-08'"
    ):
        question_of(BRANDS, "B", **days | {"as_of": START})
    with pytest.raises(ContributionError, match="unknown post-click window in days: 9; valid: 7, 15, 30"):
        question_of(BRANDS, "B", click_days=9, **days)
    with pytest.raises(ContributionError, match="unknown post-view window in days: 2; valid: 1, 7"):
        question_of(BRANDS, "B", view_days=2, **days)
    with pytest.raises(ContributionError, match="unknown way to date conversions: 'order'; valid: click_date"):
        question_of(BRANDS, "B", by="order", **days)


def test_days_to_come_are_cut_off_and_open_windows_are_counted() -> None:
    question = question_of(
        BRANDS, "B", start=START, end=START + 9 * DAY, as_of=START + 4 * DAY, timezone="UTC", click_days=7
    )
    assert (question.end, question.days_open) == (START + 4 * DAY, 7)
    over = question_of(BRANDS, "B", start=START, end=START + DAY, as_of=START + 16 * DAY, timezone="UTC")
    assert over.days_open == 0


def test_brands_are_those_of_notes_items_and_events() -> None:
    log = log_of(
        [
            event("impression", "a", 1, note="paid"), event("click", "a", 1, note="linked"),
            event("purchase", "a", 1, item="i1"), event("purchase", "a", 1, brand="B"),
        ],
        notes=[*NOTES, {"note": "linked", "item": "i1"}], items=[{"item": "i1", "brand": "Y"}],
    )  # fmt: skip
    found = brands_of(log["events"], log["notes"], log["items"])
    assert found == [Brand("B", 1, 1, 1), Brand("Y", 1, 0, 1)]
