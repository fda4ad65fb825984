"""Moments of a window, and the outlook of a later instant that is fitted on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.tags.outlook import Moments, Outlook
from training.tags.pairs import PairView, Window

MOST_PEOPLE: Final = 20_000
"""People of one window that the linear models learn from: more change little, for twenty terms a tag."""
_AT_ONCE: Final = 512


def window_moments(view: PairView, window: Window) -> Moments:
    """Add up the terms of a window's pairs.

    Parameters
    ----------
    view
        How pairs lie in a wide row.
    window
        With outcomes; its outlook is not read. Of more than 20,000 people as many are taken, evenly spread over the
        keys, which are hashes.
    """
    tags, size = len(view.taxonomy.tags), view.basis.size
    squares, outcomes = np.zeros((tags, size, size)), np.zeros((tags, size))
    people = np.unique(np.linspace(0, len(window.rows) - 1, min(len(window.rows), MOST_PEOPLE)).astype(np.int64))
    for start in range(0, len(people), _AT_ONCE):
        some = people[start : start + _AT_ONCE]
        n = len(some)
        rows = np.asarray(window.rows[some])
        pairs = view.gather(rows, window.fitted, np.repeat(np.arange(n), tags), np.tile(np.arange(tags), n))
        terms = view.basis.terms(pairs).reshape(n, tags, size).transpose(1, 0, 2)
        truth = window.outcomes[some].T.astype(np.float64)
        squares += terms.transpose(0, 2, 1) @ terms
        outcomes += (truth[:, None, :] @ terms)[:, 0]
    return Moments(squares, outcomes)


def fit_outlook(view: PairView, windows: Sequence[Moments]) -> Outlook:
    """Fit on the windows that were over by an instant; unknown where there was none."""
    return Outlook.fit(windows) if windows else Outlook.unknown(len(view.taxonomy.tags), view.basis.size)
