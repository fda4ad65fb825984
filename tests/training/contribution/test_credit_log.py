from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from features.paths.brand_paths import read_paths
from features.paths.paths import By, Paths, Windows
from tests.features.brand_logs import (
    DAY,
    END,
    ITEMS,
    KNOWN,
    NOTES,
    START,
    Row,
    event,
    events_of,
    links_of,
    random_log,
)
from training.contribution.credit import RULES, credit_by, credits


def read(rows: list[Row], links: list[Row] | None = None, **more: Any) -> Paths:
    tables = {"notes": NOTES, "items": ITEMS, "identities": links_of(links or [])}
    asked = {"brands": ["X"], "start": START, "end": END, "known_at": KNOWN, "windows": Windows(3, 1)} | more
    return read_paths(events_of(rows), tables, **asked).paths


@pytest.mark.parametrize("by", ["click_date", "order_date"])
def test_reports_of_adjacent_stretches_add_up(by: By) -> None:
    rows, links = random_log(8, 150)
    middle = START + 4 * DAY + 1

    def credited(start: int, end: int) -> Counter[str | None]:
        paths = read(rows, links, start=start, end=end, by=by)
        return Counter(credit_by(paths, credits(paths, paths.values, "time_decay"), "note"))

    whole = credited(START, END)
    assert len(whole) == 3
    assert credited(START, middle) + credited(middle, END) == whole


def test_by_order_date_all_that_was_sold_after_touches_is_credited() -> None:
    paths = read(*random_log(9, 150))
    sold = paths.values[paths.reported & ~paths.without_touch].sum()
    for rule in RULES:
        credit = credits(paths, paths.values, rule)
        assert sum(credit_by(paths, credit, "creator").values()) == sold > 0
    assert sold + paths.values[paths.without_touch].sum() == paths.values[paths.reported].sum()


def test_a_note_that_prepares_sales_gets_nothing_from_the_last_touch_only() -> None:
    rows = []
    for buyer in "abcdef":
        rows += [event("click", START + DAY, buyer, note="n1"), event("click", START + 2 * DAY, buyer, note="n2")]
        rows.append(event("purchase", START + 3 * DAY, buyer, brand="X", amount=1000))
    rows += [event("click", START + DAY, f"only{n}", note="n2") for n in range(12)]
    paths = read(rows)
    given = {rule: credit_by(paths, credits(paths, paths.values, rule), "note") for rule in RULES}
    assert given["last"] == {"n2": 6000}
    assert given["first"] == {"n1": 6000}
    assert given["linear"] == {"n1": 3000, "n2": 3000}
    # Who saw n2 alone never bought; whoever saw n1 did.
    assert given["shapley"]["n1"] > given["shapley"]["n2"]
    # The chain forgets how a person came to n2: a third start at n1, and the effects are 1/3 and 1.
    assert given["markov"] == {"n1": 1500, "n2": 4500}


def test_refunds_are_taken_back_from_credit() -> None:
    bought = event("purchase", START + DAY, brand="X", amount=1001, order="o")
    touches = [event("click", START, note="n1"), event("click", START + 1, note="n2")]
    paths = read([*touches, bought, event("refund", START + 2 * DAY, order="o", amount=400)])
    assert credits(paths, paths.values, "linear").tolist() == [301, 300]
