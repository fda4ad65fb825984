from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.days import DAY_SECONDS
from features.errors import FeatureError, TrainingError
from tests.training.contribution.credit_cases import Touch, divided, paths_of_touches, weights_literally
from training.contribution import journeys, share
from training.contribution.credit import RULES, Rule, credit_by, credits

SIMPLE: tuple[Rule, ...] = ("first", "last", "linear", "time_decay", "position")
NOTES = ("a0", "a1", "b0", "b1")


def some_paths() -> st.SearchStrategy[list[list[Touch]]]:
    touch = st.tuples(st.sampled_from(NOTES), st.booleans(), st.integers(1, 9 * DAY_SECONDS))
    path = st.lists(touch, max_size=6).map(lambda touches: sorted(touches, key=lambda t: -t[2]))
    return st.lists(path, max_size=6)


@pytest.mark.parametrize(
    ("rule", "credit"),
    [
        ("first", [100, 0, 0, 0]),
        ("last", [0, 0, 100, 0]),  # the last click, though a view came after it
        ("linear", [25, 25, 25, 25]),
        ("time_decay", [7, 13, 27, 53]),  # 1 : 2 : 4 : 8
        ("position", [40, 10, 10, 40]),
    ],
)
def test_one_path_under_every_rule(rule: Rule, credit: list[int]) -> None:
    weeks = [3, 2, 1, 0]
    clicks = [True, False, True, False]
    path = [(note, click, 1 + 7 * DAY_SECONDS * w) for note, click, w in zip(NOTES, clicks, weeks, strict=True)]
    paths = paths_of_touches([path], [100])
    assert credits(paths, paths.values, rule).tolist() == credit


@pytest.mark.parametrize("rule", SIMPLE)
@settings(max_examples=25, deadline=None)
@given(some_paths(), st.data())
def test_rules_are_their_literal_reading(rule: Rule, paths: list[list[Touch]], data: st.DataObject) -> None:
    values = [data.draw(st.integers(0, 10_000)) for _ in paths]
    built = paths_of_touches(paths, values)
    found = credits(built, built.values, rule).tolist()
    expected = [divided(v, weights_literally(rule, p)) for v, p in zip(values, paths, strict=True) if p]
    assert found == [part for parts in expected for part in parts]


@pytest.mark.parametrize("level", ["note", "creator", "campaign"])
@settings(max_examples=15, deadline=None)
@given(some_paths(), st.lists(st.lists(st.sampled_from(NOTES), min_size=1, max_size=3), max_size=4), st.data())
def test_credits_of_each_conversion_add_up_to_it(
    level: str, paths: list[list[Touch]], others: list[list[str]], data: st.DataObject
) -> None:
    values = [data.draw(st.one_of(st.integers(0, 9), st.integers(0, 1 << 50))) for _ in paths]
    built = paths_of_touches(paths, values, others)
    for rule in RULES:
        found = credits(built, built.values, rule, level=level)
        sums = [int(found[a:b].sum()) for a, b in pairwise(built.offsets)]
        assert sums == [value if path else 0 for value, path in zip(values, paths, strict=True)]
        assert found.dtype == np.int64
        assert (found >= 0).all()
        assert sum(credit_by(built, found, level).values()) == sum(sums)


@settings(max_examples=15, deadline=None)
@given(some_paths(), st.lists(st.lists(st.sampled_from(NOTES), min_size=1, max_size=3), max_size=4), st.data())
def test_the_order_of_conversions_decides_nothing(
    paths: list[list[Touch]], others: list[list[str]], data: st.DataObject
) -> None:
    values = [data.draw(st.integers(0, 1000)) for _ in paths]
    order = data.draw(st.permutations(range(len(paths))))
    built = paths_of_touches(paths, values, others)
    mixed = paths_of_touches([paths[n] for n in order], [values[n] for n in order], others[::-1])
    for rule in RULES:
        one, other = credits(built, built.values, rule), credits(mixed, mixed.values, rule)
        for place, n in enumerate(order):
            there = other[mixed.offsets[place] : mixed.offsets[place + 1]]
            assert there.tolist() == one[built.offsets[n] : built.offsets[n + 1]].tolist()


def test_blocks_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    paths = [
        [(NOTES[random.integers(4)], bool(random.integers(2)), 9 - ago) for ago in range(random.integers(6))]
        for _ in range(40)
    ]
    built = paths_of_touches(paths, random.integers(0, 999, 40).tolist(), [["a0"], ["b1", "a0"]])
    whole = {rule: credits(built, built.values, rule).tolist() for rule in RULES}
    monkeypatch.setattr(share.blocks, "__defaults__", (7,))
    monkeypatch.setattr("training.contribution.shapley.PAIRS", 5)
    assert {rule: credits(built, built.values, rule).tolist() for rule in RULES} == whole


def test_weights_of_nothing_are_divided_equally() -> None:
    for kind in (np.int64, np.float64):
        assert share.share(np.array([7]), np.zeros(3, kind), np.array([0, 3])).tolist() == [3, 2, 2]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 60), st.lists(st.floats(0, 1e6), min_size=1, max_size=7))
def test_weights_that_are_no_integers_are_rounded_finely(value: int, weights: list[float]) -> None:
    found = share.share(np.array([value]), np.array(weights), np.array([0, len(weights)]))
    assert sum(found.tolist()) == value
    total = sum(weights)
    if total > 1e-3:
        for part, weight in zip(found.tolist(), weights, strict=True):
            assert abs(part - value * (weight / total)) <= 1 + value * len(weights) / share.WHOLE * 2


def test_what_is_given_back_in_full_did_not_convert() -> None:
    built = paths_of_touches([[("a0", True, 1)], [("b0", True, 1)], []], [100, 0, 3], [["a0"]])
    assert journeys.journeys_of(built).converted.tolist() == [True, False, True, False]


def test_rare_channels_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_CHANNELS", 3)
    built = paths_of_touches([[(note, True, 9 - n)] for n, note in enumerate(NOTES)], [1] * 4, [["b1"], ["a0"]])
    found = journeys.journeys_of(built)
    assert (found.channel.tolist(), found.channels) == ([0, 2, 2, 1, 1, 0], 3)


def test_only_counted_credit_is_added_up() -> None:
    built = paths_of_touches([[("a0", True, 2), ("a1", True, 1)]], [100])
    built.counted[0] = False
    assert credit_by(built, credits(built, built.values, "linear"), "campaign") == {"c": 50}


def test_what_cannot_be_asked() -> None:
    built = paths_of_touches([[("a0", True, 2)]], [100])
    with pytest.raises(TrainingError, match="unknown credit rule: 'best'; valid: first, last, linear, time_decay"):
        credits(built, built.values, "best")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="a half-life is above 0 days: 0"):
        credits(built, built.values, "time_decay", half_life_days=0)
    with pytest.raises(FeatureError, match="unknown level of credit: 'shop'"):
        credits(built, built.values, "markov", level="shop")
