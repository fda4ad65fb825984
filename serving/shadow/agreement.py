"""How far two models agree: sums by tag or target, which any number of servers add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SUMS: Final = (
    "count", "theirs", "ours", "theirs_squared", "ours_squared", "product", "distance", "theirs_yes", "ours_yes",
    "both_yes",
)  # fmt: skip
"""Of each tag or target: predictions, sums of scores, squares, products and |differences|, assignments."""


@dataclass
class Agreement:
    """Sums over predictions that both models made.

    Parameters
    ----------
    names
        K tags or targets.
    sums
        float64 [len(SUMS), K].

    Examples
    --------
    >>> seen = Agreement.empty(["tea"])
    >>> theirs, ours = np.array([[0.1], [0.9], [0.5]]), np.array([[0.2], [1.0], [0.6]])
    >>> seen.add(theirs, ours, theirs > 0.55, ours > 0.55)
    >>> [figures] = seen.figures()
    >>> {name: round(value, 3) for name, value in figures.items() if name != "name"}
    {'count': 3, 'correlation': 1.0, 'mean_difference': 0.1, 'mean_distance': 0.1, 'jaccard': 0.5}
    """

    names: tuple[str, ...]
    sums: Floats = field(repr=False)

    @classmethod
    def empty(cls, names: Sequence[str]) -> Self:
        """Return the sums over no predictions."""
        return cls(tuple(names), np.zeros((len(SUMS), len(names))))

    def add(self, theirs: Floats, ours: Floats, theirs_yes: Flags, ours_yes: Flags) -> None:
        """Add n predictions of both models, each [n, K]; a score that is missing in one counts in neither."""
        known = ~(np.isnan(theirs) | np.isnan(ours))
        a, b = np.where(known, theirs, 0.0), np.where(known, ours, 0.0)
        yes, also = theirs_yes & known, ours_yes & known
        parts = (known, a, b, a * a, b * b, a * b, np.abs(a - b), yes, also, yes & also)
        self.sums += np.stack([part.sum(axis=0) for part in parts])

    def plus(self, other: Agreement) -> Agreement:
        """Return both together; tags that the other does not know keep what they have."""
        sums = self.sums.copy()
        place = {name: number for number, name in enumerate(other.names)}
        for number, name in enumerate(self.names):
            if name in place:
                sums[:, number] += other.sums[:, place[name]]
        more = [name for name in other.names if name not in self.names]
        extra = other.sums[:, [place[name] for name in more]]
        return Agreement((*self.names, *more), np.concatenate([sums, extra], axis=1))

    def figures(self) -> list[dict[str, Any]]:
        """Return a row per tag or target; NaN where a figure is not defined."""
        found = []
        for name, column in zip(self.names, self.sums.T, strict=True):
            s = dict(zip(SUMS, column.tolist(), strict=True))
            n = s["count"]
            mean_a, mean_b = (s[key] / n if n else np.nan for key in ("theirs", "ours"))
            of_a, of_b = s["theirs_squared"] / max(n, 1) - mean_a**2, s["ours_squared"] / max(n, 1) - mean_b**2
            both = s["product"] / max(n, 1) - mean_a * mean_b
            spread = float(np.sqrt(max(of_a, 0.0) * max(of_b, 0.0)))
            either = s["theirs_yes"] + s["ours_yes"] - s["both_yes"]
            found.append(
                {
                    "name": name,
                    "count": int(n),
                    "correlation": both / spread if spread > 1e-12 else float("nan"),
                    "mean_difference": mean_b - mean_a,
                    "mean_distance": s["distance"] / n if n else float("nan"),
                    "jaccard": s["both_yes"] / either if either else float("nan"),
                }
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the sums as JSON takes them."""
        return {"names": list(self.names), "sums": self.sums.tolist()}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave."""
        return cls(tuple(said["names"]), np.array(said["sums"], np.float64).reshape(len(SUMS), -1))
