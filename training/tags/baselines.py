"""What the tag model has to beat: simple scores that anybody would try first, calibrated the same way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from training.quality.calibration import fit_platt, sigmoid
from training.quality.metrics import Floats
from training.tags.pairs import Matrix, PairView, Window

LOGISTIC_PAIRS = 400_000
"""Pairs that the logistic regression is fitted on; more changed its log loss by less than 0.0002."""


def history_count(view: PairView, rows: Matrix) -> Floats:
    """Score each tag by how often the person bought inside its scope, over all history.

    Returns
    -------
    Floats
        log(1 + count), float64 [n, T].
    """
    column = view.layout.scope_names.index("purchase_count_all")
    counts = view.layout.scope(np.asarray(rows))[:, view.scope_of_tag, column]
    return np.log1p(np.nan_to_num(counts.astype(np.float64)))


def history_count_probabilities(view: PairView, validation: Window, rows: Matrix) -> Floats:
    """Turn history counts into probabilities by Platt scaling on the validation window."""
    platt = fit_platt(history_count(view, validation.rows), validation.outcomes)
    return platt.apply(history_count(view, rows))


class PooledLogisticRegression:
    """Logistic regression over the pooled model's own pairs, on signed log features, standardised.

    Parameters
    ----------
    view
        How pairs are read from wide rows.
    seed
        Chooses the pairs.
    """

    def __init__(self, view: PairView, seed: int) -> None:
        self._view = view
        self._rng = np.random.default_rng(seed)
        self._scaler = StandardScaler()
        self._model = LogisticRegression(max_iter=200, C=1.0)

    def fit(self, windows: Sequence[Window]) -> PooledLogisticRegression:
        """Fit on a uniform sample of the windows' pairs, so that no correction is needed."""
        blocks, answers = [], []
        for window in windows:
            n, t = window.outcomes.shape
            take = min(n * t, LOGISTIC_PAIRS // len(windows))
            chosen = np.sort(self._rng.choice(n * t, take, replace=False))
            blocks.append(self._view.gather(window.rows, window.fitted, chosen // t, chosen % t))
            answers.append(window.outcomes.ravel()[chosen])
        x = self._scaler.fit_transform(signed_log(np.concatenate(blocks)))
        self._model.fit(x, np.concatenate(answers))
        return self

    def predict(self, window: Window) -> Floats:
        """Return probabilities, float64 [n, T]."""

        def probabilities(pairs: Matrix) -> Floats:
            return sigmoid(self._model.decision_function(self._scaler.transform(signed_log(pairs))))

        return self._view.score_all(window.rows, window.fitted, probabilities)


def signed_log(matrix: Matrix) -> Floats:
    """Return sign × log(1 + size), 0 where a value is missing."""
    filled = np.nan_to_num(matrix.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return np.sign(filled) * np.log1p(np.abs(filled))
