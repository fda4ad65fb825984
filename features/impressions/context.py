"""Columns of an impression row beside the declared statistics: the moment, the price, the session, the stock."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.asof import NEVER, Int64
from features.days import DAY_SECONDS, local_of_utc
from features.definitions import Aggregate, past
from features.impressions.columns import BUY
from features.impressions.history import History
from features.impressions.numbers import ImpressionNumbers
from features.impressions.table import Impressions

Columns = dict[str, npt.NDArray[np.float64]]
Codes = dict[str, Int64]

MOMENT: Final = (
    "position", "paid", "video", "platform", "hour", "weekday", "note_age_days", "price",
)  # fmt: skip
PRICES: Final = (
    "person_price", "person_category_price", "category_price", "price_over_person", "price_over_person_category",
    "price_over_category",
)  # fmt: skip
LINKED: Final = ("linked_items",)
SESSION: Final = ("session_impressions",)
STOCK: Final = ("person_category_gap_days", "category_gap_days", "since_purchase_over_gap")
CONTEXT: Final = (*MOMENT, *LINKED, *PRICES, *SESSION, *STOCK)

PAID: Final = Aggregate(BUY, "sum", of="amount")
PIECES: Final = Aggregate(BUY, "sum", of="quantity")
_LATELY: Final = past(90)
LATELY_PAID: Final = Aggregate(BUY, "sum", of="amount", window=_LATELY)
LATELY_PIECES: Final = Aggregate(BUY, "sum", of="quantity", window=_LATELY)
DAYS, LAST, FIRST = Aggregate(BUY, "days"), Aggregate(BUY, "recency"), Aggregate(BUY, "tenure")
_GAP_WEIGHT: Final = 2
"""Gaps of a person in a category beside which the category's usual gap weighs as much."""


def ratio(top: npt.NDArray[Any], base: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Divide, NaN where the base is 0 or missing."""
    usable = np.where(base > 0, base, np.nan).astype(np.float64)
    result: npt.NDArray[np.float64] = top / usable
    return result


def moment(impressions: Impressions, platforms: tuple[str, ...]) -> Columns:
    """Return what the impression itself says; `platform` is the place in the given names, NaN for others."""
    table, times = impressions.table, impressions.times
    local = local_of_utc(times, impressions.timezone)
    named = {name: place for place, name in enumerate(platforms)}
    platform = table["platform"].combine_chunks().dictionary_encode()
    places = np.array([*(named.get(p, np.nan) for p in platform.dictionary.to_pylist()), np.nan])
    return {
        "position": _floats(table["position"]),
        "paid": _floats(table["paid"]),
        "video": _floats(pc.equal(table["media"], "video")),
        "platform": places[_floats(pc.fill_null(platform.indices, len(places) - 1)).astype(np.int64)],
        "hour": (local % DAY_SECONDS // 3_600).astype(np.float64),
        "weekday": ((local // DAY_SECONDS + 3) % 7).astype(np.float64),  # 0 is Monday
        "note_age_days": (times - _floats(table["published_at"])) / DAY_SECONDS,
        "price": _floats(table["price"]),
    }


def moment_columns(asked: ImpressionNumbers) -> Columns:
    """Return what `moment` returns for impressions that are numbers already."""
    numbers = asked.numbers
    local = local_of_utc(asked.time, asked.timezone)
    return {
        **{name: numbers[name] for name in ("position", "paid", "video", "platform", "price")},
        "hour": (local % DAY_SECONDS // 3_600).astype(np.float64),
        "weekday": ((local // DAY_SECONDS + 3) % 7).astype(np.float64),
        "note_age_days": (asked.time - numbers["published_at"]) / DAY_SECONDS,
    }


def prices(impressions: Impressions, history: History, codes: Codes) -> Columns:
    """Return mean paid prices of a piece, and the price of the note's item over them."""
    times, price = impressions.times, _floats(impressions.table["price"])
    both = (PAID, PIECES)
    mine = history.people.ask("person", codes["person"], None, times, both)
    here = history.people.ask("person_category", codes["person"], codes["category"], times, both)
    usual = history.notes.ask("category", codes["category"], times, (LATELY_PAID, LATELY_PIECES))
    level = {
        "person_price": ratio(mine[PAID], mine[PIECES]),
        "person_category_price": ratio(here[PAID], here[PIECES]),
        "category_price": ratio(usual[LATELY_PAID], usual[LATELY_PIECES]),
    }
    return over(price, level)


def over(price: npt.NDArray[np.float64], level: Columns) -> Columns:
    """Return price levels, and a price over each of them."""
    return level | {
        "price_over_person": ratio(price, level["person_price"]),
        "price_over_person_category": ratio(price, level["person_category_price"]),
        "price_over_category": ratio(price, level["category_price"]),
    }


def session(impressions: Impressions, history: History, codes: Codes) -> Columns:
    """Return how many impressions the running session has had."""
    seen = history.people.session(codes["person"], impressions.times)
    return {"session_impressions": seen.astype(np.float64)}


def stock(impressions: Impressions, history: History, codes: Codes) -> Columns:
    """Return usual days between purchases of the category, and how much of them has passed since the last one."""
    times = impressions.times
    own = history.people.ask("person_category", codes["person"], codes["category"], times, (DAYS, LAST, FIRST))
    span, again = history.notes.gaps(codes["category"], times)
    return gaps(own[DAYS], own[LAST], own[FIRST], ratio(span, again))


def gaps(days: Int64, last: Int64, first: Int64, usual: npt.NDArray[np.float64]) -> Columns:
    """Return the columns of `stock`.

    Parameters
    ----------
    days, last, first
        On how many days the person bought of the category, and how many seconds ago for the last and first time.
    usual
        Days between everybody's purchases of the category, NaN where nothing tells.
    """
    between = np.maximum(days - 1, 0)
    own_span = np.where(last == NEVER, 0, first - last) / DAY_SECONDS
    # Without a usual gap the person's own stands alone.
    known = ~np.isnan(usual)
    gap = ratio(
        own_span + np.where(known, _GAP_WEIGHT * np.nan_to_num(usual), 0.0),
        between + np.where(known, _GAP_WEIGHT, 0),
    )
    since = np.where(last == NEVER, np.nan, last / DAY_SECONDS)
    return {
        "person_category_gap_days": gap,
        "category_gap_days": usual,
        "since_purchase_over_gap": ratio(since, gap),
    }


def _floats(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return numbers or flags with NaN for null."""
    return np.asarray(column.cast(pa.float64()), np.float64)
