from __future__ import annotations

import pytest
from hypothesis import given

from features.definitions import Aggregate, outcome, past
from features.errors import RuleError
from features.taxonomy.rules import parse_rule
from tests.features.rule_oracle import rule_texts


def refused(text: str) -> str:
    with pytest.raises(RuleError) as caught:
        parse_rule(text, tag="dairy.odd", scopes=["dairy", "snacks"])
    return str(caught.value)


@given(rule_texts())
def test_a_rule_written_back_means_the_same(text: str) -> None:
    rule = parse_rule(text)
    assert parse_rule(str(rule)).root == rule.root


def test_aggregates_are_declared_once_with_those_of_quantiles() -> None:
    rule = parse_rule("""
        sum(purchase, amount) >= quantile(sum(purchase, amount, past=30), 0.8)  # heavy
        and sum(purchase, amount) > 100 and not count(like | save, where="paid") == 0
    """)
    assert rule.aggregates(14) == (
        Aggregate(("purchase",), "sum", of="amount", window=outcome(14)),
        Aggregate(("purchase",), "sum", of="amount", window=past(30)),
        Aggregate(("like", "save"), "count", window=outcome(14), condition="paid"),
    )
    assert [str(leaf) for leaf in rule.measurements] == [
        "sum(purchase, amount)",
        'count(like | save, where="paid")',
    ]
    assert [str(q) for q in rule.quantiles] == ["quantile(sum(purchase, amount, past=30), 0.8)"]


def test_a_category_with_quotes_is_written_back() -> None:
    rule = parse_rule(r'count(purchase, category="KIDS\' \"TOYS\"") >= 1')
    assert rule.measurements[0].within == 'category:KIDS\' "TOYS"'
    assert parse_rule(str(rule)).root == rule.root


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "count(buy) >= 1",
            "tag dairy.odd, field rule, line 1, column 7: unknown event kind: 'buy'; valid: interest",
        ),
        ("count(like & save) >= 1", "column 7: unknown event kind: 'like & save'"),
        ('count(purchase, where="cheap") >= 1', "column 23: unknown condition: 'cheap'; valid: discounted, coupon"),
        ("count(purchase, where=coupon) >= 1", "column 23: where is a text in quotes: 'coupon'"),
        ('count(purchase, within="milk") >= 1', "unknown vertical: 'milk'; valid: all, dairy, snacks"),
        ('count(purchase, within="all", category="X") >= 1', "within and category exclude each other"),
        ('count(purchase, since="all") >= 1', "unknown option: 'since'; valid: where, past, within, category"),
        ("count(purchase, **{}) >= 1", "unknown option"),
        ("count(purchase, past=0) >= 1", r"past is a whole number of days or all: '0'; valid: 1 to 3660, all"),
        ("count(purchase, past=True) >= 1", "past is a whole number of days or all: 'True'"),
        ("count(purchase, past=1.5) >= 1", "past is a whole number of days or all: '1.5'"),
        ("sum(purchase) >= 1", r"wrong arguments: 'sum(purchase)'; valid: sum(kinds, column)"),
        ("count(purchase, amount) >= 1", r"wrong arguments: 'count(purchase, amount)'; valid: count(kinds)"),
        ("sum(purchase, brand) >= 1", "no column that sum can read: 'brand'; valid: amount, quantity, discount"),
        ("distinct(purchase, account) >= 1", "no column that distinct can read: 'account'"),
        ("median(purchase) >= 1", "unknown form: 'median'; valid: count, days, sum, distinct, share, quantile"),
        ("share(count(purchase)) >= 1", r"wrong arguments: 'share(count(purchase))'; valid: share(part, whole)"),
        ("count(purchase)", "a rule must be true or false, this is a number: 'count(purchase)'"),
        ("count(purchase) and count(cart) >= 1", "a number stands where a condition is due: 'count(purchase)'"),
        ("count(purchase) >= True", "column 20: a boolean stands where a number is due: True"),
        ("(count(purchase) >= 1) + 1 > 0", "a boolean stands where a number is due"),
        ("-(count(purchase) >= 1) > 0", "a boolean stands where a number is due"),
        ("1 <= count(purchase) <= 3", "a comparison is one sign between two numbers, join two with and"),
        ("count(purchase) in (1, 2)", "a comparison is one sign between two numbers"),
        ("count(purchase) % 2 == 0", "not part of the rule language: 'count(purchase) % 2'"),
        ("count(purchase) >= 1e999", "a number out of range: inf"),
        ("count(purchase) >= 10 ** 9", "not part of the rule language"),
        ("purchase >= 1", "not part of the rule language: 'purchase'"),
        ("count(purchase, past=30) >= 1", "a tag looks at the future, this rule measures nothing in the outcome"),
        ("1 < 2", "a tag looks at the future"),
        ("count(purchase) > quantile(count(purchase), 0.5)", "a quantile is taken of the past, the outcome window"),
        ("count(purchase) > quantile(3, 0.5)", "a quantile is taken of the past"),
        ("count(purchase) > quantile(count(purchase, past=7), 80)", "the share of a quantile lies between 0 and 1"),
        ("count(cart) > quantile(quantile(count(cart, past=7), 0.5), 0.5)", "a quantile inside a quantile"),
        ("count(purchase >= 1", "the rule cannot be read"),
        ("count(purchase)\n>= count(buy)", "line 2, column 10: unknown event kind: 'buy'"),
        ("1 is 1", "a comparison is one sign between two numbers, join two with and: '1 is 1'; valid: >=, >"),
        ("x := 1", "not part of the rule language"),
        ("(lambda: 1)() >= 1", "unknown form: 'lambda: 1'"),
        ("count.__class__(purchase) >= 1", "unknown form: 'count.__class__'"),
        ("__import__('os') >= 1", "unknown form: '__import__'"),
        ("count(\0) >= 1", "the rule cannot be read"),
        ("not " * 480 + "count(purchase) >= 1", "nested too deeply|cannot be read"),
        ("(" * 400 + ")" * 400, "the rule cannot be read"),
        ("count(purchase) >= 1 or " * 100 + "1 < 2", "a rule has at most 2000 characters: 2405"),
    ],
)
def test_an_error_names_the_place_the_value_and_the_valid_ones(text: str, message: str) -> None:
    said = refused(text)
    assert said.startswith("tag dairy.odd, field rule, line ")
    assert any(part in said for part in message.split("|"))


def test_group_names_stand_for_their_kinds() -> None:
    (everything,) = parse_rule("count(interest | commerce) >= 1").measurements
    (commerce,) = parse_rule("count(commerce | cart) >= 1").measurements
    assert len(everything.kinds) == 17
    assert str(everything) == "count(interest | commerce)"
    assert str(commerce) == "count(commerce)"
