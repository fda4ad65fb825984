"""Features derived from aggregates: shares, gaps, price levels, and crosses of interest with purchase.

Each is a named function of the numbers of one person (or person and scope), so the same code serves a whole log and
a single live person. Functions take and give float arrays of any one shape; what cannot be said is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.days import DAY_SECONDS
from features.definitions import Aggregate, Window
from features.errors import FeatureError

Floats = npt.NDArray[np.float64]


def share(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where the whole is 0.

    Examples
    --------
    >>> share(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    quotient: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)
    return quotient


def difference(left: Floats, right: Floats) -> Floats:
    """Return left - right."""
    return left - right


def log(value: Floats) -> Floats:
    """Return log(1 + value) of a count or sum."""
    return np.log1p(value)


def gap(days: Floats, tenure: Floats, recency: Floats) -> Floats:
    """Return the mean days between two days with an event, NaN where there were fewer than two.

    Examples
    --------
    >>> gap(np.array([3.0, 1.0]), np.array([864_000.0, 5.0]), np.array([0.0, 5.0])).tolist()
    [5.0, nan]
    """
    return share((tenure - recency) / DAY_SECONDS, np.where(days >= 2, days - 1, 0.0))


def overdue(recency: Floats, days: Floats, tenure: Floats) -> Floats:
    """Return the time since the last event in units of the mean gap: above 1 is later than usual.

    Examples
    --------
    >>> overdue(np.array([86_400.0]), np.array([2.0]), np.array([3 * 86_400.0])).tolist()
    [0.5]
    """
    return share(recency / DAY_SECONDS, np.nan_to_num(gap(days, tenure, recency)))


def unmet(interest: Floats, purchases: Floats) -> Floats:
    """Return the interest of those who have not bought, 0 for those who have.

    Examples
    --------
    >>> unmet(np.array([3.0, 3.0]), np.array([0.0, 1.0])).tolist()
    [3.0, 0.0]
    """
    return np.where(purchases == 0, interest, 0.0)


def wait(interest_tenure: Floats, purchase_tenure: Floats) -> Floats:
    """Return the days from the first interest to the first purchase, below 0 where the purchase came first.

    Examples
    --------
    >>> wait(np.array([5 * 86_400.0]), np.array([86_400.0])).tolist()
    [4.0]
    """
    return (interest_tenure - purchase_tenure) / DAY_SECONDS


def renewed(interest_recency: Floats, purchase_recency: Floats) -> Floats:
    """Return by how many days the last interest is newer than the last purchase, NaN where one never was."""
    return (purchase_recency - interest_recency) / DAY_SECONDS


def newness(recent: Floats, ever: Floats) -> Floats:
    """Return 1 where all there ever was is recent, 0 where some is older, NaN where there was nothing.

    Examples
    --------
    >>> newness(np.array([2.0, 2.0, 0.0]), np.array([2.0, 5.0, 0.0])).tolist()
    [1.0, 0.0, nan]
    """
    return np.where(ever > 0, (recent == ever).astype(np.float64), np.nan)


FUNCTIONS: Final[Mapping[str, tuple[Callable[..., Floats], int]]] = {
    "share": (share, 2),
    "price": (share, 2),
    "trend": (share, 2),
    "rate": (share, 2),
    "difference": (difference, 2),
    "log": (log, 1),
    "gap": (gap, 3),
    "overdue": (overdue, 3),
    "unmet": (unmet, 2),
    "wait": (wait, 2),
    "renewed": (renewed, 2),
    "newness": (newness, 2),
}
"""Name → function and how many aggregates it takes; price, trend and rate are shares under a better name."""


@dataclass(frozen=True)
class Derived:
    """One function of aggregates.

    Parameters
    ----------
    function
        A name in `FUNCTIONS`.
    inputs
        Aggregates in the order of the function's arguments.

    Examples
    --------
    >>> buy = Aggregate(("purchase",))
    >>> Derived("share", (Aggregate(("purchase",), condition="coupon"), buy)).name
    'purchase_count_coupon_all_share'
    """

    function: str
    inputs: tuple[Aggregate, ...]
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise FeatureError("unknown function of a derived feature", value=self.function, valid=FUNCTIONS)
        wanted = FUNCTIONS[self.function][1]
        if len(self.inputs) != wanted:
            raise FeatureError(f"{self.function} takes {wanted} aggregates", value=len(self.inputs))
        object.__setattr__(self, "name", f"{self.inputs[0].name}_{self.function}")

    def compute(self, *values: Floats) -> Floats:
        """Apply the function to the values of `inputs`."""
        return FUNCTIONS[self.function][0](*values)


Feature = Aggregate | Derived


def inputs_of(feature: Feature) -> tuple[Aggregate, ...]:
    """Return the aggregates that a feature is computed from."""
    return (feature,) if isinstance(feature, Aggregate) else feature.inputs


def feature_to_dict(feature: Feature) -> dict[str, Any]:
    """Return the declaration as JSON values.

    Examples
    --------
    >>> feature_to_dict(Aggregate(("purchase",), "count"))["measure"]
    'count'
    """
    if isinstance(feature, Derived):
        return {"function": feature.function, "inputs": [feature_to_dict(a) for a in feature.inputs]}
    content = asdict(feature)
    content.pop("name")
    return content | {"kinds": list(feature.kinds)}


def feature_from_dict(content: Mapping[str, Any]) -> Feature:
    """Read back what `feature_to_dict` gave."""
    if "function" in content:
        return Derived(content["function"], tuple(_aggregate(one) for one in content["inputs"]))
    return _aggregate(content)


def _aggregate(content: Mapping[str, Any]) -> Aggregate:
    return Aggregate(**{**content, "kinds": tuple(content["kinds"]), "window": Window(**content["window"])})
