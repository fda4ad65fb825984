"""The declared statistics of an impression row; names derive from the declarations.

Interest is counted over at most 90 days and purchases over all of the past, so that a store of persons' histories
may forget interest that is older (`REACH_DAYS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from features.definitions import ALL_PAST, Aggregate, kinds_name, past

REACH_DAYS: Final = 90
"""How far back interest events count; those of ``KEPT_KINDS`` count for ever."""
KEPT_KINDS: Final = ("purchase",)
PRIOR_DAYS: Final = 30
"""Window of the rates over everybody that a rate is drawn to."""

SEEN: Final = ("impression",)
CLICK: Final = ("click",)
READ: Final = ("read",)
DEEP_ACT: Final = ("save", "comment", "share", "follow")
LIKE: Final = ("like",)
LINK: Final = ("link_click",)
VISIT: Final = ("store_visit",)
VIEW: Final = ("item_view", "favourite")
CART: Final = ("cart",)
BUY: Final = ("purchase",)
HIDE: Final = ("hide",)
SEARCH: Final = ("search",)


@dataclass(frozen=True)
class Count:
    """A statistic as it is: the name is the key's and the aggregate's.

    Examples
    --------
    >>> Count("person_brand", Aggregate(CART, window=past(7))).name
    'person_brand_cart_count_7d'
    """

    of: str
    aggregate: Aggregate

    @cached_property
    def name(self) -> str:
        """Name of the column."""
        return f"{self.of}_{self.aggregate.name}"

    @cached_property
    def needs(self) -> tuple[Aggregate, ...]:
        """What must be measured."""
        return (self.aggregate,)


@dataclass(frozen=True)
class Rate:
    """A count over another, drawn to everybody's rate: (top + weight × prior) / (base + weight).

    The prior is the same rate over everybody in the ``PRIOR_DAYS`` days up to the start of the row's day.

    Examples
    --------
    >>> Rate("note", Aggregate(CLICK, window=past(7)), Aggregate(SEEN, window=past(7)), 50).name
    'note_click_per_impression_7d'
    """

    of: str
    top: Aggregate
    base: Aggregate
    weight: int

    @cached_property
    def name(self) -> str:
        """Name of the column."""
        shown = [
            "_".join(part for part in (kinds_name(a.kinds), a.condition) if part) for a in (self.top, self.base)
        ]
        return f"{self.of}_{shown[0]}_per_{shown[1]}_{self.top.window}"

    @cached_property
    def needs(self) -> tuple[Aggregate, ...]:
        """What must be measured."""
        return (self.top, self.base)


Statistic: TypeAlias = Count | Rate


def _counts(of: str, kinds: tuple[str, ...], *days: int | None, condition: str | None = None) -> list[Statistic]:
    windows = [ALL_PAST if d is None else past(d) for d in days]
    return [Count(of, Aggregate(kinds, window=window, condition=condition)) for window in windows]


def _recency(of: str, kinds: tuple[str, ...], days: int | None = REACH_DAYS) -> Statistic:
    return Count(of, Aggregate(kinds, "recency", window=ALL_PAST if days is None else past(days)))


def _rates(of: str, days: int, weight: int, *pairs: tuple[Aggregate, Aggregate]) -> list[Statistic]:
    return [Rate(of, _over(top, days), _over(base, days), weight) for top, base in pairs]


def _over(aggregate: Aggregate, days: int) -> Aggregate:
    return Aggregate(aggregate.kinds, condition=aggregate.condition, window=past(days))


_SEEN, _CLICK, _DEEP = Aggregate(SEEN), Aggregate(CLICK), Aggregate(READ, condition="deep_read")
_CTR = (_CLICK, _SEEN)
_AD_CTR = (Aggregate(CLICK, condition="paid"), Aggregate(SEEN, condition="paid"))
_DEEP_RATE, _LIKE_RATE = (_DEEP, _CLICK), (Aggregate(LIKE), _CLICK)
_DEEP_ACT_RATE, _LINK_RATE = (Aggregate(DEEP_ACT), _CLICK), (Aggregate(LINK), _CLICK)
_VISIT_RATE, _CART_RATE = (Aggregate(VISIT), Aggregate(LINK)), (Aggregate(CART), Aggregate(VISIT))
_BUY_RATE, _HIDE_RATE = (Aggregate(BUY), Aggregate(VISIT)), (Aggregate(HIDE), _SEEN)

PERSON: Final[tuple[Statistic, ...]] = (
    *_counts("person", SEEN, 1, 7, 30),
    *_counts("person", SEEN, 1, 7, 30, condition="paid"),
    *_counts("person", CLICK, 1, 7, 30, 90),
    *_counts("person", READ, 7, 90, condition="deep_read"),
    *_counts("person", DEEP_ACT, 7, 90),
    *_counts("person", SEARCH, 7, 30),
    *_counts("person", LINK, 7, 90),
    *_counts("person", VISIT, 7, 90),
    *_counts("person", VIEW, 30),
    *_counts("person", CART, 7, 90),
    *_counts("person", BUY, 30, 90, None),
    *_counts("person", HIDE, 90),
    _recency("person", SEEN),
    _recency("person", CLICK),
    _recency("person", LINK),
    _recency("person", BUY, None),
    *_rates(
        "person", 90, 20, _CTR, _AD_CTR, _DEEP_RATE, _LIKE_RATE, _DEEP_ACT_RATE, _LINK_RATE, _VISIT_RATE,
        _CART_RATE, _BUY_RATE, _HIDE_RATE,
    ),
)  # fmt: skip
"""Activity, load with advertisements, and response along the chain."""

FATIGUE: Final[tuple[Statistic, ...]] = (
    *_counts("person_note", SEEN, 1, 7, 30),
    *_counts("person_note", CLICK, 30),
    *_counts("person_note", LINK, 30),
    _recency("person_note", SEEN),
    _recency("person_note", CLICK),
    *_counts("person_campaign", SEEN, 1, 7, 30),
    *_counts("person_campaign", CLICK, 7, 30),
    *_counts("person_campaign", LINK, 30),
    *_counts("person_campaign", HIDE, 30),
    _recency("person_campaign", SEEN),
)
"""How often this note and campaign were seen before, and what came of it."""

TASTE: Final[tuple[Statistic, ...]] = (
    *_counts("person_creator", SEEN, 7, 30),
    *_counts("person_creator", CLICK, 30, 90),
    *_counts("person_creator", DEEP_ACT, 90),
    *_counts("person_creator", HIDE, 90),
    *_rates("person_creator", 90, 20, _CTR),
    *_counts("person_topic", SEEN, 30),
    *_counts("person_topic", CLICK, 7, 30, 90),
    *_counts("person_topic", READ, 30, condition="deep_read"),
    *_counts("person_topic", SEARCH, 30),
    *_rates("person_topic", 90, 20, _CTR),
    *_counts("person_category", SEEN, 7, 30),
    *_counts("person_category", CLICK, 1, 7, 30, 90),
    *_counts("person_category", READ, 7, 90, condition="deep_read"),
    *_counts("person_category", DEEP_ACT, 90),
    *_counts("person_category", LINK, 7, 90),
    *_counts("person_category", HIDE, 90),
    _recency("person_category", CLICK),
    *_rates("person_category", 90, 20, _CTR, _DEEP_RATE, _LINK_RATE),
    *_counts("person_vertical", SEEN, 30),
    *_counts("person_vertical", CLICK, 7, 90),
    *_counts("person_vertical", LINK, 90),
    *_counts("person_vertical", BUY, 90, None),
    *_rates("person_vertical", 90, 20, _CTR),
)
"""What the person likes, by creator, topic, category and vertical."""

DESIRE: Final[tuple[Statistic, ...]] = (
    *_counts("person_brand", SEEN, 1, 7, 30),
    *_counts("person_brand", CLICK, 1, 3, 7, 14, 30, 90),
    *_counts("person_brand", READ, 1, 3, 7, 14, 30, condition="deep_read"),
    *_counts("person_brand", DEEP_ACT, 7, 30, 90),
    *_counts("person_brand", SEARCH, 1, 7, 30),
    *_counts("person_brand", LINK, 1, 7, 30),
    *_counts("person_brand", VISIT, 1, 7, 30),
    *_counts("person_brand", VIEW, 7, 30),
    *_counts("person_brand", CART, 1, 7, 30),
    *_counts("person_brand", BUY, 30, None),
    *_counts("person_brand", HIDE, 90),
    *(_recency("person_brand", kinds) for kinds in (CLICK, SEARCH, LINK, VISIT, CART)),
    _recency("person_brand", BUY, None),
    *_rates("person_brand", 90, 20, _CTR, _LINK_RATE),
    *_counts("person_category", SEARCH, 7),
    *_counts("person_category", VISIT, 7, 30),
    *_counts("person_category", VIEW, 7, 30),
    *_counts("person_category", CART, 7, 30),
    *_counts("person_items", VIEW, 30),
    *_counts("person_items", CART, 30),
    *_counts("person_items", BUY, 30, 90, None),
    _recency("person_items", BUY, None),
    Count("person_items", Aggregate(BUY, "days")),
)
"""Signs that the person wants the brand, the category or the note's items now."""

STOCK: Final[tuple[Statistic, ...]] = (
    *_counts("person_category", BUY, 7, 30, 90, None),
    _recency("person_category", BUY, None),
    Count("person_category", Aggregate(BUY, "days")),
    Count("person_category", Aggregate(BUY, "tenure")),
)
"""Whether the person has just bought of the category."""

NOTE: Final[tuple[Statistic, ...]] = (
    *_counts("note", SEEN, 1, 30),
    *_counts("note", CLICK, 30),
    *_counts("note", LINK, 30),
    *_counts("note", BUY, 30),
    *_rates("note", 7, 50, _CTR),
    *_rates(
        "note", 30, 50, _CTR, _DEEP_RATE, _LIKE_RATE, _DEEP_ACT_RATE, _LINK_RATE, _VISIT_RATE, _CART_RATE,
        _BUY_RATE, _HIDE_RATE,
    ),
    *_rates("note_platform", 30, 50, _CTR, _LINK_RATE),
    *_rates("creator", 30, 50, _CTR, _DEEP_RATE, _LINK_RATE, _HIDE_RATE),
    *_rates("topic", 30, 50, _CTR, _LINK_RATE),
    *_counts("brand", BUY, 7, 30),
    *_rates("brand", 30, 50, _CTR, _LINK_RATE, _VISIT_RATE, _BUY_RATE),
    *_counts("category", BUY, 7, 30),
    *_rates("category", 30, 50, _CTR, _LINK_RATE, _CART_RATE, _BUY_RATE),
    *_counts("item", BUY, 30),
)  # fmt: skip
"""How well the note, its creator, brand, category and item do with everybody."""

STATISTICS: Final[tuple[Statistic, ...]] = (*PERSON, *FATIGUE, *TASTE, *DESIRE, *STOCK, *NOTE)


def priors(statistics: Iterable[Statistic]) -> dict[Rate, tuple[Aggregate, Aggregate]]:
    """Return which counts over everybody each rate is drawn to."""
    return {s: (_over(s.top, PRIOR_DAYS), _over(s.base, PRIOR_DAYS)) for s in statistics if isinstance(s, Rate)}
