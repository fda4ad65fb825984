"""Every rule and file shown in the language reference is one that the code takes."""

from __future__ import annotations

import re
import tomllib

import pytest

from features.definitions import CONDITIONS
from features.taxonomy.rule_parser import COUNTED, SUMMED
from features.taxonomy.rules import parse_rule
from features.taxonomy.taxonomy import taxonomy_of
from tests.source_tree import ROOT

TEXT = (ROOT / "docs" / "taxonomy.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
RULES = [
    rule
    for language, body in FENCED
    if not language
    for rule in re.split(r"\n(?=\S)", body.strip())
]  # fmt: skip


def test_rules_are_found() -> None:
    assert len(RULES) == 16


@pytest.mark.parametrize("rule", RULES)
def test_a_shown_rule_can_be_read(rule: str) -> None:
    assert parse_rule(rule, scopes=["dairy", "snacks"]).measurements


def test_the_shown_file_makes_the_tags_that_are_named() -> None:
    (file,) = (tomllib.loads(body) for language, body in FENCED if language == "toml")
    tags = [tag.id for tag in taxonomy_of(file).tags]
    assert tags == ["dairy.will-buy", "snacks.will-buy", "dairy.own-label", "fading"]
    assert all(f"`{tag}`" in TEXT for tag in tags)


def test_columns_and_conditions_are_listed() -> None:
    assert all(re.search(rf"\b{column}", TEXT) for column in SUMMED)
    assert all(f'"{condition}"' in TEXT for condition in CONDITIONS)
    row = next(line for line in TEXT.splitlines() if line.startswith("| `distinct("))
    assert all(re.search(rf"\b{column}\b", row) for column in COUNTED)
