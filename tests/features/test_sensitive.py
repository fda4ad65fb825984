from __future__ import annotations

import pytest

from features.taxonomy.sensitive import sensitive_word
from features.taxonomy.taxonomy import load_taxonomy, taxonomy_of
from tests.source_tree import ROOT

PATTERN = {
    "id": "buys",
    "name": "{vertical}",
    "name_zh": "{vertical}",
    "meaning": "-",
    "rule": "count(purchase) >= 1",
}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, None),
        ({"id": "weight-loss"}, "weight loss"),
        ({"name": "Baby & toddler"}, "baby"),
        ({"name": "Babylon gardens"}, None),
        ({"name_zh": "母婴用品"}, "母婴"),
        ({"categories": ["MILK", "HALAL-MEAT"]}, "halal"),
        ({"name": "Essex cheese"}, None),
        ({"name": "Kosher salt"}, "kosher"),
    ],
)
def test_words_tell(change: dict[str, object], word: str | None) -> None:
    vertical = {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK"], **change}
    taxonomy = taxonomy_of({"name": "shop", "vertical": [vertical], "pattern": [PATTERN]})
    assert sensitive_word(taxonomy, taxonomy.tags[0]) == word


def test_a_rule_and_a_standard_segment_tell_too() -> None:
    free = {"name": "x", "name_zh": "x", "meaning": "-", "rule": "count(purchase) >= 1"}
    taxonomy = taxonomy_of(
        {
            "name": "shop",
            "tag": [
                {**free, "id": "a", "rule": 'count(purchase, category="ANTACIDS") >= 1'},
                {**free, "id": "b", "iab": "1281"},
                {**free, "id": "c"},
            ],
        }
    )
    assert [sensitive_word(taxonomy, tag) for tag in taxonomy.tags] == ["antacids", None, None]


def test_the_demo_keeps_most_of_its_tags() -> None:
    demo = load_taxonomy(ROOT / "examples" / "complete_journey" / "audience.toml")
    told = {tag.scope for tag in demo.tags if sensitive_word(demo, tag)}
    assert told == {"baby", "pantry-meals"}
