"""What everybody tells about a tag as of an instant: how common it is, how that moves, how people return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.rows.layout import RowLayout
from features.taxonomy.taxonomy import Taxonomy

STATIC_NAMES: Final = (
    "base_rate_1",
    "base_rate_2",
    "base_rate_mean",
    "base_rate_trend",
    "repeat_rate",
    "new_rate",
    "buyer_share",
    "buyer_trend",
    "buyer_days",
    "median_gap",
)
"""Share of people for whom the rule came true in the last, in the last but one and in all known windows, and the
log ratio of the first two; the share of those of the last but one window for whom it came true again, and of the
others; then of the tag's scope: share of people who ever bought, buyers of 7 days over those of 30, mean days with
a purchase of a buyer, and the median over buyers of the mean gap between two such days."""

_PRIOR_PEOPLE: Final = 20.0
_FLOOR: Final = 1e-4

Static = NDArray[np.float32]


def tag_statics(layout: RowLayout, taxonomy: Taxonomy, rows: Static) -> Static:
    """Measure every tag over the whole population's rows of one instant.

    Parameters
    ----------
    layout
        The rows' columns.
    taxonomy
        Says which scope each tag is measured in.
    rows
        Wide rows of everybody, float32 [n, width].

    Returns
    -------
    NDArray
        float32 [T, len(STATIC_NAMES)]; rates are shrunk towards 0 by 20 people.
    """
    of_scope = scope_statics(layout.scope_names, layout.scope(rows))
    return np.column_stack([label_statics(layout, layout.tag(rows)), of_scope[list(taxonomy.scope_of_tag)]]).astype(
        np.float32
    )


def label_statics(layout: RowLayout, history: Static) -> NDArray[np.float64]:
    """Return what the label history, float32 [n, T, Ft], says of each tag: the first six statics, [T, 6]."""
    last, before, mean = (_rate(history[:, :, lag]) for lag in (0, 1, layout.tag_names.index("outcome_mean")))
    again = history[:, :, 1] == 1
    not_before = history[:, :, 1] == 0
    return np.column_stack(
        [
            last,
            before,
            mean,
            np.log((last + _FLOOR) / (before + _FLOOR)),
            _rate(np.where(again, history[:, :, 0], np.nan)),
            _rate(np.where(not_before, history[:, :, 0], np.nan)),
        ]
    )


def _rate(values: NDArray[np.floating]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    return np.asarray(
        np.where(known, values, 0.0).sum(axis=0, dtype=np.float64) / (known.sum(axis=0) + _PRIOR_PEOPLE)
    )


def scope_statics(names: Sequence[str], block: Static) -> NDArray[np.float64]:
    """Return what the scopes' features, float32 [n, S, len(names)], say of each scope: the last statics, [S, 4]."""
    column = {name: block[:, :, n] for n, name in enumerate(names)}
    days, gaps = column["purchase_days_all"], column["purchase_days_all_gap"]
    buyers = (days > 0).sum(axis=0)
    week, month = ((column[f"purchase_count_{w}d"] > 0).sum(axis=0) for w in (7, 30))
    median = np.full(len(buyers), np.nan)
    for scope in np.nonzero(np.isfinite(gaps).any(axis=0))[0]:
        median[scope] = np.nanmedian(gaps[:, scope])
    return np.column_stack(
        [
            buyers / (len(block) + _PRIOR_PEOPLE),
            (week + 2.0) / (month + 8.0),
            days.sum(axis=0, dtype=np.float64) / np.maximum(buyers, 1),
            median,
        ]
    )
