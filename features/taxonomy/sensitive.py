"""What is sensitive by its words: health, beliefs, origin, sex, children, hardship; never a segment for others."""

from __future__ import annotations

import re
from typing import Final

from features.taxonomy.iab import iab_node
from features.taxonomy.taxonomy import Tag, Taxonomy

_ENGLISH: Final = {
    "health": "health ?care|medic(al|ines?|ations?)|drugs?|pharma\\w*|diseases?|diabet\\w*|cancer|hiv|mental|"
    "therapy|cold and flu|flu|sinus|allerg\\w*|analgesics?|antacids?|laxatives?|vitamins?|supplements?|first aid|"
    "incontinence|hearing|eye and ear\\w*|feminine|diet(s|ing|ary|ers?)?|slimming|weight (loss|control)|"
    "cigarettes?|tobacco|smok(er|ers|ing)|vap(e|ing)",
    "family planning": "family planning|pregnan\\w*|fertility|contracept\\w*|condoms?|maternity",
    "children": "child(ren|hood)?|kids?|bab(y|ies)|infants?|toddlers?|diapers?|toys?|juvenile|school",
    "beliefs": "religio\\w*|church\\w*|christian\\w*|muslim\\w*|islam\\w*|jewish|buddhis\\w*|hindu\\w*|bible|quran|"
    "halal|kosher|politic\\w*|elections?|trade unions?",
    "origin": "ethnic\\w*|hispanic|latin[oax]s?|african[ -]american|immigrant\\w*",
    "sex": "sex\\w*|gay|lesbian\\w*|lgbt\\w*|transgender|erotic\\w*|lingerie",
    "hardship": "debts?|bankrupt\\w*|payday|gambl\\w*|lotter(y|ies)|unemploy\\w*|criminal\\w*",
}
_CHINESE: Final = (
    "药|医疗|医院|疾病|病|保健|减肥|瘦身|减脂|避孕|备孕|孕|不育|烟|婴|儿童|童装|玩具|宝宝|母婴|纸尿裤|奶粉|未成年|"
    "宗教|佛|基督|伊斯兰|清真|政治|民族|少数族|性用品|情趣|同性恋|负债|贷款逾期|破产|赌博|彩票|失业"
)
_WORDS: Final = re.compile(rf"(?<![a-z])(?:{'|'.join(_ENGLISH.values())})(?![a-z])|{_CHINESE}")
_EVERYTHING: Final = "*"


def sensitive_word(taxonomy: Taxonomy, tag: Tag) -> str | None:
    """Return the word that makes a tag sensitive; None where none does.

    Read are its id, its names, its rule, the categories that it is measured within, and the name of its segment in
    the IAB's taxonomy. A word too many costs a segment, a word too few a person's secret: so the list is long.

    Examples
    --------
    >>> from features.taxonomy.taxonomy import taxonomy_of
    >>> pattern = {"id": "buys", "name": "{vertical}", "name_zh": "{vertical}", "meaning": "-",
    ...            "rule": "count(purchase) >= 1"}
    >>> verticals = [{"id": "care", "name": "Care", "name_zh": "护理", "categories": ["SOAP", "COLD AND FLU"]},
    ...              {"id": "dairy", "name": "Dairy", "name_zh": "乳品", "categories": ["MILK"]}]
    >>> shop = taxonomy_of({"name": "shop", "vertical": verticals, "pattern": [pattern]})
    >>> [sensitive_word(shop, tag) for tag in shop.tags]
    ['cold and flu', None]
    """
    categories = [c for c in dict(taxonomy.scopes.members)[tag.scope] if c != _EVERYTHING]
    segment = () if tag.iab is None else iab_node(tag.iab).path[1:]
    texts = (tag.id, tag.name, tag.name_zh, str(tag.rule or ""), *categories, *segment)
    found = (_WORDS.search(re.sub(r"[_.-]", " ", text.lower())) for text in texts)
    return next((match[0] for match in found if match), None)
