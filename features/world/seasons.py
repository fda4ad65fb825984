"""The shopping year: 618, Double 11 and the weeks before them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

# Month, first and last day, how much likelier purchases are (in logits), share taken off prices.
_SEASONS: Final = (
    (6, 1, 15, 0.25, 0.08),
    (6, 16, 20, 0.9, 0.18),
    (11, 1, 9, 0.3, 0.1),
    (11, 10, 12, 1.1, 0.22),
    (12, 10, 12, 0.4, 0.1),
)


def season(instant: int) -> tuple[float, float]:
    """Return how much likelier purchases are on a day, in logits, and the share that shops take off.

    Examples
    --------
    >>> season(1_718_668_800)  # 2024-06-18
    (0.9, 0.18)
    """
    day = datetime.fromtimestamp(instant, UTC)
    for month, first, last, likelier, off in _SEASONS:
        if day.month == month and first <= day.day <= last:
            return likelier, off
    return (0.1 if day.weekday() >= 5 else 0.0), 0.0
