"""The part of the log that new tags need says the same of them as the whole log."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings

from features.people.population import population
from features.rows.build import build_rows
from features.rows.catalog import layout_for
from features.rows.outcomes import fit_thresholds, label_history, outcomes
from features.taxonomy.addition import added_tags
from features.taxonomy.taxonomy import taxonomy_of
from tests.features.logs import DAY, START, Event, event, logs, table_of
from training.new_tags.log import keep_needed, needed
from training.new_tags.model import extended_layout

WORDS = {"name": "t", "name_zh": "t", "meaning": "x"}
SHOP = taxonomy_of(
    {
        "name": "shop",
        "vertical": [{"id": "home", "name": "h", "name_zh": "h", "categories": ["soap"]}],
        "tag": [{"id": "any", "rule": "count(purchase) >= 1", "horizon_days": 9, **WORDS}],
    }
)
MORE = added_tags(
    SHOP,
    {
        "vertical": [{"id": "drinks", "name": "d", "name_zh": "d", "categories": ["milk"]}],
        "tag": [
            {"id": "new", "within": "drinks", "rule": "count(cart) >= 1 and count(click, past=9) == 0", **WORDS},
            {
                "id": "big", "within": "home", "horizon_days": 4,
                "rule": "sum(purchase, amount) >= quantile(sum(purchase, amount, past=all), 0.5)", **WORDS,
            },
            {"id": "one", "rule": 'count(cart, category="tea") >= 1', **WORDS},
        ],
    },
)  # fmt: skip
LAYOUT = extended_layout(layout_for(SHOP, ("purchase", "click", "cart")), MORE)
INSTANTS = [START + 20 * DAY, START + 35 * DAY]


@settings(max_examples=4)
@given(log=logs(largest=60))
def test_labels_histories_people_and_features_are_those_of_the_whole_log(log: list[Event]) -> None:
    con = duckdb.connect()
    whole = con.from_arrow(table_of(log))
    part = keep_needed(con, whole, MORE, LAYOUT)
    said = []
    for events in (whole, part):
        spine = population(events, None, INSTANTS, "UTC")
        thresholds = fit_thresholds(MORE.added, events, spine)
        history = label_history(MORE.added, events, spine, thresholds)
        said.append(
            (
                spine.rows.to_pylist(),
                spine.accounts.to_pylist(),
                outcomes(MORE.added, events, spine.known(START + 60 * DAY), thresholds).tobytes(),
                build_rows(LAYOUT.added, events, spine, history).tobytes(),
                population(events, None, INSTANTS, "UTC", kinds=("purchase",)).rows.to_pylist(),
            )
        )
    assert said[0] == said[1]


def test_only_what_is_needed_is_kept() -> None:
    log = [event("a", "purchase", START + n * DAY, category=c) for n in range(10) for c in ("soap", "milk", "tea")]
    con = duckdb.connect()
    part = keep_needed(con, con.from_arrow(table_of(log)), MORE, LAYOUT)
    assert part.aggregate("count(*)").fetchall() == [(21,)], "of tea the first event alone"


def test_kinds_are_asked_for_where_a_rule_or_scope_measures_them() -> None:
    asked = needed(MORE, LAYOUT)
    assert asked["soap",] == {"purchase"}
    assert asked["tea",] == {"cart"}
    assert {"purchase", "click"} <= asked["milk",]
    assert set(asked) == {("soap",), ("tea",), ("milk",)}


def test_a_rule_over_everything_needs_all_events_of_its_kinds() -> None:
    everywhere = added_tags(SHOP, {"tag": [{"id": "x", "rule": "count(purchase) >= 2", **WORDS}]})
    layout = extended_layout(LAYOUT.base, everywhere)
    log = [event("a", kind, START + n, category="tea") for n in range(5) for kind in ("purchase", "click")]
    con = duckdb.connect()
    part = keep_needed(con, con.from_arrow(table_of(log)), everywhere, layout)
    assert sorted(part.aggregate("kind, count(*)").fetchall()) == [("click", 1), ("purchase", 5)]


@pytest.mark.parametrize("category", ["it's", "a''b"])
def test_category_codes_with_quotes(category: str) -> None:
    odd = added_tags(
        SHOP,
        {
            "vertical": [{"id": "odd", "name": "d", "name_zh": "d", "categories": [category]}],
            "tag": [{"id": "x", "within": "odd", "rule": "count(purchase) >= 1", **WORDS}],
        },
    )
    con = duckdb.connect()
    log = [event("a", "purchase", START + n, category=c) for n in range(3) for c in (category, "soap")]
    part = keep_needed(con, con.from_arrow(table_of(log)), odd, extended_layout(LAYOUT.base, odd))
    assert part.filter("category is not null").aggregate("category, count(*)").fetchall() == [(category, 3)]
