from __future__ import annotations

from typing import Any

import pytest

from features.errors import FeatureError
from tests.training.contribution.funnel_counts import counted, everything
from tests.training.contribution.small_notes import DAY, START, Row, event, link
from training.contribution.funnel import Funnel


def test_a_person_goes_the_whole_way() -> None:
    log = [
        event("impression", "a", 0.1, note="n1", campaign="k1", cost_micros=120_000),
        event("impression", "b", 0.2, note="n1", campaign="k1", cost_micros=80_000),
        event("click", "a", 0.11, note="n1"),
        event("read", "a", 0.111, note="n1", dwell_ms=9_000),
        event("save", "a", 0.112, note="n1"),
        event("link_click", "a", 0.12, note="n1"),
        event("store_visit", "sa", 0.121, note="n1", brand="B"),
        event("cart", "sa", 0.122, note="n1", brand="B"),
        event("purchase", "sa", 0.5, note="n1", brand="B", order="o", amount=900),
        event("purchase", "sa", 0.5, note="n1", brand="B", order="o", amount=100),
        event("refund", "sa", 9.0, order="o", amount=100),
        event("hide", "b", 0.2, note="n1"),
    ]
    found = counted(log)
    expected = Funnel(
        "note", "n1", impressions=2, reached=2, clicks=1, clickers=1, deep_reads=1, deep_acts=1, true_interest=1,
        hides=1, link_clicks=1, store_visits=1, entered=1, carts=1, orders=1, revenue=900, bought=1, bought_new=1,
        clickers_won=1, clickers_entered=1, cost_micros=200_000,
    )  # fmt: skip
    assert found["note"] == {"n1": expected}
    assert found["campaign"]["k1"].counts() == found["creator"]["c1"].counts() == expected.counts()
    assert found["all"][None].counts() == found["day"]["19000"].counts() == expected.counts()
    assert (expected.cost(2), expected.cost_per_entry(2)) == (20, 20.0)
    assert expected.rates["click_rate"] == 0.5


def test_an_act_is_of_the_campaign_that_showed_the_note_last() -> None:
    log = [
        event("impression", "a", 0.1, note="n1", campaign="k1"),
        event("click", "a", 0.2, note="n1"),
        event("impression", "a", 0.3, note="n1"),
        event("impression", "b", 0.35, note="n1", campaign="k1"),
        event("click", "a", 0.4, note="n1"),
    ]
    assert {key: row.clicks for key, row in counted(log)["campaign"].items()} == {"k1": 1, None: 1}


def test_people_are_counted_once_in_each_row() -> None:
    clicks = [event("click", "a", hour, note=note) for hour, note in ((0.1, "n1"), (0.2, "n1"), (1.1, "n2"))]
    found = counted([*clicks, event("click", "sa", 1.2, note="n1")])
    assert (found["all"][None].clicks, found["all"][None].clickers) == (4, 1)
    assert {key: row.clickers for key, row in found["note"].items()} == {"n1": 1, "n2": 1}
    assert found["creator"]["c1"].clickers == 1


def later(row: Row, seconds: int, kind: str, **more: Any) -> Row:
    return row | {"kind": kind, "note": None, "brand": "B", "event_time": row["event_time"] + seconds} | more


def test_a_jump_is_followed_for_half_an_hour() -> None:
    log = []
    for account, seconds, brand in (("b", 1_800, "B"), ("c", 1_801, "B"), ("d", 60, "X"), ("e", 0, "B")):
        jump = event("link_click", account, 0.1, note="n1")
        log += [jump, later(jump, seconds, "store_visit", brand=brand)]
    assert (everything(log).link_clicks, everything(log).bounces) == (4, 2)
    assert everything(log, as_of=log[0]["event_time"] + 1_800).bounces == 0


def test_a_visit_of_a_stranger_through_the_link_stands_for_a_jump() -> None:
    log = [event("link_click", account, 0.1, note="n1") for account in "bc"]
    assert everything([*log, event("store_visit", "s8", 0.11, note="n1", brand="B")]).bounces == 1
    visits = [event("store_visit", f"s{number}", 0.11, note="n1", brand="B") for number in range(4)]
    assert everything([*log, *visits]).bounces == 0


def test_what_follows_a_click_counts_inside_the_window() -> None:
    log = []
    for number, seconds in enumerate((0, 7 * DAY - 1, 7 * DAY, -1)):
        click = event("click", f"b{number}", 1.0, note="n1")
        log += [click, *(later(click, seconds, kind) for kind in ("store_visit", "search", "purchase"))]
    found = everything(log)
    assert (found.clickers, found.entered, found.searched, found.bought, found.true_interest) == (4, 2, 2, 2, 2)


def test_click_date_and_order_date() -> None:
    log = [
        event("click", "a", -1.0, note="n1"),
        event("click", "b", 1.5, note="n1"),
        event("purchase", "sa", 1.0, note="n1", brand="B", order="o1", amount=10),
        event("purchase", "b", 3.0, note="n1", brand="B", order="o2", amount=500),
        event("search", "sa", 0.5, brand="B"),
    ]
    by_click, by_order = counted(log), counted(log, by="order_date")
    assert {day: row.revenue for day, row in by_click["day"].items()} == {"19001": 500}
    assert {day: row.revenue for day, row in by_order["day"].items()} == {"19000": 0, "19001": 10}
    assert (by_click["all"][None].bought, by_order["all"][None].bought) == (1, 1)
    assert (by_click["all"][None].searched, by_order["all"][None].searched) == (0, 1)


def test_a_refund_lowers_the_lines_that_it_names() -> None:
    lines = [
        event("purchase", "b", day, note=note, brand="B", order="o", item=item, amount=100)
        for day, note, item in ((0.5, "n1", "i1"), (0.6, "n2", "i2"))
    ]
    back = [event("refund", "b", 1.0, order="o", amount=30, item=item) for item in ("i2", None)]
    assert {note: row.revenue for note, row in counted([*lines, *back])["note"].items()} == {"n1": 85, "n2": 55}


@pytest.mark.parametrize("back", [1, 31, 100, 199])
def test_a_refund_of_an_order_is_spread_over_all_its_lines_by_what_was_paid(back: int) -> None:
    said = (("n1", "B", 100), ("n2", "B", 33), (None, "B", 60), (None, "X", 6))
    lines = [
        event("purchase", "b", 0.5, note=note, brand=brand, order="o", amount=amount, item=f"i{amount}")
        for note, brand, amount in said
    ]
    refund = event("refund", "b", 1.0, order="o", amount=back)
    found = counted([*lines, refund])
    revenue = {note: row.revenue for note, row in found["note"].items()}
    for note, paid in (("n1", 100), ("n2", 33)):
        assert abs(paid - revenue[note] - back * paid / 199) < 1
    assert found["all"][None].revenue == sum(revenue.values())
    both = counted([*lines[:2], refund | {"amount": min(back, 133)}])["all"][None]
    assert both.revenue == 133 - min(back, 133)


def test_a_refund_of_another_shops_order_or_of_an_item_bought_elsewhere_lowers_nothing() -> None:
    line = event("purchase", "b", 0.5, note="n1", brand="B", order="o", item="i1", amount=100)
    others = [
        event("purchase", "b", 0.5, brand="B", order="o", item="i9", amount=80),
        event("refund", "b", 1.0, order="o", item="i9", amount=80),
        event("refund", "c", 1.0, order="o", amount=7),
        event("refund", "b", 1.0, order="o", amount=6) | {"platform": "elsewhere"},
    ]
    assert counted([line, *others])["note"]["n1"].revenue == 100
    assert counted([line, line | {"event_id": "q", "platform": "elsewhere"}])["note"]["n1"].orders == 2


def test_who_bought_before_is_no_new_customer() -> None:
    click = event("click", "a", 0.5, note="n1")
    bought = event("purchase", "sa", 1.0, brand="B", order="o", amount=1)
    again = [event("click", "b", 0.5, note="n1"), *(event("purchase", "b", day, brand="B") for day in (-90, 1))]
    found = everything([click, bought, *again])
    assert (found.bought, found.bought_new, found.rates["new_customer_share"]) == (2, 1, 0.5)


def test_an_account_that_was_never_linked_counts_through_the_link() -> None:
    log = [
        event("click", "a", 0.5, note="n1"),
        event("store_visit", "s9", 0.9, note="n1", brand="B"),
        event("purchase", "s9", 1.0, note="n1", brand="B", order="o", amount=7),
    ]
    found = everything(log)
    assert (found.entered, found.bought, found.bought_new, found.revenue) == (1, 1, 1, 7)


@pytest.mark.parametrize("by", ["click_date", "order_date"])
def test_shares_of_the_people_who_clicked_never_exceed_them(by: str) -> None:
    acts = ("store_visit", "search")
    early = [event("click", f"b{n}", -1.0, note="n1") for n in range(3)]
    early += [event(kind, f"b{n}", 0.5, brand="B") for n in range(3) for kind in acts]
    early += [event("save", f"b{n}", 0.5, note="n1") for n in range(3)]
    own = [event("click", "c", 0.5, note="n1"), event("click", "d", 1.0, note="n1")]
    own += [event(kind, "c", 2.5, brand="B") for kind in acts]
    strangers = [event("store_visit", f"s{n}", 1.0, note="n1", brand="B") for n in range(4, 9)]
    found = everything([*early, *own], by=by)
    rates = ("store_entry_rate", "search_back_rate", "true_interest_rate")
    assert [found.rates[name] for name in rates] == [0.5, 0.5, 0.5]
    assert (found.entered, found.searched) == ((1, 1) if by == "click_date" else (3, 3))
    assert everything([*early, *own, *strangers], by=by).rates["store_entry_rate"] == 1


def test_whoever_refuses_is_counted_but_not_followed() -> None:
    log = [
        event("impression", "a", 0.1, note="n1", campaign="k1"),
        event("click", "a", 0.5, note="n1"),
        event("link_click", "a", 0.5, note="n1"),
        event("store_visit", "sa", 0.51, brand="B"),
        event("search", "a", 0.6, brand="B"),
        event("purchase", "a", 1.0, brand="B", order="o", amount=5),
        event("purchase", "sa", 1.0, brand="B", note="n1", order="o", amount=7),
    ]
    links = [link("a", "P"), link("sa", "P") | {"consent": False}]
    asked, found = everything(log), everything(log, links=links)
    assert (asked.entered, asked.searched, asked.bounces) == (1, 1, 0)
    assert (found.entered, found.searched, found.clickers_searched, found.bought) == (0, 0, 0, 1)
    assert (found.clicks, found.link_clicks, found.bounces, found.revenue) == (1, 1, 1, 7)
    assert counted(log, links=links)["campaign"]["k1"].clicks == 1


def test_only_what_was_known_counts() -> None:
    log = [event("click", "a", 0.5, note="n1"), event("click", "a", 0.6, note="n1", late=5)]
    assert everything(log, as_of=START + 3 * DAY).clicks == 1
    log.append(event("store_visit", "sa", 1.0, brand="B"))
    late = [link("a", "P"), link("sa", "P", late=310)]
    early, later = (everything(log, links=late, as_of=START + days * DAY) for days in (9, 11))
    assert (early.clicks, early.entered, later.entered) == (2, 0, 1)


def test_an_account_is_a_persons_from_a_moment_on() -> None:
    log = [event("click", "a", 0.5, note="n1"), event("store_visit", "sa", 1.0, brand="B")]
    since = [everything(log, links=[link("a", "P"), link("sa", "P", days=day)]).entered for day in (0.9, 1.1)]
    assert since == [1, 0]


def test_clicks_whose_window_is_not_over_are_said() -> None:
    log = [event("click", "a", day, note="n1") for day in (0.5, 1.0, 1.5)]
    assert everything(log, as_of=START + 8 * DAY).open_clicks == 1


def test_other_brands_notes_and_items_stay_outside() -> None:
    log = [
        event("impression", "a", 0.1, note="other"),
        event("purchase", "sa", 0.2, note="other", brand="B", order="o", amount=5),
        event("purchase", "sa", 0.2, note="n1", brand="X", order="h", amount=3),
    ]
    found = everything(log)
    assert (found.impressions, found.orders, found.revenue) == (0, 1, 3)


def test_spending_counts_where_impressions_name_no_cost() -> None:
    campaigns = [{"campaign": "k1", "brand": "B"}, {"campaign": "k2", "brand": "B"}]
    spend = [
        {"campaign": k, "spent_at": START + DAY, "amount": 50, "arrived_at": START + DAY} for k in ("k1", "k2")
    ]
    found = counted(
        [event("impression", "a", 0.1, note="n1", campaign="k1", cost_micros=10_000)],
        campaigns=campaigns,
        spend=spend,
    )
    assert {key: row.cost(2) for key, row in found["campaign"].items()} == {"k1": 1, "k2": 50}
    assert found["all"][None].cost(2) == 51
    assert found["day"]["19001"].cost(2) == 50


def test_a_brand_comes_from_the_campaign_or_the_event_where_the_note_says_none() -> None:
    campaigns = [{"campaign": "k9", "brand": "B"}]
    log = [
        event("impression", "a", 0.1, note="u1", campaign="k9"),
        event("impression", "a", 0.1, note="u2", brand="B"),
    ]
    assert set(counted(log, campaigns=campaigns)["note"]) == {"u1", "u2"}


def test_an_item_says_the_brand_of_a_line_that_names_none() -> None:
    log = [event("click", account, 0.5, note="n1") for account in "ab"]
    log += [event("purchase", account, 1.0, item=item) for account, item in (("a", "i1"), ("b", "i2"))]
    assert everything(log, items=[{"item": "i1", "brand": "B"}, {"item": "i2", "brand": "X"}]).bought == 1


def test_an_empty_log_has_one_empty_row() -> None:
    assert counted([])["all"] == {None: Funnel("all", None)}


def test_a_wrong_basis_and_an_empty_period_are_refused() -> None:
    with pytest.raises(FeatureError, match="unknown basis of a period: 'order'; valid: click_date, order_date"):
        counted([], by="order")
    with pytest.raises(FeatureError, match="the period is empty"):
        counted([], days=0)
