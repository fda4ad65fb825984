"""Figures as JSON: what is not defined is null there and NaN here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: Any) -> Any:
    """Return the value with null for every float that is not finite, inside lists and objects too.

    Examples
    --------
    >>> to_json({"auc": float("nan"), "points": [(0.5, 1.0)]})
    {'auc': None, 'points': [[0.5, 1.0]]}
    """
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object's figures, null as NaN.

    Examples
    --------
    >>> from_json({"tags": 2, "auc": None})
    {'tags': 2, 'auc': nan}
    """
    return {key: float("nan") if value is None else value for key, value in values.items()}
