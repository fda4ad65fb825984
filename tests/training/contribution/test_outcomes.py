"""Outcomes of a campaign's people: windows at their edges, refunds, arms, links and first impressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.contribution.small_experiments import DAY, arms_of, at, events_of, links_of
from training.contribution.outcomes import CampaignOutcomes, campaign_outcomes

CAMPAIGNS = pa.table({"campaign": ["c"], "brand": ["b"], "starts_at": [at(10)], "ends_at": [at(20) - 1]})


def bought(account: str, t: float, amount: int, **more: Any) -> dict[str, Any]:
    return {"kind": "purchase", "account": account, "t": t, "amount": amount, "brand": "b", "category": "k"} | more


def outcomes(
    events: list[dict[str, Any]], arms: dict[str, str], links: pa.Table | None = None, known_at: float = 100
) -> CampaignOutcomes:
    return campaign_outcomes(
        events_of(events), links, arms_of(arms), CAMPAIGNS, window_days=5, pre_days=4, known_at=at(known_at)
    )["c"]


def by_person(found: CampaignOutcomes, values: np.ndarray) -> dict[str, Any]:
    return dict(zip(found.keys().to_pylist(), values.tolist(), strict=True))


SECOND = 1 / DAY


@pytest.mark.parametrize(
    ("t", "counts"), [(10, True), (10 - SECOND, False), (25 - SECOND, True), (25, False), (17.5, True)]
)
def test_a_sale_counts_from_the_start_until_the_window_is_over(t: float, counts: bool) -> None:
    found = outcomes([bought("a", t, 7), bought("a", 30, 100)], {"a": "treated"})
    assert by_person(found, found.whole["revenue"]) == {"a": 7 * counts}
    assert by_person(found, found.whole["purchases"]) == {"a": int(counts)}


def test_only_the_brand_counts_and_only_what_had_arrived() -> None:
    events = [
        bought("a", 11, 5),
        bought("a", 12, 50, brand="other"),
        bought("a", 13, 500, arrives=101),
        {"kind": "store_visit", "account": "a", "t": 14, "brand": "b"},
    ]
    found = outcomes(events, {"a": "treated"})
    assert {name: values.tolist() for name, values in found.whole.items()} == {
        "revenue": [5], "purchases": [1], "visits": [1],
    }  # fmt: skip


def test_a_refund_takes_back_its_purchase_where_it_stood() -> None:
    events = [
        bought("a", 9, 1000, order="early", item="x"),
        bought("a", 12, 40, order="one", item="x"),
        bought("a", 12, 30, order="one", item="y"),
        bought("a", 24, 8, order="late", item="x"),
        {"kind": "refund", "account": "a", "t": 13, "amount": 1000, "order": "early", "item": "x", "brand": "b"},
        {"kind": "refund", "account": "a", "t": 60, "amount": 30, "order": "one", "item": "y"},
        {"kind": "refund", "account": "a", "t": 70, "amount": 8, "order": "late"},
    ]
    assert outcomes(events, {"a": "treated"}).whole["revenue"].tolist() == [40]


def test_a_refund_takes_back_what_it_names_of_its_own_order() -> None:
    """Order numbers of two shops may be the same, and an order may hold several brands."""
    both = [bought("a", 12, 40, order="one", item="x"), bought("a", 12, 60, order="one", item="z", brand="other")]
    refund = {"kind": "refund", "account": "a", "t": 13, "order": "one"}
    whole, none = [*both, refund | {"amount": 50}], [*both, refund | {"amount": 60, "brand": "other"}]
    shop = [*both, refund | {"platform": "q", "amount": 9}, bought("a", 5, 70, order="one", platform="q")]
    stranger = [*both, refund | {"account": "s", "amount": 9}, bought("s", 11, 70, order="one")]
    arms = {"a": "treated"}
    assert [outcomes(log, arms).whole["revenue"].tolist() for log in (whole, none, shop, stranger)] == [
        [20], [40], [40], [40],
    ]  # fmt: skip


def test_a_shop_account_that_is_linked_later_brings_its_earlier_orders() -> None:
    links = links_of([("a", "ann", 0), ("shop", "ann", 50)])
    found = outcomes([bought("shop", 11, 9)], {"a": "treated"}, links)
    assert by_person(found, found.whole["revenue"]) == {"ann": 9}
    before = outcomes([bought("shop", 11, 9)], {"a": "treated"}, links, known_at=40)
    assert by_person(before, before.whole["revenue"]) == {}  # the shop account took part in nothing
    both = outcomes([bought("a", 11, 1), bought("shop", 11, 9)], {"a": "treated"}, links, known_at=40)
    assert by_person(both, both.whole["revenue"]) == {"ann": 1}


def test_people_in_both_arms_and_people_against_it_take_no_part() -> None:
    links = links_of([("a", "ann", 0), ("b", "ann", 0), ("c", "cy", 0), ("d", "dee", 0)], against=("dee",))
    events = [bought(account, 11, 9) for account in "abcd"]
    arms = {"a": "treated", "b": "hold_out", "c": "hold_out", "d": "treated"}
    found = outcomes(events, arms, links)
    assert by_person(found, found.arm) == {"cy": 0}


def test_after_the_first_impression_served_or_withheld() -> None:
    shown = {"kind": "impression", "propensity": 0.1, "policy": "broad"}
    events = [
        shown | {"account": "a", "t": 12, "campaign": "c", "note": "n"},
        shown | {"account": "a", "t": 11, "campaign": "other", "note": "m"},
        shown | {"account": "a", "t": 14, "campaign": "c", "note": "n"},
        shown | {"account": "h", "t": 15, "note": "house", "policy": "hold_out:c", "propensity": None},
        shown | {"account": "n", "t": 15, "note": "house"},
        *(bought(account, t, 10 * int(t)) for account in "ahn" for t in (11, 13, 16)),
    ]
    found = outcomes(events, {"a": "treated", "h": "hold_out", "n": "treated"})
    assert found.logged
    assert by_person(found, found.reached) == {"a": at(12), "h": at(15), "n": 0}
    assert by_person(found, found.after["revenue"]) == {"a": 290, "h": 160, "n": 0}
    assert by_person(found, found.whole["revenue"]) == {"a": 400, "h": 400, "n": 400}
    assert by_person(found, found.served) == {"a": 2, "h": 0, "n": 0}
    assert by_person(found, found.slots) == {"a": 3, "h": 1, "n": 1}


def test_covariates_are_of_the_days_before_the_start() -> None:
    events = [
        *(bought("a", t, 10) for t in (5.5, 6.5, 9.9, 10.5)),
        bought("a", 9, 10, brand="other"),
        {"kind": "click", "account": "a", "t": 8, "brand": "b", "category": "k"},
        {"kind": "click", "account": "a", "t": 8, "category": "k"},
        {"kind": "impression", "account": "a", "t": 7},
    ]
    found = outcomes(events, {"a": "treated"})
    counts = dict(zip(found.names, np.expm1(found.covariates[0]).round(9).tolist(), strict=True))
    assert counts == {
        "brand_purchases": 2, "category_purchases": 3, "purchases": 3, "brand_clicks": 1, "category_clicks": 2,
        "clicks": 2, "impressions": 1,
    }  # fmt: skip


def test_everybody_is_looked_at_where_nobody_was_assigned() -> None:
    found = campaign_outcomes(
        events_of([bought("a", 11, 1), bought("z", 12, 2)]), None, None, CAMPAIGNS, window_days=5, known_at=at(90)
    )["c"]
    assert found.arm.tolist() == [-1, -1]
    assert not found.logged


def test_campaigns_without_dates_are_left_out() -> None:
    undated = CAMPAIGNS.set_column(3, "ends_at", pa.array([None], pa.int64()))
    assert not campaign_outcomes(events_of([bought("a", 1, 1)]), None, None, undated, window_days=5, known_at=at(9))


def test_a_refund_may_name_an_order_from_long_before_the_campaign() -> None:
    """Ads and clicks are read for some weeks only, sales as far back as they go."""
    events = [
        bought("a", -300, 70, order="old"),
        bought("a", 12, 5),
        {"kind": "refund", "account": "a", "t": 12, "amount": 70, "order": "old", "brand": "b"},
        {"kind": "click", "account": "a", "t": -300, "brand": "b", "category": "k"},
    ]
    found = outcomes(events, {"a": "treated"})
    assert found.whole["revenue"].tolist() == [5]
    assert not len(found.log.acts["click"])


def test_a_campaign_before_anything_happened_has_nobody() -> None:
    found = outcomes([bought("a", 11, 5)], {"a": "treated"}, known_at=5)
    assert len(found.person) == 0
    assert found.whole["revenue"].tolist() == []


def test_items_and_notes_say_what_events_do_not() -> None:
    events = [
        {"kind": "impression", "account": "a", "t": 11, "note": "n"},
        {"kind": "impression", "account": "a", "t": 12, "note": "organic"},
        {"kind": "purchase", "account": "a", "t": 13, "amount": 5, "item": "x"},
        {"kind": "purchase", "account": "a", "t": 13, "amount": 7, "item": "y"},
    ]
    notes = pa.table({"note": ["n", "organic"], "campaign": ["c", "c"], "paid": [True, False], "brand": ["b", "b"]})
    items = pa.table({"item": ["x", "y"], "brand": ["b", "other"]})
    asked = {"window_days": 5, "known_at": at(90)}
    found = campaign_outcomes(events_of(events), None, None, CAMPAIGNS, **asked, notes=notes, items=items)["c"]
    assert (found.served.tolist(), found.slots.tolist()) == ([1], [1])
    assert found.reached.tolist() == [at(11)]
    assert found.whole["revenue"].tolist() == [5]
    blind = campaign_outcomes(events_of(events), None, None, CAMPAIGNS, **asked)["c"]
    assert (blind.served.tolist(), blind.whole["revenue"].tolist()) == ([0], [0])
