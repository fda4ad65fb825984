"""The features that models read by default, as data: edit the lists, and every name and column follows.

Impressions are by far the most numerous events, so nothing here looks at those of more than 90 days ago.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from features.definitions import ALL_PAST, Aggregate, Measure, Window, past
from features.events import KINDS
from features.rows.derived import Derived, Feature, inputs_of
from features.rows.layout import HISTORY, RowLayout
from features.taxonomy.taxonomy import Taxonomy

BUY: Final = ("purchase",)
SEEN: Final = ("impression",)
CLICK: Final = ("click",)
READ: Final = ("read",)
DEEP: Final = ("like", "save", "comment", "share", "follow", "search", "link_click")
SHOP: Final = ("store_visit", "item_view", "favourite", "cart")
CART: Final = ("cart",)
REFUND: Final = ("refund",)

WIDE: Final = ("purchase_decayed90_all",)
"""What a head reads of every scope. On Complete Journey's validation window one such column ranked better than two,
three or six (recency, counts and label history beside it) at a fraction of the training time."""


def default_person_features(kinds_present: Collection[str] = KINDS) -> tuple[Feature, ...]:
    """Return the features over all events of a person.

    Parameters
    ----------
    kinds_present
        Event kinds that the log holds; a feature that needs another is left out.
    """
    return _held(
        (
            *_counts(BUY, 1, 3, 7, 15, 30, 90, None),
            *_days(BUY, 7, 30, 90, None),
            *_sums("amount", 30, 90, None),
            *_sums("quantity", 90),
            *_sums("discount", 90),
            *_sums("coupon", 90),
            *_rhythm(BUY),
            *_decayed(BUY, 7, 30, 90),
            *(_share(condition, 90) for condition in ("discounted", "coupon", "own_label")),
            *(_distinct(of, 90) for of in ("item", "brand", "shop")),
            *(_distinct("category", days) for days in (30, 90, None)),
            _price(90),
            _price(None),
            _newness(BUY),
            *_counts(SEEN, 7, 30, 90),
            *_recency(SEEN, 90),
            *_counts(CLICK, 7, 30, 90),
            *_recency(CLICK),
            Derived("rate", (Aggregate(CLICK, window=past(90)), Aggregate(SEEN, window=past(90)))),
            Aggregate(READ, condition="deep_read", window=past(30)),
            Aggregate(READ, "sum", of="dwell_ms", window=past(30)),
            *_counts(DEEP, 7, 30, 90),
            *_recency(DEEP),
            *_decayed(DEEP, 30),
            *_counts(SHOP, 7, 30),
            *_recency(SHOP),
            *_counts(CART, 30),
            Derived("rate", (Aggregate(REFUND, window=past(90)), Aggregate(BUY, window=past(90)))),
            Derived("unmet", (Aggregate(DEEP, window=past(90)), Aggregate(BUY, window=past(90)))),
            Derived("renewed", (Aggregate(DEEP, "recency"), Aggregate(BUY, "recency"))),
            Derived("wait", (Aggregate(DEEP, "tenure"), Aggregate(BUY, "tenure"))),
        ),
        kinds_present,
    )


def default_scope_features(kinds_present: Collection[str] = KINDS) -> tuple[Feature, ...]:
    """Return the features that are measured inside every scope; `kinds_present` as for the person's."""
    return _held(
        (
            *_counts(BUY, 7, 30, 90, None),
            *_days(BUY, 90, None),
            *_sums("amount", 90, None),
            *_sums("quantity", 90),
            *_rhythm(BUY),
            *_decayed(BUY, 30, 90),
            *(_share(condition, None) for condition in ("discounted", "coupon", "own_label")),
            _distinct("item", None),
            _distinct("brand", None),
            _price(None),
            _newness(BUY),
            *_counts(SEEN, 7, 30, 90),
            *_recency(SEEN, 90),
            *_counts(CLICK, 30),
            *_recency(CLICK),
            *_counts(DEEP, 30),
            *_recency(DEEP),
            *_counts(SHOP, 30),
            Derived("unmet", (Aggregate(DEEP, window=past(90)), Aggregate(BUY, window=past(90)))),
            Derived("renewed", (Aggregate(DEEP, "recency"), Aggregate(BUY, "recency"))),
            Derived("wait", (Aggregate(DEEP, "tenure"), Aggregate(BUY, "tenure"))),
        ),
        kinds_present,
    )


def layout_for(taxonomy: Taxonomy, kinds_present: Collection[str] = KINDS) -> RowLayout:
    """Return the default layout of the wide rows for a taxonomy over a log with the given event kinds."""
    scope = default_scope_features(kinds_present)
    return RowLayout(
        person_features=default_person_features(kinds_present),
        scope_features=scope,
        scopes=taxonomy.scopes,
        parents=tuple(taxonomy.parents),
        tags=tuple(tag.id for tag in taxonomy.tags),
        wide=tuple(name for name in WIDE if name in {*HISTORY, *(feature.name for feature in scope)}),
    )


def _window(days: int | None) -> Window:
    return ALL_PAST if days is None else past(days)


def _counts(kinds: tuple[str, ...], *days: int | None) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(kinds, window=_window(d)) for d in days)


def _days(kinds: tuple[str, ...], *days: int | None) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(kinds, "days", window=_window(d)) for d in days)


def _sums(of: str, *days: int | None) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(BUY, "sum", of=of, window=_window(d)) for d in days)


def _recency(kinds: tuple[str, ...], days: int | None = None) -> tuple[Aggregate, ...]:
    return (Aggregate(kinds, "recency", window=_window(days)),)


def _decayed(kinds: tuple[str, ...], *half_lives: int) -> tuple[Aggregate, ...]:
    return tuple(Aggregate(kinds, "decayed", half_life=days) for days in half_lives)


def _rhythm(kinds: tuple[str, ...]) -> tuple[Feature, ...]:
    measures: tuple[Measure, ...] = ("days", "tenure", "recency")
    days, tenure, recency = (Aggregate(kinds, measure) for measure in measures)
    return recency, tenure, Derived("gap", (days, tenure, recency)), Derived("overdue", (recency, days, tenure))


def _share(condition: str, days: int | None) -> Derived:
    window = _window(days)
    return Derived("share", (Aggregate(BUY, condition=condition, window=window), Aggregate(BUY, window=window)))


def _distinct(of: str, days: int | None) -> Aggregate:
    return Aggregate(BUY, "distinct", of=of, window=_window(days))


def _price(days: int | None) -> Derived:
    window = _window(days)
    return Derived(
        "price",
        (Aggregate(BUY, "sum", of="amount", window=window), Aggregate(BUY, "sum", of="quantity", window=window)),
    )


def _newness(kinds: tuple[str, ...]) -> Derived:
    return Derived("newness", (Aggregate(kinds, window=past(90)), Aggregate(kinds)))


def _held(features: tuple[Feature, ...], kinds_present: Collection[str]) -> tuple[Feature, ...]:
    present = set(kinds_present)
    return tuple(f for f in features if all(present & set(a.kinds) for a in inputs_of(f)))
