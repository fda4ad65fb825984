"""What is known about a tag from everybody, as of an instant: how common it is and how that moves."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.rows import RowLayout

STATIC_NAMES: Final = ("base_rate_1", "base_rate_2", "base_rate_mean", "base_rate_trend")
_PRIOR_PEOPLE = 20.0


def tag_statics(layout: RowLayout, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Measure every tag over the whole population's rows of one instant.

    Parameters
    ----------
    layout
        The rows' columns.
    rows
        Wide rows of everybody, float32 [n, width].

    Returns
    -------
    NDArray
        float32 [T, len(STATIC_NAMES)]: the share of people for whom the rule came true in the last and in the
        last but one window, over all known windows (each shrunk towards 0 by 20 people), and the log ratio of
        the first two.
    """
    history = layout.tag(rows)
    known = np.isfinite(history)
    rates = np.where(known, history, 0.0).sum(axis=0) / (known.sum(axis=0) + _PRIOR_PEOPLE)
    last, before, mean = rates[:, 0], rates[:, 1], rates[:, -1]
    floor = 1e-4
    trend = np.log((last + floor) / (before + floor))
    return np.stack([last, before, mean, trend], axis=1).astype(np.float32)
