"""What a purchase is worth where no price is known: mean orders by brand and category."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, Self

ValueFrom = Literal["price", "brand and category", "category", "brand", "all"]
_MEANS: Final = """
with orders as (
    select brand, category, account, coalesce("order", event_id) as bought, sum(amount) as amount
    from events_ where kind = 'purchase' and amount is not null group by all
)
select brand, category, grouping(brand), grouping(category), sum(amount)::bigint,
    count(distinct (account, bought)) from orders
group by grouping sets ((brand, category), (category), (brand), ())
"""
_LEVELS: Final[tuple[tuple[ValueFrom, bool, bool], ...]] = (
    ("brand and category", True, True),
    ("category", False, True),
    ("brand", True, False),
    ("all", False, False),
)
_MOST_REMEMBERED: Final = 10_000
"""Pairs of brand and category whose value is kept."""


class Worth(NamedTuple):
    """A value in minor units, and what told it; None where nothing does."""

    value: int | None
    told_by: ValueFrom | None


class OrderValues:
    """Mean values of orders.

    Parameters
    ----------
    means
        (what told it, brand, category) → minor units; a brand or category that is not part of it is empty.

    Examples
    --------
    >>> values = OrderValues({("category", "", "tea"): 900, ("all", "", ""): 500})
    >>> values.of(None, "x", "tea"), values.of(None, "x", None), values.of(1200, "x", "tea").told_by
    (Worth(value=900, told_by='category'), Worth(value=500, told_by='all'), 'price')
    """

    def __init__(self, means: dict[tuple[ValueFrom, str, str], int]) -> None:
        self._means = means
        self._worth = lru_cache(_MOST_REMEMBERED)(self._worth_of)

    @classmethod
    def read(cls, events: Any) -> Self:
        """Take the means of all purchases of some events, a DuckDB relation; refunds are not taken back."""
        means: dict[tuple[ValueFrom, str, str], int] = {}
        for brand, category, no_brand, no_category, amount, orders in events.query("events_", _MEANS).fetchall():
            for level, by_brand, by_category in _LEVELS:
                if (by_brand, by_category) != (not no_brand, not no_category) or not orders:
                    continue
                if (by_brand and brand is None) or (by_category and category is None):
                    continue
                means[level, brand or "", category or ""] = round(amount / orders)
        return cls(means)

    def of(self, price: int | None, brand: str | None, category: str | None) -> Worth:
        """Return what a purchase of a note is worth: its price, else the nearest mean that is known."""
        return self._worth(brand, category) if price is None else Worth(price, "price")

    def _worth_of(self, brand: str | None, category: str | None) -> Worth:
        for level, by_brand, by_category in _LEVELS:
            if (by_brand and brand is None) or (by_category and category is None):
                continue
            mean = self._means.get((level, brand or "" if by_brand else "", category or "" if by_category else ""))
            if mean is not None:
                return Worth(mean, level)
        return Worth(None, None)

    def to_json(self) -> bytes:
        """Write the means."""
        return json.dumps([[*key, mean] for key, mean in sorted(self._means.items())]).encode()

    @classmethod
    def of_json(cls, text: bytes) -> Self:
        """Read what `to_json` wrote."""
        return cls({(level, brand, category): mean for level, brand, category, mean in json.loads(text)})
