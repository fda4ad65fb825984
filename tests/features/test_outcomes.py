from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import FeatureError
from features.rows.outcomes import base_rates, fit_thresholds, label_history, outcomes
from features.rows.thresholds import Thresholds
from features.spine import Spine, spine_of
from features.taxonomy.taxonomy import Taxonomy, taxonomy_of
from tests.features.logs import DAY, START, Event, event, logs, table_of
from tests.features.rule_oracle import Reading, rule_texts

SCOPES = {"dairy": ["milk", "tea"], "home": ["soap"], "all": ["*"]}
PEOPLE = {"ann": ["a"], "bob": ["b", "c"], "cem": ["d"]}
INSTANTS = (START + 21 * DAY, START + 30 * DAY + 1800)
KNOWN_LATER = START + 60 * DAY
SLOW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def taxonomy(*rules: tuple[str, str, int]) -> Taxonomy:
    texts = {"name": "x", "name_zh": "x", "meaning": "x"}
    verticals = [{"id": v, "categories": cs, "name": v, "name_zh": v} for v, cs in SCOPES.items() if v != "all"]
    tags = [
        {"id": f"t{number}", "rule": rule, "within": within, "horizon_days": horizon, **texts}
        for number, (rule, within, horizon) in enumerate(rules)
    ]
    return taxonomy_of({"name": "test", "vertical": verticals, "tag": tags})


def rules() -> st.SearchStrategy[list[tuple[str, str, int]]]:
    return st.lists(
        st.tuples(rule_texts(), st.sampled_from(tuple(SCOPES)), st.sampled_from((5, 9))), min_size=1, max_size=4
    )


def literally(log: list[Event], rules: list[tuple[str, str, int]], spine: Spine, judged: Spine) -> list[list[bool]]:
    table = zip(spine.rows.to_pylist(), judged.rows.to_pylist(), strict=True)
    return [
        [
            Reading(log, PEOPLE, within, SCOPES, horizon).holds(
                text, row["person"], row["instant"], row["known_at"], (at["instant"], at["known_at"])
            )
            for text, within, horizon in rules
        ]
        for row, at in table
    ]


@SLOW
@given(logs(), rules())
def test_outcomes_are_the_literal_reading_of_the_rules(log: list[Event], rules: list[tuple[str, str, int]]) -> None:
    population = spine_of(PEOPLE, INSTANTS)
    later = population.known(KNOWN_LATER)
    tags = taxonomy(*rules)
    thresholds = fit_thresholds(tags, table_of(log), population)
    truths = outcomes(tags, table_of(log), later, thresholds)
    assert truths.dtype == np.uint8
    assert truths.astype(bool).tolist() == literally(log, rules, later, population)


@settings(SLOW, max_examples=10)
@given(logs(), rules())
def test_history_is_the_literal_reading_of_earlier_windows(
    log: list[Event], rules: list[tuple[str, str, int]]
) -> None:
    spine = spine_of(PEOPLE, INSTANTS)
    tags = taxonomy(*rules)
    history = label_history(tags, table_of(log), spine, fit_thresholds(tags, table_of(log), spine), lags=2)
    assert history.dtype == np.float32
    for row, entry in enumerate(spine.rows.to_pylist()):
        seen = [
            e["event_time"]
            for e in log
            if e["account"] in PEOPLE[entry["person"]]
            and e["event_time"] < entry["instant"]
            and e["arrived_at"] <= entry["known_at"]
        ]
        for tag, (_, _, horizon) in enumerate(rules):
            expected = []
            for lag in (1, 2):
                start = entry["instant"] - lag * horizon * DAY
                one = literally(log, [rules[tag]], spine.take([row]).shift(lag * horizon), spine.take([row]))
                expected.append(float(one[0][0]) if seen and min(seen) <= start else math.nan)
            known = [value for value in expected if not math.isnan(value)]
            expected.append(sum(known) / len(known) if known else math.nan)
            np.testing.assert_array_equal(history[row, tag], np.float32(expected))


@settings(SLOW, max_examples=8)
@given(logs(), logs(largest=15), rules())
def test_history_and_thresholds_do_not_look_ahead(
    log: list[Event], more: list[Event], rules: list[tuple[str, str, int]]
) -> None:
    spine = spine_of(PEOPLE, INSTANTS[:1])
    future = [e for e in more if e["event_time"] >= INSTANTS[0] or e["arrived_at"] > INSTANTS[0]]
    tags = taxonomy(*rules)
    before, after = (fit_thresholds(tags, table_of(events), spine) for events in (log, log + future))
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(
        label_history(tags, table_of(log), spine, before, lags=1),
        label_history(tags, table_of(log + future), spine, after, lags=1),
    )


def purchases(*amounts: int) -> list[Event]:
    return [
        event(account, "purchase", START + DAY, category="milk", amount=amount)
        for account, amount in zip("abcdefghij", amounts, strict=False)
    ]


@pytest.mark.parametrize(
    ("share", "expected"), [("0.5", 30.0), ("0.8", 40.0), ("0.81", 50.0), ("0.2", 10.0), ("0.99", 50.0)]
)
def test_a_quantile_is_of_the_people_with_something(share: str, expected: float) -> None:
    log = table_of(purchases(50, 0, 10, 30, 20, 40, 0))
    population = spine_of({account: [account] for account in "abcdefghij"}, [START + 2 * DAY])
    tags = taxonomy((f"sum(purchase, amount) >= quantile(sum(purchase, amount, past=30), {share})", "dairy", 7))
    thresholds = fit_thresholds(tags, log, population)
    assert thresholds.values.tolist() == [[expected]]
    assert thresholds.keys == (f"dairy: quantile(sum(purchase, amount, past=30), {share})",)
    assert Thresholds.from_dict(thresholds.to_dict()).values.tolist() == [[expected]]


def test_a_quantile_of_nobody_is_unknown_and_compares_as_false() -> None:
    rule = "sum(purchase, amount) >= quantile(sum(purchase, amount, past=30), 0.5)"
    log = table_of([event("a", "purchase", START + 3 * DAY, category="milk", amount=5)])
    population = spine_of({"a": ["a"]}, [START + 2 * DAY])
    tags = taxonomy((rule, "dairy", 7), (f"not ({rule})", "dairy", 7))
    thresholds = fit_thresholds(tags, log, population)
    assert np.isnan(thresholds.values).all()
    assert np.isnan(Thresholds.from_dict(thresholds.to_dict()).values).all()
    assert outcomes(tags, log, population.known(KNOWN_LATER), thresholds).tolist() == [[0, 1]]


def test_thresholds_hold_only_at_their_instants() -> None:
    tags = taxonomy(("count(purchase) >= quantile(count(purchase, past=all), 0.5)", "all", 7))
    thresholds = fit_thresholds(tags, table_of([]), spine_of(PEOPLE, INSTANTS[:1]))
    with pytest.raises(FeatureError, match=f"no population quantiles .*{INSTANTS[1]}; valid: {INSTANTS[0]}"):
        outcomes(tags, table_of([]), spine_of(PEOPLE, INSTANTS[1:]), thresholds)


def test_an_outcome_window_starts_at_the_instant_and_ends_before_the_horizon() -> None:
    def truth(at: int) -> Any:
        log = table_of([event("a", "purchase", at, category="milk")])
        spine = spine_of({"a": ["a"]}, INSTANTS[:1], known_at=KNOWN_LATER)
        tags = taxonomy(("count(purchase) >= 1", "dairy", 9))
        return outcomes(tags, log, spine, fit_thresholds(tags, log, spine)).tolist()

    edge = INSTANTS[0] + 9 * DAY
    assert [truth(INSTANTS[0] - 1), truth(INSTANTS[0]), truth(edge - 1), truth(edge)] == [
        [[0]],
        [[1]],
        [[1]],
        [[0]],
    ]


def test_base_rates_are_means_over_people() -> None:
    tags = taxonomy(("count(purchase) >= 1", "dairy", 9), ("count(purchase) < 1", "home", 9))
    log = table_of([event("b", "purchase", INSTANTS[0], category="milk")])
    spine = spine_of(PEOPLE, INSTANTS[:1], known_at=KNOWN_LATER)
    assert base_rates(tags, log, spine) == {"t0": pytest.approx(1 / 3), "t1": 1.0}
