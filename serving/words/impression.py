"""Features of an impression in words: what its row says of the person, the note and the two together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.impressions.columns import STATISTICS, Count, Rate, Statistic
from serving.messages.schemas import FactorAnswer
from serving.words import en as words_en
from serving.words import impression_en as words_impression_en
from serving.words import impression_zh as words_impression_zh
from serving.words import zh as words_zh
from serving.words.factors import Language
from serving.words.measured import Measured
from training.conversion.explain import explain
from training.conversion.model import ConversionModel

_SPEECH: Final[dict[Language, tuple[ModuleType, ModuleType]]] = {
    "en": (words_en, words_impression_en),
    "zh": (words_zh, words_impression_zh),
}
_SCORE: Final = "score_"
_PERSON: Final = "person"
_DIGITS: Final = 6


def explained(
    model: ConversionModel,
    rows: NDArray[np.float32],
    target: str,
    most: int = 5,
    names: Sequence[Mapping[str, str]] = (),
) -> list[list[FactorAnswer]]:
    """Return the strongest reasons for each candidate's probability of a target, in words.

    Parameters
    ----------
    model
        The conversion model.
    rows
        The candidates' impression rows, float32 [n, F].
    target
        One of the model's targets.
    most
        Reasons per candidate.
    names
        For each candidate what its ``brand``, ``category``, ``topic`` and so on are called; "this brand" without.

    Raises
    ------
    FeatureError
        The model has no such target, or the rows have another number of columns.
    """
    return [
        [
            FactorAnswer(
                words=impression_in_words(factor.feature, factor.value, "en", called),
                words_zh=impression_in_words(factor.feature, factor.value, "zh", called),
                feature=factor.feature,
                value=factor.value if math.isfinite(factor.value) else None,
                effect=round(factor.effect, _DIGITS),
            )
            for factor in explanation.strongest(most)
        ]
        for explanation, called in zip(explain(model, rows, target), names or [{}] * len(rows), strict=True)
    ]


def impression_in_words(
    feature: str, value: float, language: Language = "en", names: Mapping[str, str] | None = None
) -> str:
    """Say in a few words what a column of an impression row means.

    Parameters
    ----------
    feature
        Name of the column.
    value
        Its value; NaN where it is missing.
    language
        ``en`` or ``zh``.
    names
        What the note's ``brand``, ``category``, ``topic`` and so on are called.

    Examples
    --------
    >>> impression_in_words("person_brand_click_count_7d", 3)
    'opened notes about this brand 3 times in the last 7 days'
    >>> impression_in_words("person_category_purchase_recency_all", 12.0, names={"category": "Skin care"})
    'last bought Skin care 12 days ago'
    >>> impression_in_words("note_click_per_impression_30d", 0.052)
    'people opened it after about 5.2 % of views of this note in the last 30 days'
    >>> impression_in_words("person_note_impression_count_7d", 2, "zh")
    '近7天看到这篇笔记2次'
    """
    measured, impression = _SPEECH[language]
    statistic = _statistics().get(feature)
    if statistic is None:
        if feature.startswith(_SCORE):
            return str(impression.score(feature.removeprefix(_SCORE), value))
        return str(impression.context(feature, value))
    key = statistic.of.removeprefix(_PERSON).removeprefix("_")
    everybody = not statistic.of.startswith(_PERSON)
    called = (names or {}).get(key)
    recency = isinstance(statistic, Count) and statistic.aggregate.measure in {"recency", "tenure"}
    if math.isnan(value) and not recency:
        # A person's own counts and rates are always known; others are missing where the note has no such thing.
        return str(impression.missing(key))
    if isinstance(statistic, Rate):
        kinds = tuple("+".join(side.kinds) for side in (statistic.top, statistic.base))
        paid = statistic.base.condition == "paid"
        days = statistic.top.window.days
        return str(impression.rate(kinds, value, days, key, called, everybody=everybody, paid=paid))
    said = measured.measured(_measured(statistic), value, impression.PLACE if key else None)
    return str(impression.placed(said, key, called, everybody=everybody))


@cache
def _statistics() -> dict[str, Statistic]:
    return {statistic.name: statistic for statistic in STATISTICS}


def _measured(statistic: Count) -> Measured:
    aggregate = statistic.aggregate
    days = aggregate.window.days
    return Measured(aggregate.kinds, aggregate.measure, aggregate.of, aggregate.condition, days)
