"""A brand's conversion paths, read from the log in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from features.joins import relation_of
from features.paths.conversions import Per, read_conversions
from features.paths.items import note_links
from features.paths.paths import By, Paths, Windows, column, paths_of
from features.paths.touches import read_touches


@dataclass(frozen=True)
class BrandPaths:
    """Paths of brands and the refunds that lowered no value.

    Parameters
    ----------
    paths
        The paths.
    refunds_over
        Minor units given back beyond what was paid, over the reported orders.
    refunds_unmatched
        Minor units of the stretch's refunds that name no line of a known order.
    """

    paths: Paths
    refunds_over: int
    refunds_unmatched: int


def read_paths(
    events: Any,
    tables: Mapping[str, Any],
    *,
    brands: Sequence[str],
    start: int,
    end: int,
    known_at: int,
    windows: Windows | None = None,
    by: By = "order_date",
    per: Per = "brand",
    new_days: int = 365,
    search_days: int = 7,
) -> BrandPaths:
    """Read touches and conversions so widely that every path is whole, and join them.

    Touches are read from the longest window before `start` on, conversions from `start` on: the path of an order
    before it would lack its first touches. Both are read to the longest window after `end`, or to `known_at`.

    Parameters
    ----------
    events
        DuckDB relation, frame or Arrow table with the canonical columns of the events.
    tables
        Canonical tables by name: ``identities``, ``notes``, ``items``, ``campaigns``, ``note_items``, as many of
        them as there are.
    brands, start, end, known_at, windows, by, per, new_days, search_days
        As for `read_touches`, `read_conversions` and `paths_of`.
    """
    windows = windows or Windows()
    events = relation_of(events)
    notes, items, identities = tables.get("notes"), tables.get("items"), tables.get("identities")
    wide: dict[str, Any] = {"end": min(end + windows.longest, known_at), "known_at": known_at, "brands": brands}
    touches = read_touches(
        events, notes, start=start - windows.longest, items=items, campaigns=tables.get("campaigns"), **wide
    )
    conversions = read_conversions(
        events,
        identities,
        start=start,
        notes=notes,
        items=items,
        per=per,
        new_days=new_days,
        search_days=search_days,
        **wide,
    )
    paths = paths_of(
        touches,
        conversions,
        identities,
        start=start,
        end=end,
        known_at=known_at,
        windows=windows,
        by=by,
        links=note_links(notes, tables.get("note_items")),
    )
    table, unmatched = conversions.table.filter(pa.array(paths.reported)), conversions.unmatched
    over = column(table, "refunded") - (column(table, "paid") - column(table, "value"))
    at, amount = column(unmatched, "time"), column(unmatched, "amount")
    return BrandPaths(paths, int(over.sum()), int(amount[(at >= start) & (at < end)].sum()))
