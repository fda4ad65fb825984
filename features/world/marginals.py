"""What a world's log looks like as a whole: rates along the funnel, delays, gaps and skew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from features.world.draws import Floats, Ints
from features.world.folder import files_of

FIGURES: Final = {
    "active": "people on the content platform on a day",
    "views": "impressions of an active person on a day",
    "ad_share": "share of ads among impressions",
    "ad_ctr": "clicks per ad impression",
    "organic_ctr": "clicks per organic impression",
    "deep_per_click": "deep reads per click",
    "like_per_click": "likes per click",
    "save_per_click": "saves per click",
    "comment_per_click": "comments per click",
    "share_per_click": "shares per click",
    "follow_per_click": "follows per click",
    "hide_per_impression": "hides per impression",
    "jump_per_click": "link clicks per ad click",
    "visit_per_jump": "store visits per link click",
    "cart_per_visit": "carts per store visit through a note",
    "purchase_per_visit": "purchases per store visit through a note",
    "purchase_per_click": "direct purchases per ad click",
    "purchase_per_ad": "direct purchases per ad impression",
    "bought_within_hour": "direct purchases within an hour of the visit",
    "bought_within_day": "direct purchases within a day of the visit",
    "searched_back": "brand searches per click on a note with a brand",
    "cart_per_view": "carts per item page",
    "favourite_per_view": "favourites per item page",
    "purchase_per_view": "purchases per item page",
    "returned": "share of revenue that is given back",
    "gap_median": "median days between purchases of a person",
    "top_tenth_views": "share of impressions that the most active tenth of accounts sees",
    "top_tenth_purchases": "share of purchases that the tenth of buyers makes who buy most",
}
"""Name of each figure → what it is."""

_BINS: Final = 60


@dataclass(frozen=True)
class Marginals:
    """A world's marginals.

    Parameters
    ----------
    figures
        Name → value; NaN where the log holds nothing of it.
    days, purchases, impressions
        Epoch day, and counts of each [days].
    gaps
        Days between purchases of a person, a histogram of whole days [60].
    delays
        Seconds from the visit to the direct purchase, ascending, thinned to some thousand.
    views
        Impressions of accounts, descending, thinned likewise.
    """

    figures: dict[str, float]
    days: Ints
    purchases: Ints
    impressions: Ints
    gaps: Ints
    delays: Floats
    views: Floats


def marginals_of(folder: Path) -> Marginals:
    """Count over a world's events; its truth is not looked at."""
    with duckdb.connect() as con:
        con.execute("SET threads = 2")
        con.execute("SET enable_progress_bar = false")
        for name in ("events", "identities", "notes"):
            con.register(name, con.read_parquet([str(file) for file in files_of(folder, name)]))
        counts = _counts(con)
        days, impressions, purchases, active = (
            np.array(column)
            for column in zip(
                *con.sql(
                    "SELECT day, count(*) FILTER (kind = 'impression'), count(*) FILTER (kind = 'purchase'), "
                    "count(DISTINCT account) FILTER (kind = 'impression') FROM events GROUP BY day ORDER BY day"
                ).fetchall(),
                strict=True,
            )
        )
        people = _one(con, "SELECT count(DISTINCT person) FROM identities")
        views = _column(
            con, "SELECT count(*) FROM events WHERE kind = 'impression' GROUP BY account ORDER BY 1 DESC"
        )
        buys = _column(con, f"SELECT count(*) {_BUYERS} GROUP BY who ORDER BY 1 DESC")
        gaps = _column(
            con,
            f"SELECT (event_time - lag(event_time) OVER (PARTITION BY who ORDER BY event_time)) / 86400 AS gap "
            f"{_BUYERS} QUALIFY gap IS NOT NULL",
        )
        delays = np.sort(_column(con, _DELAYS))
        given, back = con.sql(
            "SELECT sum(amount) FILTER (kind = 'purchase'), sum(amount) FILTER (kind = 'refund') FROM events"
        ).fetchall()[0]
    figures = _rates(counts) | {
        "active": float(active.mean()) / people,
        "views": _share(impressions.sum(), active.sum()),
        "returned": _share(back or 0, given or 0),
        "bought_within_hour": float((delays <= 3_600).mean()) if len(delays) else float("nan"),
        "bought_within_day": float((delays <= 86_400).mean()) if len(delays) else float("nan"),
        "gap_median": float(np.median(gaps)) if len(gaps) else float("nan"),
        "top_tenth_views": _share(views[: len(views) // 10].sum(), views.sum()),
        "top_tenth_purchases": _share(buys[: len(buys) // 10].sum(), buys.sum()),
    }
    histogram = np.bincount(np.minimum(gaps, _BINS - 1).astype(np.int64), minlength=_BINS)
    return Marginals(
        {name: figures[name] for name in FIGURES}, days, purchases, impressions, histogram, _thinned(delays),
        _thinned(views),
    )  # fmt: skip


_BUYERS: Final = (
    "FROM (SELECT event_time, coalesce(i.person, e.platform || e.account) AS who FROM events e "
    "LEFT JOIN identities i ON e.platform = i.platform AND e.account = i.account WHERE kind = 'purchase')"
)
_DELAYS: Final = (
    "SELECT b.event_time - v.event_time FROM (SELECT account, note, event_time FROM events "
    "WHERE kind = 'purchase' AND note IS NOT NULL) b ASOF JOIN (SELECT account, note, event_time FROM events "
    "WHERE kind = 'store_visit' AND note IS NOT NULL) v "
    "ON b.account = v.account AND b.note = v.note AND b.event_time >= v.event_time"
)


def _counts(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], int]:
    """Count events by kind and by where they come from: an ad, an organic note with or without brand, nowhere."""
    found = con.sql(
        "SELECT kind, CASE WHEN campaign IS NOT NULL THEN 'ad' WHEN note IS NULL THEN 'none' "
        "WHEN note LIKE 'house-%' THEN 'house' WHEN brand IS NULL THEN 'organic' ELSE 'branded' END AS place, "
        "count(*), count(*) FILTER (kind = 'read' AND (dwell_ms >= 5000 OR read_percent >= 50)), "
        "count(*) FILTER (kind = 'search' AND brand IS NOT NULL) FROM events GROUP BY ALL"
    ).fetchall()
    counts: dict[tuple[str, str], int] = {}
    for kind, place, rows, deep, brand_searches in found:
        counts[kind, place] = rows
        if kind == "read":
            counts["deep", place] = deep
        if kind == "search":
            counts["search_back", place] = brand_searches
    return counts


def _rates(counts: dict[tuple[str, str], int]) -> dict[str, float]:
    def of(kind: str, *places: str) -> int:
        return sum(
            rows for (what, place), rows in counts.items() if what == kind and (not places or place in places)
        )

    organic, noted = ("organic", "branded"), ("ad", "organic", "branded")
    clicks, pages = of("click"), of("item_view")
    rates = {
        "ad_share": _share(of("impression", "ad", "house"), of("impression")),
        "ad_ctr": _share(of("click", "ad"), of("impression", "ad")),
        "organic_ctr": _share(of("click", *organic), of("impression", *organic)),
        "deep_per_click": _share(of("deep"), clicks),
        "hide_per_impression": _share(of("hide"), of("impression")),
        "jump_per_click": _share(of("link_click", "ad"), of("click", "ad")),
        "visit_per_jump": _share(of("store_visit", *noted), of("link_click")),
        "cart_per_visit": _share(of("cart", *noted), of("store_visit", *noted)),
        "purchase_per_visit": _share(of("purchase", *noted), of("store_visit", *noted)),
        "purchase_per_click": _share(of("purchase", "ad"), of("click", "ad")),
        "purchase_per_ad": _share(of("purchase", "ad"), of("impression", "ad")),
        "searched_back": _share(of("search_back"), of("click", "ad", "branded")),
    }
    rates |= {
        f"{kind}_per_click": _share(of(kind), clicks) for kind in ("like", "save", "comment", "share", "follow")
    }
    return rates | {f"{kind}_per_view": _share(of(kind), pages) for kind in ("cart", "favourite", "purchase")}


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(con.sql(sql).fetchall()[0][0])


def _column(con: duckdb.DuckDBPyConnection, sql: str) -> Floats:
    return np.array([row[0] for row in con.sql(sql).fetchall()], np.float64)


def _thinned(values: Floats) -> Floats:
    """Keep evenly spaced values of a long sorted column."""
    return (
        values[np.linspace(0, len(values) - 1, min(len(values), 5_000)).astype(np.int64)] if len(values) else values
    )
