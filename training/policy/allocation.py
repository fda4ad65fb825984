"""Who is shown which note: the most expected value while every campaign spends what it would have spent anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import TrainingError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_ROUNDS: Final = 60
_HALVINGS: Final = 30
_CLOSE: Final = 1e-4
_RIDGE: Final = 1e-9


@dataclass(frozen=True)
class Offers:
    """The notes that may be shown.

    Parameters
    ----------
    campaign
        Number of the campaign that pays for each, from 0 [notes].
    cost
        Expected cost of an impression, in any unit, above 0 [notes].
    usual
        Share of the impressions that each has in ordinary delivery, above 0; they add up to 1 [notes].
    """

    campaign: Ints
    cost: Floats
    usual: Floats


def allocate(
    values: Floats, offers: Offers, weight: Floats, *, explore: float = 0.05, temperature: float = 0.1
) -> Floats:
    """Return the probabilities with which each person's slots show each note.

    Every campaign's expected spend is that of ordinary delivery: what changes is who sees its notes, and which of
    them. A share of the slots is filled as in ordinary delivery, so that what is learned later of one note or
    person does not depend on what was believed before.

    Parameters
    ----------
    values
        Expected value of showing each person each note, not negative [persons, notes].
    offers
        The notes.
    weight
        Slots of each person [persons].
    explore
        Share of ordinary delivery: no probability lies below ``explore x usual``.
    temperature
        How far the rest is from showing everybody their best note, in units of the mean value: the smaller, the
        nearer.

    Returns
    -------
    numpy.ndarray
        float64 [persons, notes], rows add up to 1: the logged propensity of a choice.

    Raises
    ------
    TrainingError
        Values and offers are not of one shape, or a value is not finite.

    Notes
    -----
    What is not explored maximises expected value plus `temperature` x mean value x the entropy relative to ordinary
    delivery, under one equality per campaign. The maximum is a softmax of value less price x cost; the prices
    minimise the dual, which is convex (Boyd and Vandenberghe, Convex Optimization, 2004, section 5.2), by Newton's
    method with halved steps.

    Examples
    --------
    Two campaigns at equal cost, two persons who like one each:

    >>> offers = Offers(np.array([0, 1]), np.array([1.0, 1.0]), np.array([0.5, 0.5]))
    >>> allocate(np.array([[0.9, 0.1], [0.1, 0.9]]), offers, np.ones(2), explore=0.1).round(3).tolist()
    [[0.95, 0.05], [0.05, 0.95]]

    With nothing to choose by it is ordinary delivery:

    >>> allocate(np.ones((2, 2)), offers, np.ones(2)).round(6).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    if values.ndim != 2 or values.shape != (len(weight), len(offers.cost)) or not np.isfinite(values).all():
        raise TrainingError(
            "values are needed of every person and note, all of them finite",
            value=values.shape,
            valid=[(len(weight), len(offers.cost))],
        )
    mean = float(values.mean())
    if mean <= 0:
        return np.tile(offers.usual, (len(values), 1))
    logits = values / (temperature * mean) + np.log(offers.usual)
    best = _at_prices(logits, offers, weight / weight.sum())
    return np.asarray((1 - explore) * best + explore * offers.usual)


def _at_prices(logits: Floats, offers: Offers, share: Floats) -> Floats:
    """Return the softmax at the prices of the campaigns' money at which each spends what it usually spends."""
    spends = np.zeros((len(offers.cost), int(offers.campaign.max()) + 1))
    spends[np.arange(len(offers.cost)), offers.campaign] = offers.cost / (offers.usual @ offers.cost)
    wanted = offers.usual @ spends
    price = np.zeros(len(wanted))

    def at(price: Floats) -> tuple[float, Floats]:
        asked = logits - spends @ price
        highest = asked.max(axis=1, keepdims=True)
        weights = np.exp(asked - highest)
        sums = weights.sum(axis=1, keepdims=True)
        dual = float(share @ (highest + np.log(sums))[:, 0] + price @ wanted)
        return dual, np.asarray(weights / sums)

    dual, chances = at(price)
    for _ in range(_ROUNDS):
        spent = chances @ spends
        off = share @ spent - wanted
        if np.abs(off).max() < _CLOSE * wanted.max():
            break
        curve = spends.T @ ((share @ chances)[:, None] * spends) - (share[:, None] * spent).T @ spent
        step = np.linalg.solve(curve + _RIDGE * np.eye(len(price)), off)
        for _ in range(_HALVINGS):
            lower, found = at(price + step)
            if lower <= dual:
                break
            step = step / 2
        dual, chances, price = lower, found, price + step
    return chances


def draw(chances: Floats, person: Ints, uniform: Floats, *, again: float = 0.25) -> tuple[Ints, Floats]:
    """Draw a note for each slot; one that a person was already shown is less likely to be shown again.

    Parameters
    ----------
    chances
        As `allocate` returns them [persons, notes].
    person
        Row of each slot's person, in the order of the slots [slots].
    uniform
        A random number from [0, 1) for each slot.
    again
        What the chance of a note is multiplied by each time that it was shown to the person in these slots.

    Returns
    -------
    note, propensity
        Place of the note and the probability with which just this one was drawn [slots].

    Examples
    --------
    >>> note, propensity = draw(np.array([[0.75, 0.25]]), np.array([0, 0]), np.array([0.5, 0.5]))
    >>> note.tolist(), propensity.round(3).tolist()
    ([0, 1], [0.75, 0.571])
    """
    left = chances.copy()
    note, propensity = np.empty(len(person), np.int64), np.empty(len(person))
    turn = _turns(person)
    for number in range(int(turn.max(initial=-1)) + 1):
        slots = np.flatnonzero(turn == number)
        rows = left[person[slots]]
        edges = np.cumsum(rows, axis=1)
        found = np.minimum((edges <= uniform[slots, None] * edges[:, -1:]).sum(axis=1), rows.shape[1] - 1)
        note[slots] = found
        propensity[slots] = rows[np.arange(len(slots)), found] / edges[:, -1]
        left[person[slots], found] *= again
    return note, propensity


def _turns(person: Ints) -> Ints:
    """Return for each slot how many earlier ones its person has."""
    order = np.argsort(person, kind="stable")
    begins = np.flatnonzero(np.diff(person[order], prepend=-1))
    turn = np.empty(len(person), np.int64)
    lengths = np.diff(np.append(begins, len(person)))
    turn[order] = np.arange(len(person)) - np.repeat(begins, lengths)
    return turn
