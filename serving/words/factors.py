"""Factors in words: what a feature's name and value say about a person, in English and in Chinese."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Final, Literal

from features.definitions import CONDITIONS, MEASURES
from features.events import EVENTS
from features.rows.derived import FUNCTIONS
from features.taxonomy.rule_parser import EVERYWHERE
from features.taxonomy.taxonomy import Taxonomy
from serving.words import en as words_en
from serving.words import zh as words_zh
from serving.words.measured import Measured
from training.tags.outlook import OUTLOOK

Language = Literal["en", "zh"]
_SPEECH: Final[dict[Language, ModuleType]] = {"en": words_en, "zh": words_zh}

_AGGREGATE: Final = re.compile(
    r"(?P<kinds>[a-z_+]+?)"
    rf"_(?P<measure>{'|'.join(MEASURES)})(?P<half_life>\d+)?"
    rf"(?:(?:(?<=_sum)|(?<=_distinct))_(?P<of>{'|'.join(c.name for c in EVENTS.columns)}))?"
    rf"(?:_(?P<condition>{'|'.join(CONDITIONS)}))?"
    r"_(?:(?P<days>\d+)d|all)"
)
_DERIVED: Final = re.compile(rf"(?P<first>.+)_(?P<function>{'|'.join(FUNCTIONS)})")
_OUTCOME: Final = re.compile(r"outcome_(?:lag(?P<lag>\d+)|(?P<mean>mean))")
_DAY_SECONDS: Final = 86_400
_DECAY_UNIT: Final = 65_536


@dataclass(frozen=True)
class Vocabulary:
    """Names that people read, by scope and by tag; the number beside a tag's names is its horizon in days."""

    scopes: Mapping[str, tuple[str, str]]
    tags: Mapping[str, tuple[str, str, int]]

    @classmethod
    def of(cls, taxonomy: Taxonomy) -> Vocabulary:
        """Take the names from a taxonomy."""
        groups = {group.id: (group.name, group.name_zh) for group in taxonomy.groups}
        verticals = {vertical.id: (vertical.name, vertical.name_zh) for vertical in taxonomy.verticals}
        return cls(
            groups | verticals,
            {tag.id: (tag.name, tag.name_zh, tag.horizon_days) for tag in taxonomy.tags},
        )


def in_words(feature: str, value: float, vocabulary: Vocabulary, language: Language = "en") -> str:
    """Say in a few words what a feature's value means.

    Parameters
    ----------
    feature
        Column name: ``<name>``, ``<name>@<scope>`` or ``<name>#<tag>``.
    value
        Its value; NaN where it is missing.
    vocabulary
        Names of scopes and tags.
    language
        ``en`` or ``zh``.

    Examples
    --------
    >>> names = Vocabulary({"dairy": ("Dairy", "乳品")}, {"dairy.will-buy": ("Dairy: will buy", "乳品:将购买", 30)})
    >>> in_words("purchase_count_30d@dairy", 3, names)
    'bought dairy 3 times in the last 30 days'
    >>> in_words("purchase_recency_all@dairy", 12 * 86_400, names)
    'last bought dairy 12 days ago'
    >>> in_words("outcome_lag1#dairy.will-buy", 1, names)
    '“Dairy: will buy” was true in the previous 30 days'
    >>> in_words("purchase_count_30d@dairy", 3, names, "zh")
    '近30天购买乳品3次'
    """
    column = 0 if language == "en" else 1
    speech = _SPEECH[language]
    name, _, tag = feature.partition("#")
    name, _, scope = name.partition("@")
    thing = None if scope in ("", EVERYWHERE) else vocabulary.scopes.get(scope, (scope, scope))[column]
    if found := _AGGREGATE.fullmatch(name):
        return str(speech.measured(_measured(found), _in_units(found["measure"], value), thing))
    if (found := _DERIVED.fullmatch(name)) and (first := _AGGREGATE.fullmatch(found["first"])):
        return str(speech.derived(found["function"], _measured(first), value, thing))
    if found := _OUTCOME.fullmatch(name):
        names = vocabulary.tags.get(tag, (tag, tag, 0))
        return str(speech.outcome(names[column], int(found["lag"] or 0), names[2], value))
    if name == OUTLOOK:
        return str(speech.outlook(vocabulary.tags.get(tag, (tag, tag, 0))[column], value))
    return str(speech.other(name, value, thing))


def _measured(found: re.Match[str]) -> Measured:
    return Measured(
        kinds=tuple(found["kinds"].split("+")),
        measure=found["measure"],
        of=found["of"],
        condition=found["condition"],
        days=int(found["days"]) if found["days"] else None,
    )


def _in_units(measure: str, value: float) -> float:
    """Seconds become days, and the fixed-point unit of decayed sums becomes events."""
    if math.isnan(value):
        return value
    return value / {"recency": _DAY_SECONDS, "tenure": _DAY_SECONDS, "decayed": _DECAY_UNIT}.get(measure, 1)
