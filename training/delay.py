"""How long conversions take, estimated from those that were seen so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import TrainingError

Seconds = NDArray[np.int64]
Names = NDArray[np.str_] | NDArray[np.object_] | Sequence[str]

PRIOR_CONVERSIONS: Final = 30.0
"""A group's curve is drawn to the shared one as if it had seen so many more conversions of that."""
_QUANTILES: Final = 48


@dataclass(frozen=True)
class DelayModel:
    """The share of conversions that are known a given time after the impression, per group.

    A conversion is seen only if its delay is shorter than the age of its impression: the seen ones are too short,
    and the more so the younger the impressions are. Going from the longest delay to the shortest one, the model
    estimates in each step which share of the conversions up to there came in that step, among impressions that
    are old enough to show it; the product of what remains is the distribution.

    Parameters
    ----------
    edges
        Ends of the steps, seconds, increasing from 0, int64 [B].
    curves
        Share that is known by each of them, from 0 to 1, float64 [G + 1, B]; the first is that of all groups.
    groups
        Names of the groups, sorted.

    Notes
    -----
    Product-limit estimator for right-truncated data (Lynden-Bell, A method of allowing for known observational
    selection in small samples, 1971; Lagakos, Barraj and De Gruttola, Nonparametric analysis of truncated survival
    data, 1988). It needs the conversions alone, and no model of how many there are. What it cannot know is what
    comes later than the oldest impression is old: the curves are of conversions up to `reach`.
    """

    edges: Seconds
    curves: NDArray[np.float64]
    groups: tuple[str, ...]

    @property
    def reach(self) -> int:
        """The longest delay that the curves know of, seconds; from there on they are 1."""
        return int(self.edges[-1])

    @classmethod
    def fit(
        cls, delays: Seconds, ages: Seconds, groups: Names | None = None, *, prior: float = PRIOR_CONVERSIONS
    ) -> DelayModel:
        """Estimate the curves from the conversions that were seen.

        Parameters
        ----------
        delays
            Time from the impression until the conversion was known, seconds, int64 [n].
        ages
            Time from the impression until now, seconds, int64 [n]; never shorter than the delay.
        groups
            Names of the groups, [n]; None where there is one.
        prior
            How many conversions of the shared curve each group's curve is drawn by.

        Raises
        ------
        TrainingError
            There is no conversion, or a delay is negative or longer than the age.

        Examples
        --------
        Half of all conversions come on the first day and half on the second; of impressions a day old, only the
        first half is seen.

        >>> day = 86_400
        >>> seen = np.array([day] * 4 + [2 * day] * 2)
        >>> model = DelayModel.fit(seen, np.array([day, day, 2 * day, 2 * day, 2 * day, 2 * day]))
        >>> model.cdf(np.array([day, 2 * day])).tolist()
        [0.5, 1.0]
        """
        if not len(delays):
            raise TrainingError("a delay distribution needs conversions", next_step="use a longer log")
        wrong = np.flatnonzero((delays < 0) | (delays > ages))
        if len(wrong):
            raise TrainingError(
                "a conversion's delay is negative or longer than its impression is old",
                value=(int(delays[wrong[0]]), int(ages[wrong[0]])),
            )
        edges = _edges(delays)
        names, codes = (
            ((), np.zeros(0, np.int64))
            if groups is None
            else np.unique(np.asarray(groups, str), return_inverse=True)
        )
        shared = _reverse_hazards(edges, delays, ages, np.zeros(len(edges)), 0.0)
        hazards = [shared]
        for code in range(len(names)):
            mine = codes == code
            hazards.append(_reverse_hazards(edges, delays[mine], ages[mine], shared, prior))
        return cls(edges, np.stack([_curve(hazard) for hazard in hazards]), tuple(str(name) for name in names))

    def cdf(self, ages: Seconds | int, groups: Names | str | None = None) -> NDArray[np.float64]:
        """Return the share of conversions that are known at an age.

        Parameters
        ----------
        ages
            Seconds since the impression, of any shape.
        groups
            Names, of a shape that broadcasts with the ages; a name that the model does not know, and None, stand
            for all groups together.

        Returns
        -------
        NDArray
            float64, 0 at age 0 and 1 from `reach` on.
        """
        row = np.zeros((), np.int64) if groups is None else self._rows(np.asarray(groups, str))
        age, row = np.broadcast_arrays(np.clip(np.asarray(ages, np.int64), 0, self.reach), row)
        right = np.clip(np.searchsorted(self.edges, age), 1, len(self.edges) - 1)
        low, high = self.edges[right - 1], self.edges[right]
        part = (age - low) / (high - low)
        return np.asarray((1 - part) * self.curves[row, right - 1] + part * self.curves[row, right])

    def quantile(self, share: float) -> int:
        """Return the age in seconds by which a share of all groups' conversions is known."""
        return int(np.interp(share, self.curves[0], self.edges))

    def _rows(self, groups: NDArray[np.str_]) -> NDArray[np.int64]:
        if not self.groups:
            return np.zeros(groups.shape, np.int64)
        known = np.asarray(self.groups)
        place = np.minimum(np.searchsorted(known, groups), len(known) - 1)
        return np.asarray(np.where(known[place] == groups, place + 1, 0))


def _edges(delays: Seconds) -> Seconds:
    """Return the ends of the steps: quantiles of the seen delays, and whole days between them."""
    longest = max(int(delays.max()), 1)
    quantiles = np.quantile(delays, np.linspace(0, 1, _QUANTILES + 1)[1:], method="higher")
    days = np.arange(DAY_SECONDS, longest, DAY_SECONDS)
    return np.unique(np.concatenate([[0], np.maximum(quantiles, 1), days, [longest]]).astype(np.int64))


def _reverse_hazards(
    edges: Seconds, delays: Seconds, ages: Seconds, shared: NDArray[np.float64], prior: float
) -> NDArray[np.float64]:
    """Return, for each step, the share of the conversions up to its end that came in it."""
    # An impression counts in the steps that it is old enough to show whole.
    step = np.maximum(np.searchsorted(edges, delays), 1)
    last = np.searchsorted(edges, ages, side="right") - 1
    whole = step <= last
    came = np.bincount(step[whole], minlength=len(edges))
    enters, leaves = (np.bincount(at[whole], minlength=len(edges) + 1) for at in (step, last + 1))
    at_risk = (np.cumsum(enters) - np.cumsum(leaves))[: len(edges)]
    return np.asarray(
        np.divide(came + prior * shared, at_risk + prior, out=np.zeros(len(edges)), where=at_risk + prior > 0)
    )


def _curve(hazards: NDArray[np.float64]) -> NDArray[np.float64]:
    remains = np.append(np.cumprod((1 - hazards[1:])[::-1])[::-1], 1.0)
    return np.asarray(np.where(np.arange(len(remains)) == 0, 0.0, remains))
