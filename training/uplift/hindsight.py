"""Columns of a trial that can only have been known afterwards: using them would make up effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.quality.metrics import Floats
from training.uplift.arms import Codes
from training.uplift.base import Matrix

EXPECTED: Final = 20.0
"""People that chance would put where nobody is, before a column is suspected."""
DEVIATIONS: Final = 5.0
"""Standard errors between two arms' means that chance does not explain."""


def hindsight(X: Matrix, columns: Sequence[str], codes: Codes, outcome: Floats, *, by_lot: bool) -> dict[str, str]:
    """Find columns that follow from the outcome or from the treatment.

    A column is suspected if it is never (or always) set for the people with an outcome or without one although
    chance alone would put at least 20 people there, as money spent where the outcome is a visit. Where arms were
    drawn by lot, also if an arm's mean is more than five standard errors from the control's.

    Parameters
    ----------
    X, columns
        Rows [n, columns] and the columns' names.
    codes, outcome
        Arm (0 is the control) and outcome of each person.
    by_lot
        Whether the arms were drawn at random.

    Returns
    -------
    dict
        Column → what is wrong with it.

    Examples
    --------
    >>> visit = np.arange(400) % 4 == 0
    >>> spent = visit & (np.arange(400) % 8 == 0)
    >>> X = np.stack([spent, np.arange(400) % 3], axis=1).astype(float)
    >>> hindsight(X, ["spent", "age"], np.arange(400) // 200, visit.astype(float), by_lot=True)
    {'spent': 'never set without the outcome'}
    """
    found = {}
    for place, name in enumerate(columns):
        reason = _follows_outcome(X[:, place], outcome != 0)
        if not reason and by_lot and _differs_between_arms(X[:, place], codes):
            reason = "differs between the arms by more than chance"
        if reason:
            found[name] = reason
    return found


def _follows_outcome(values: Floats, came: NDArray[np.bool_]) -> str:
    is_set = np.nan_to_num(values) != 0
    for wanted, with_ in ((True, "with"), (False, "without")):
        people = came == wanted
        for state, said in ((True, "never set"), (False, "always set")):
            expected = people.sum() * (is_set == state).mean()
            if expected >= EXPECTED and not (is_set[people] == state).any():
                return f"{said} {with_} the outcome"
    return ""


def _differs_between_arms(values: Floats, codes: Codes) -> bool:
    arms = [values[(codes == arm) & np.isfinite(values)] for arm in range(int(codes.max()) + 1)]
    if min(map(len, arms)) < 2:
        return False
    control, *treated = [(arm.mean(), arm.var(ddof=1) / len(arm)) for arm in arms]
    return any(abs(mean - control[0]) > DEVIATIONS * np.sqrt(var + control[1]) for mean, var in treated)
