"""Uplift curves: what showing it to the best first brings, and the areas below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError
from training.quality.metrics import Floats

Draws = NDArray[np.float64]


@dataclass(frozen=True)
class UpliftCurve:
    """Outcomes gained by treating the people with the highest scores, at every depth of the ranking.

    With Y and N the outcomes and people of the treated (T) and the control (C) down to a depth, ties taken as one
    step, and 0 for a mean over nobody:

    - Qini curve: (Y_T - Y_C · N_T / N_C) / N_T(all): extra outcomes per treated person of the trial (Radcliffe
      2007, divided by the number of treated people, so that trials of different size compare). It ends at the
      average effect. The **Qini** is the area between it and the straight line to its end, which is what a random
      order gives: 0 is random, more is better. It is not divided by that of a perfect order; see `normalised_qini`.
    - gain: (Y_T / N_T - Y_C / N_C) · depth: the same with both arms scaled to the whole population (Gutierrez and
      Gérardy 2017). The **AUUC** is the area below it; half the average effect is random.

    Parameters
    ----------
    depth
        Share of people, from 0 to 1.
    incremental, gain
        The Qini curve and the gain at these depths; straight between them.

    Notes
    -----
    Sources: Radcliffe, Using control groups to target on predicted lift, Direct Marketing Analytics Journal, 2007;
    Gutierrez and Gérardy, Causal inference and uplift modelling: a review of the literature, PMLR 67, 2017.
    """

    depth: Floats
    incremental: Floats
    gain: Floats

    @property
    def effect(self) -> float:
        """Average effect: mean outcome of the treated minus that of the control."""
        return float(self.incremental[-1])

    @property
    def qini(self) -> float:
        """Area between the Qini curve and the straight line to its end."""
        return float(np.trapezoid(self.incremental, self.depth) - self.effect / 2)

    @property
    def auuc(self) -> float:
        """Area below the gain."""
        return float(np.trapezoid(self.gain, self.depth))


def uplift_curve(
    scores: Floats, treated: NDArray[np.bool_], outcome: Floats, weights: Floats | None = None
) -> UpliftCurve:
    """Return the curves of a ranking.

    Parameters
    ----------
    scores
        Higher means treated earlier; equal scores are one step.
    treated, outcome
        Whether a person was treated, and what came of it.
    weights
        1 over the chance of the arm that a person was in; needed where that chance differs between people.

    Raises
    ------
    TrainingError
        An arm is empty, or the arrays are not of one length.

    Examples
    --------
    >>> treated = np.array([True, False, True, False])
    >>> curve = uplift_curve(np.array([2.0, 2.0, 1.0, 1.0]), treated, np.array([1.0, 0.0, 1.0, 1.0]))
    >>> curve.incremental.tolist(), curve.qini, curve.auuc
    ([0.0, 0.5, 0.5], 0.125, 0.375)
    """
    if not scores.shape == treated.shape == outcome.shape or treated.all() or not treated.any():
        raise TrainingError(
            "a ranking is measured on people of both arms", value=(scores.shape, int(treated.sum()), len(treated))
        )
    ones = np.ones((len(scores), 1))
    sums = ranked_sums(scores, treated, outcome, ones, ones if weights is None else weights[:, None])
    return UpliftCurve(*(part[:, 0] for part in curves_of(sums)))


def normalised_qini(scores: Floats, treated: NDArray[np.bool_], outcome: Floats) -> float:
    """Return the Qini over that of the best order in hindsight, for outcomes of 0 and 1.

    The best order has the treated with an outcome first and the control with one last (Radcliffe 2007: Qini
    coefficient Q, negative effects allowed). It cannot be reached by any model; 0.05 is much.
    """
    best = uplift_curve(outcome * np.where(treated, 1.0, -1.0), treated, outcome).qini
    return uplift_curve(scores, treated, outcome).qini / best


class Sums(NamedTuple):
    """People and outcomes down to the end of every group of ties, groups + 1 × draws, from none to all."""

    people: Draws
    treated: Draws
    control: Draws
    treated_outcome: Draws
    control_outcome: Draws


def ranked_sums(scores: Floats, treated: NDArray[np.bool_], outcome: Floats, counts: Draws, weights: Draws) -> Sums:
    """Sum people and outcomes from the top, under each of many draws of the people.

    Parameters
    ----------
    scores, treated, outcome
        As in `uplift_curve`.
    counts
        How often each person was drawn, people × draws.
    weights
        Weight of a person each time, people × 1.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])) + 1, len(scores))
    drawn = counts[order]

    def down(rows: NDArray[np.bool_], part: Draws) -> Draws:
        sums = np.concatenate([np.zeros((1, part.shape[1])), np.cumsum(part, axis=0)])
        return np.asarray(sums[np.append(0, np.cumsum(rows)[ends - 1])])

    sums = [down(np.ones(len(scores), bool), drawn)]
    for rows in (treated[order], ~treated[order]):
        weighted = drawn[rows] * weights[order][rows]
        sums += [down(rows, weighted), down(rows, weighted * outcome[order][rows, None])]
    people, shown, shown_outcome, kept, kept_outcome = sums
    return Sums(people, shown, kept, shown_outcome, kept_outcome)


def curves_of(sums: Sums) -> tuple[Draws, Draws, Draws]:
    """Return depth, Qini curve and gain of every draw."""
    depth = sums.people / sums.people[-1]
    control = _mean(sums.control_outcome, sums.control)
    incremental = (sums.treated_outcome - control * sums.treated) / sums.treated[-1]
    gain = (_mean(sums.treated_outcome, sums.treated) - control) * depth
    return depth, incremental, gain


def effect_at(sums: Sums, share: float) -> Floats:
    """Return the mean effect among the given share with the highest scores, one value per draw.

    A group of ties that the cut goes through counts by the part of it that is needed. NaN where that share holds
    nobody of an arm.
    """
    depth = sums.people / sums.people[-1]
    found = np.empty(depth.shape[1])
    for draw in range(len(found)):
        at = [float(np.interp(share, depth[:, draw], part[:, draw])) for part in sums[1:]]
        treated, control, treated_outcome, control_outcome = at
        both = treated > 0 and control > 0
        found[draw] = treated_outcome / treated - control_outcome / control if both else np.nan
    return found


def _mean(total: Draws, people: Draws) -> Draws:
    return np.divide(total, people, out=np.zeros_like(total), where=people > 0)
