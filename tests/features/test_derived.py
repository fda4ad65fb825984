"""Derived features against literal values, and their declarations as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from features.definitions import Aggregate, past
from features.errors import FeatureError
from features.events import KINDS
from features.rows.catalog import default_person_features, default_scope_features
from features.rows.derived import FUNCTIONS, Derived, feature_from_dict, feature_to_dict, inputs_of

DAY = 86_400.0
NAN = float("nan")
BUY = Aggregate(("purchase",))


@pytest.mark.parametrize(
    ("function", "values", "expected"),
    [
        ("share", ([1, 0, 2], [2, 4, 0]), [0.5, 0, NAN]),
        ("difference", ([3, NAN], [5, 1]), [-2, NAN]),
        ("log", ([0, np.e - 1],), [0, 1]),
        ("gap", ([1, 2, 4], [DAY, 10 * DAY, 10 * DAY], [DAY, 3 * DAY, DAY]), [NAN, 7, 3]),
        ("gap", ([0], [NAN], [NAN]), [NAN]),
        ("overdue", ([DAY, 3 * DAY, NAN], [1, 2, 0], [DAY, 9 * DAY, NAN]), [NAN, 0.5, NAN]),
        ("unmet", ([3, 3, 0], [0, 2, 0]), [3, 0, 0]),
        ("wait", ([9 * DAY, DAY, NAN], [2 * DAY, 2 * DAY, DAY]), [7, -1, NAN]),
        ("renewed", ([DAY, NAN], [5 * DAY, DAY]), [4, NAN]),
        ("newness", ([2, 1, 0], [2, 3, 0]), [1, 0, NAN]),
    ],
)
def test_functions_give_literal_values(
    function: str, values: tuple[list[float], ...], expected: list[float]
) -> None:
    derived = Derived(function, (BUY,) * len(values))
    found = derived.compute(*(np.array(value, float) for value in values))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("feature", [*default_person_features(), *default_scope_features()], ids=lambda f: f.name)
def test_declarations_survive_json(feature: Aggregate | Derived) -> None:
    assert feature_from_dict(json.loads(json.dumps(feature_to_dict(feature)))) == feature


def test_names_tell_the_first_input_and_the_function() -> None:
    coupon = Aggregate(("purchase",), condition="coupon", window=past(90))
    assert Derived("share", (coupon, BUY)).name == "purchase_count_coupon_90d_share"
    names = [feature.name for feature in default_person_features()]
    assert len(set(names)) == len(names)
    assert not set("".join(names)) & set('",:[]{}'), "LightGBM refuses these"


def test_errors_name_the_function_and_what_it_takes() -> None:
    with pytest.raises(FeatureError, match="derived feature: 'ratio'; valid: share, price"):
        Derived("ratio", (BUY, BUY))
    with pytest.raises(FeatureError, match="gap takes 3 aggregates: 1"):
        Derived("gap", (BUY,))
    assert set(FUNCTIONS) >= {"share", "gap", "overdue", "unmet", "wait"}


def test_features_of_kinds_that_a_log_lacks_are_left_out() -> None:
    for features in (default_person_features, default_scope_features):
        few = features(("purchase", "impression"))
        assert {kind for f in few for a in inputs_of(f) for kind in a.kinds} == {"purchase", "impression"}
        assert set(few) < set(features(KINDS))
        assert features(()) == ()
    assert len(default_person_features(("purchase", "impression"))) <= 45
    assert len(default_scope_features()) <= 40
