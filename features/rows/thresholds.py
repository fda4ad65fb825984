"""Population quantiles that rules compare with: fitted per instant, frozen in the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import FeatureError
from features.taxonomy.rule_nodes import Numbers, Quantile


def threshold_key(scope: str, quantile: Quantile) -> str:
    """Return the name of a quantile measured for tags of a scope."""
    return f"{scope}: {quantile}"


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The quantiles of a taxonomy as of some instants.

    Parameters
    ----------
    keys
        What was fitted, see `threshold_key`.
    instants
        Epoch seconds, ascending.
    values
        One row per instant, one column per key; NaN where nobody had a positive value.
    """

    keys: tuple[str, ...]
    instants: tuple[int, ...]
    values: Numbers

    def at(self, instants: NDArray[np.int64]) -> dict[str, Numbers]:
        """Return for each key the threshold that holds at each instant.

        Raises
        ------
        FeatureError
            Nothing was fitted at one of them.

        Examples
        --------
        >>> Thresholds(("dairy: ...",), (10, 20), np.array([[1.0], [2.0]])).at(np.array([20, 10, 20]))
        {'dairy: ...': array([2., 1., 2.])}
        """
        if not self.keys:
            return {}
        fitted = np.asarray(self.instants, dtype=np.int64)
        unknown = np.setdiff1d(instants, fitted)
        if len(unknown):
            raise FeatureError(
                "no population quantiles were fitted at the instant",
                value=int(unknown[0]),
                valid=self.instants,
                next_step="fit them over the population of that instant with features.rows.outcomes.fit_thresholds",
            )
        rows = np.searchsorted(fitted, instants)
        return {key: self.values[rows, number] for number, key in enumerate(self.keys)}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; unknown quantiles are null."""
        values = [[None if np.isnan(v) else float(v) for v in row] for row in self.values]
        return {"keys": list(self.keys), "instants": list(self.instants), "values": values}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Thresholds:
        """Read what `to_dict` wrote."""
        keys, instants = tuple(document["keys"]), tuple(int(i) for i in document["instants"])
        values = np.array(document["values"], dtype=np.float64).reshape(len(instants), len(keys))
        return cls(keys, instants, values)
