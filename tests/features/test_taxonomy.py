from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from features.errors import RuleError, TaxonomyError
from features.taxonomy.taxonomy import Taxonomy, load_taxonomy, taxonomy_of

DAIRY = {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK", "CHEESE"], "parent": "fresh"}
SNACKS = {"id": "snacks", "name": "Snacks", "name_zh": "零食", "categories": ["CHIPS"], "numbers": {"days": 3}}
FRUIT = {"id": "fruit", "name": "Fruit", "name_zh": "水果", "categories": ["APPLES", "MILK"], "parent": "fresh"}
FRESH = {"id": "fresh", "name": "Fresh", "name_zh": "生鲜"}
OFTEN = {
    "id": "often",
    "name": "{vertical}: often",
    "name_zh": "{vertical}:常买",
    "meaning": "Buys {vertical} on {days} of {horizon} days.",
    "rule": "days(purchase) >= {days}",
    "numbers": {"days": 1},
}
FREE = {"id": "free", "name": "Free", "name_zh": "自由", "meaning": "Any.", "rule": "count(click) >= 1"}


def content(**changes: Any) -> dict[str, Any]:
    plain = {
        "name": "shop",
        "group": [FRESH],
        "vertical": [DAIRY, SNACKS, FRUIT],
        "pattern": [OFTEN],
        "tag": [FREE],
    }
    return {**plain, **changes}


def test_tags_are_verticals_times_patterns_and_free_ones() -> None:
    tags = taxonomy_of(content()).tags
    assert [tag.id for tag in tags] == ["dairy.often", "snacks.often", "fruit.often", "free"]
    snacks = tags[1]
    assert (snacks.name, snacks.name_zh, snacks.scope) == ("Snacks: often", "零食:常买", "snacks")
    assert (snacks.pattern, snacks.version, snacks.horizon_days, snacks.iab) == ("often", 1, 30, None)
    assert snacks.meaning == "Buys Snacks on 3 of 30 days."
    assert str(snacks.rule) == "days(purchase) >= 3"
    assert (tags[3].scope, tags[3].pattern) == ("all", "")


def test_scopes_are_verticals_groups_and_everything() -> None:
    taxonomy = taxonomy_of(content())
    assert taxonomy.scopes.members == (
        ("dairy", ("MILK", "CHEESE")),
        ("snacks", ("CHIPS",)),
        ("fruit", ("APPLES", "MILK")),
        ("fresh", ("MILK", "CHEESE", "APPLES")),
        ("all", ("*",)),
    )
    assert taxonomy.parents == (3, 4, 3, 4, -1)


@pytest.mark.parametrize(
    ("pattern", "vertical", "expected"),
    [
        ({"only": ["dairy", "fruit"]}, {}, ["dairy", "fruit"]),
        ({"except": ["dairy"]}, {}, ["snacks", "fruit"]),
        ({"only": ["dairy", "fruit"], "except": ["dairy"]}, {}, ["fruit"]),
        ({}, {"patterns": []}, ["snacks", "fruit"]),
        ({}, {"patterns": ["often"]}, ["dairy", "snacks", "fruit"]),
    ],
)
def test_combinations_can_be_left_out(pattern: Any, vertical: Any, expected: list[str]) -> None:
    made = taxonomy_of(content(pattern=[OFTEN | pattern], vertical=[DAIRY | vertical, SNACKS, FRUIT], tag=[]))
    assert [tag.scope for tag in made.tags] == expected


def test_horizon_version_and_iab_go_from_the_nearest_entry() -> None:
    own = {"horizon_days": 7, "version": 2, "iab": "902"}
    vertical = DAIRY | {"iab": "1133"}
    plain, special = (
        taxonomy_of(
            content(vertical=[vertical], pattern=[OFTEN | {"numbers": {"days": 2}} | more], horizon_days=14)
        )
        for more in ({}, own)
    )
    assert [(t.horizon_days, t.version, t.iab) for t in plain.tags] == [(14, 1, "1133"), (14, 1, None)]
    assert [(t.horizon_days, t.version, t.iab) for t in special.tags] == [(7, 2, "902"), (14, 1, None)]


def test_a_tag_id_may_follow_another_template() -> None:
    made = taxonomy_of(content(pattern=[OFTEN | {"tag": "{vertical}"}], tag=[]))
    assert [tag.id for tag in made.tags] == ["dairy", "snacks", "fruit"]


def test_a_taxonomy_survives_json() -> None:
    taxonomy = taxonomy_of(content())
    again = Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict())))
    assert again == taxonomy
    assert again.hash == taxonomy.hash
    assert len(taxonomy.hash) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"tag": []},
        {"tag": [FREE | {"rule": "count(click) >= 2"}]},
        {"group": [FRESH | {"name": "F"}]},
    ],
)
def test_the_hash_follows_the_content(change: dict[str, Any]) -> None:
    assert taxonomy_of(content(**change)).hash != taxonomy_of(content()).hash


def test_a_document_that_is_no_taxonomy_is_refused() -> None:
    with pytest.raises(TaxonomyError, match="not a taxonomy document"):
        Taxonomy.from_dict({"name": "shop"})
    with pytest.raises(TaxonomyError, match="not a taxonomy document"):
        Taxonomy.from_dict(taxonomy_of(content()).to_dict() | {"tags": [{"id": "x"}]})


def test_a_tag_is_found_by_id_or_valid_ones_are_named() -> None:
    taxonomy = taxonomy_of(content())
    assert taxonomy.tag("dairy.often").scope == "dairy"
    with pytest.raises(TaxonomyError, match=r"unknown tag: 'dairy.seldom'; valid: dairy.often$"):
        taxonomy.tag("dairy.seldom")
    with pytest.raises(TaxonomyError, match=r"unknown tag: 'x'; valid: dairy.often, snacks.often"):
        taxonomy.tag("x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertical": [DAIRY | {"colour": "red"}]}, "vertical dairy, unknown field colour; valid: id, name"),
        ({"vertical": [{"id": "dairy"}]}, "vertical dairy, field name is missing; valid: id, name, name_zh"),
        ({"vertical": [{"name": "x"}]}, "vertical number 1, field id is missing"),
        ({"vertical": [DAIRY | {"id": "Dairy!"}]}, "vertical Dairy!, field id: .*: 'Dairy!'"),
        ({"vertical": [DAIRY, DAIRY]}, "two verticals or groups have the id: 'dairy'"),
        ({"vertical": [DAIRY | {"id": "all"}]}, "two verticals or groups have the id: 'all'"),
        ({"vertical": [DAIRY | {"parent": "frozen"}]}, "field parent: unknown group: 'frozen'; valid: fresh"),
        ({"vertical": [DAIRY | {"categories": ["*"]}]}, "vertical dairy, field categories: not category codes"),
        ({"vertical": [DAIRY | {"categories": []}]}, "vertical dairy, field categories: "),
        ({"vertical": [DAIRY | {"categories": ["A", "A"]}]}, "vertical dairy, field categories: named twice: 'A'"),
        ({"vertical": [DAIRY | {"numbers": {"dais": 2}}]}, "field numbers: no pattern has it: 'dais'; valid: days"),
        ({"vertical": [DAIRY | {"numbers": {"days": True}}]}, "vertical dairy, field numbers.days"),
        ({"vertical": [DAIRY | {"patterns": ["seldom"]}]}, "unknown pattern: 'seldom'; valid: often"),
        ({"vertical": [DAIRY | {"iab": "0"}]}, "tag dairy.often, field iab: no such segment"),
        ({"pattern": [OFTEN | {"only": ["milk"]}]}, "pattern often, field only: unknown vertical: 'milk'"),
        ({"pattern": [OFTEN | {"except": ["milk"]}]}, "pattern often, field except: unknown vertical: 'milk'"),
        ({"pattern": [OFTEN | {"meaning": "{Vertical}"}]}, "unknown placeholder: 'Vertical'; valid: vertical"),
        ({"pattern": [OFTEN | {"tag": "x"}]}, "two tags have the id: 'x'"),
        ({"pattern": [OFTEN | {"tag": "{vertical} x"}]}, "a tag's id is small letters and digits"),
        ({"pattern": [OFTEN | {"horizon_days": 0}]}, "pattern often, field horizon_days: .*: 0"),
        ({"pattern": [OFTEN | {"horizon_days": "7"}]}, "pattern often, field horizon_days: .*: '7'"),
        ({"tag": [FREE | {"within": "milk"}]}, "tag free, field within: unknown vertical: 'milk'"),
        ({"tag": [FREE, FREE]}, "two tags have the id: 'free'"),
        ({"pattern": [], "vertical": [], "tag": []}, r"a taxonomy without tags; add a \[\[pattern\]\]"),
        ({"colour": "red"}, "unknown field colour; valid: name, version"),
        ({"name": ""}, "field name: "),
        ({"vertical": "dairy"}, "field vertical: .*list"),
        ({"vertical": ["dairy"]}, "vertical number 1, field : .*: 'dairy'|vertical"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TaxonomyError, match=message):
        taxonomy_of(content(**change))


def test_a_rule_is_checked_when_the_taxonomy_is() -> None:
    with pytest.raises(
        RuleError, match="tag free, field rule, line 1, column 24: unknown vertical: 'x'; valid: all, dairy"
    ):
        taxonomy_of(content(tag=[FREE | {"rule": 'count(purchase, within="x") >= 1'}]))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TaxonomyError, match=r"^there is no such taxonomy file: '.*none.toml'; zhongcao taxonomy propose"
    ):
        load_taxonomy(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ", encoding="utf-8")
    with pytest.raises(TaxonomyError, match=r"the taxonomy file is not TOML: .*broken.toml"):
        load_taxonomy(broken)
    broken.write_text('name = "shop"\nsource = "till"\n', encoding="utf-8")
    with pytest.raises(TaxonomyError, match=r"broken.toml: unknown field source; valid: name, version"):
        load_taxonomy(broken)
    tag = 'name = "a"\nname_zh = "甲"\nmeaning = "A."\nrule = "count(clik) >= 1"'
    broken.write_text(f'name = "shop"\n[[tag]]\nid = "a"\n{tag}\n', encoding="utf-8")
    with pytest.raises(RuleError, match=r"broken.toml: tag a, field rule, line 1"):
        load_taxonomy(broken)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed.toml"
    closed.touch()

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(closed))

    monkeypatch.setattr(Path, "read_text", refuse)
    message = r"the taxonomy file cannot be read \(Permission denied\): '.*closed.toml'; check who may read it"
    with pytest.raises(TaxonomyError, match=message):
        load_taxonomy(closed)
