"""Fragments and lists that are added to a taxonomy, and taken out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.errors import RuleError, TaxonomyError
from features.taxonomy.addition import added_seed_tag, added_tags, merged_text, read_fragment, without_tag
from features.taxonomy.taxonomy import Seeds, Taxonomy, load_taxonomy, taxonomy_of

FILE = """
name = "shop"
horizon_days = 30

[[group]]
id = "fresh"
name = "Fresh"
name_zh = "生鲜"

[[vertical]]
id = "dairy"
name = "Dairy"
name_zh = "乳品"
categories = ["MILK"]
parent = "fresh"

[[pattern]]
id = "buys"
name = "{vertical}: buys"
name_zh = "{vertical}:购买"
meaning = "Buys."
rule = "count(purchase) >= 1"
"""
FRAGMENT = """
[[vertical]]
id = "tea"
name = "Tea"
name_zh = "茶"
categories = ["TEA"]
parent = "fresh"
patterns = []

[[tag]]
id = "tea.heavy"
name = "Tea: heavy"
name_zh = "茶:重度"
meaning = "Buys much tea."
within = "tea"
rule = "count(purchase) >= 3"
"""
TAG = {"id": "many", "name": "Many", "name_zh": "多", "meaning": "Buys.", "rule": "count(purchase) >= 9"}
CLUB = {"id": "club", "name": "Club", "name_zh": "会", "meaning": "Like the club."}


@pytest.fixture
def shop(tmp_path: Path) -> Taxonomy:
    (tmp_path / "shop.toml").write_text(FILE)
    (tmp_path / "tea.toml").write_text(FRAGMENT)
    return load_taxonomy(tmp_path / "shop.toml")


def test_added_scopes_stand_last_and_change_no_group(shop: Taxonomy, tmp_path: Path) -> None:
    more = added_tags(shop, read_fragment(tmp_path / "tea.toml"))
    assert more.scopes.names == ("dairy", "fresh", "all", "tea")
    assert dict(more.scopes.members)["fresh"] == ("MILK",)
    assert more.parents == (*shop.parents, 1)
    assert more.scope_of_tag == (0, 3)
    assert (more.added_verticals, more.added_tags) == (1, 1)
    assert more.base == shop
    assert more.base.hash == shop.hash
    assert [tag.id for tag in more.added.tags] == ["tea.heavy"]
    assert Taxonomy.from_dict(more.to_dict()) == more
    assert without_tag(more, "tea.heavy") == shop


def test_the_same_once_more_changes_nothing(shop: Taxonomy, tmp_path: Path) -> None:
    fragment = read_fragment(tmp_path / "tea.toml")
    more = added_tags(shop, fragment)
    assert added_tags(more, fragment) == more
    own = {"id": "dairy.buys", "name": "Dairy: buys", "name_zh": "乳品:购买", "meaning": "Buys.", "within": "dairy"}
    assert added_tags(shop, {"tag": [{**own, "rule": "count(purchase) >= 1"}]}) == shop


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ({"within": "coffee"}, "unknown vertical: 'coffee'|field within|scope.*coffee"),
        ({"rule": 'count(purchase, category="X") >= '}, "tag many, field rule"),
        ({"rule": 'count(purchase, within="coffee") >= 1'}, "unknown vertical: 'coffee'; valid: all"),
        (
            {"horizon_days": 31},
            r"longer than the outcome windows of the models: 31; valid: 1 to 30; put the tag into",
        ),
        ({"id": "dairy.buys"}, "another tag with that id: 'dairy.buys'; choose another id"),
        ({"meaningful": "x"}, "tag many, unknown field meaningful; valid: id, name"),
    ],
)
def test_what_does_not_fit_is_named(shop: Taxonomy, tag: dict[str, Any], said: str) -> None:
    with pytest.raises((TaxonomyError, RuleError), match=said):
        added_tags(shop, {"tag": [{**TAG, **tag}]})


def test_a_vertical_of_another_content_is_refused(shop: Taxonomy) -> None:
    dairy = {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK", "CHEESE"], "parent": "fresh"}
    with pytest.raises(TaxonomyError, match="another vertical with that id: 'dairy'"):
        added_tags(shop, {"vertical": [dairy], "tag": [TAG]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[pattern]]\nid = "x"\n[[tag]]\nid = "y"',
            r"more than what can be added .* 'pattern'; valid: \[\[vertical",
        ),
        ('[[vertical]]\nid = "x"', r"no \[\[tag\]\] to add"),
        ("[[tag", "not TOML"),
    ],
)
def test_a_fragment_holds_tags_and_verticals_only(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(TaxonomyError, match=said):
        read_fragment(tmp_path / "odd.toml")


def test_the_merged_file_means_the_same(shop: Taxonomy, tmp_path: Path) -> None:
    more = added_tags(shop, read_fragment(tmp_path / "tea.toml"))
    text = merged_text(tmp_path / "shop.toml", tmp_path / "tea.toml", more)
    (tmp_path / "merged.toml").write_text(text)
    merged = load_taxonomy(tmp_path / "merged.toml")
    assert merged.tag("tea.heavy") == more.tag("tea.heavy")
    assert dict(merged.scopes.members)["fresh"] == ("MILK", "TEA")
    assert merged.added_tags == 0
    (tmp_path / "shop.toml").write_text(FILE.replace("horizon_days = 30", "horizon_days = 20"))
    with pytest.raises(TaxonomyError, match=r"would mean something else than in the model: 'tea\.heavy'"):
        merged_text(tmp_path / "shop.toml", tmp_path / "tea.toml", more)
    with pytest.raises(TaxonomyError, match="no such taxonomy file"):
        merged_text(tmp_path / "none.toml", tmp_path / "tea.toml", more)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged.toml", "shop.toml", "tea.toml"]


def test_a_tag_of_a_list_has_facts_and_no_rule(shop: Taxonomy) -> None:
    more = added_seed_tag(shop, CLUB, Seeds(1_000, 7))
    tag = more.tag("club")
    assert (tag.rule, tag.horizon_days, tag.scope) == (None, 0, "all")
    assert tag.criterion == "like a list of 1,000 people"
    assert Taxonomy.from_dict(more.to_dict()) == more
    assert more.horizon_days == 30
    with pytest.raises(TaxonomyError, match=r"there is a tag with that id: 'club'.*tags remove"):
        added_seed_tag(more, CLUB, Seeds(1_000, 7))
    with pytest.raises(TaxonomyError, match="field id"):
        added_seed_tag(shop, {**CLUB, "id": "The Club"}, Seeds(1_000, 7))


def test_only_added_tags_can_be_taken_away(shop: Taxonomy) -> None:
    more = added_seed_tag(added_tags(shop, {"tag": [TAG]}), CLUB, Seeds(1_000, 7))
    assert [tag.id for tag in without_tag(more, "many").added.tags] == ["club"]
    with pytest.raises(TaxonomyError, match=r"cannot be taken out alone: 'dairy.buys'; valid: many, club"):
        without_tag(more, "dairy.buys")
    with pytest.raises(TaxonomyError, match="unknown tag: 'other'"):
        without_tag(more, "other")


def test_a_vertical_stays_as_long_as_a_rule_names_it(shop: Taxonomy, tmp_path: Path) -> None:
    more = added_tags(shop, read_fragment(tmp_path / "tea.toml"))
    more = added_tags(more, {"tag": [{**TAG, "rule": 'count(purchase, within="tea") >= 2'}]})
    left = without_tag(more, "tea.heavy")
    assert left.scopes.names[-1] == "tea"
    assert without_tag(left, "many") == shop


def test_a_document_with_neither_rule_nor_list_is_refused() -> None:
    shop = taxonomy_of({"name": "shop", "tag": [TAG]}).to_dict()
    shop["tags"][0]["rule"] = None
    with pytest.raises(TaxonomyError, match="either a rule or a list of seeds: 'many'"):
        Taxonomy.from_dict(shop)
