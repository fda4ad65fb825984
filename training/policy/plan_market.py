"""What there is to buy: how many impressions a chance per slot brings, and how much less each further one does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.quality.metrics import Floats

CHANCES: Final = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""Chances per slot between which what they bring is taken to be a straight line."""
_FEW: Final = 1e-9


@dataclass(frozen=True)
class Market:
    """What can be bought in the days of a plan, by audience, note and platform.

    A note is shown in each slot of an audience by chance, up to a cap per person. The higher the chance, the more
    often it meets people who have seen it, or may not see it again. Between the chances of `CHANCES` lie pieces, in
    which impressions are worth and are hidden alike; later pieces are worth less and are hidden more.

    Parameters
    ----------
    value
        What a first impression is expected to cause, at least 0 [audiences, notes, platforms].
    room
        Impressions of a note in each piece [audiences, platforms, pieces].
    response
        What an impression in a piece causes beside a first one, falling [audiences, platforms, pieces].
    hides
        Hides per impression in a piece, never falling [audiences, platforms, pieces].
    reached
        People who see a note at the end of each piece [audiences, platforms, pieces].
    usual_hides
        Hides per impression that people bore so far.
    cost
        Of an impression, above 0 [platforms].
    slots
        All ad slots [audiences, platforms].
    most_of_slots
        Share of these that the campaign may take.
    cap
        Most impressions of a note per person.
    """

    value: Floats
    room: Floats
    response: Floats
    hides: Floats
    reached: Floats
    usual_hides: float
    cost: Floats
    slots: Floats
    most_of_slots: float
    cap: int

    def pieces(self, impressions: Floats) -> Floats:
        """Return how many impressions fall into each piece [audiences, notes, platforms, pieces]."""
        room = self.room[:, None]
        before = np.cumsum(room, axis=-1) - room
        return np.asarray(np.clip(impressions[..., None] - before, 0.0, room))

    def worth(self, impressions: Floats) -> Floats:
        """Return how many first impressions cause as much [audiences, notes, platforms]."""
        return np.asarray((self.pieces(impressions) * self.response[:, None]).sum(axis=-1))

    def hidden(self, impressions: Floats) -> float:
        """Return the expected hides of impressions [audiences, notes, platforms]."""
        return float((self.pieces(impressions) * self.hides[:, None]).sum())

    def chance(self, impressions: Floats) -> Floats:
        """Return the chance per slot that brings so many impressions [audiences, notes, platforms]."""
        steps = np.diff(CHANCES, prepend=0.0)
        room = self.room[:, None]
        share = np.divide(self.pieces(impressions), room, out=np.zeros_like(impressions[..., None] + room),
                          where=room > _FEW)  # fmt: skip
        return np.asarray(share @ steps)

    def least(self, fewest: int) -> Floats:
        """Return how many impressions reach so many people, infinite where none do [audiences, platforms]."""
        found = np.full(self.slots.shape, np.inf)
        for cell in np.ndindex(*found.shape):
            if self.reached[cell][-1] >= fewest:
                impressions = np.concatenate([[0.0], np.cumsum(self.room[cell])])
                found[cell] = np.interp(fewest, np.concatenate([[0.0], self.reached[cell]]), impressions)
        return found

    def broad(self, budget: float) -> Floats:
        """Return the impressions that a budget buys of all open slots and all notes alike."""
        notes = self.value.shape[1]
        slots = self.slots * self.most_of_slots
        price = float(slots.sum(axis=0) @ self.cost)
        each = slots * min(budget / price, 1.0) / notes if price else slots
        return np.asarray(np.minimum(np.repeat(each[:, None], notes, axis=1), self.room.sum(axis=-1)[:, None]))


def bought(slots: Floats, response: Floats, hides: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return what each chance of `CHANCES` brings of people with so many slots.

    Parameters
    ----------
    slots
        Ad slots of each person [n].
    response, hides
        By how often a person had seen the note, as long as the cap.

    Returns
    -------
    impressions, worth, hidden, reached
        Of each person; how often a note falls to somebody is Poisson [n, chances].

    Examples
    --------
    >>> impressions, worth, _, reached = bought(np.array([10.0]), np.array([1.0, 0.5]), np.ones(2))
    >>> impressions[0, [0, -1]].round(2).tolist(), worth[0, -1].round(2), reached[0, -1].round(2)
    ([0.2, 2.0], np.float64(1.5), np.float64(1.0))
    """
    seen = stats.poisson.sf(np.arange(len(response)), (slots[:, None] * np.array(CHANCES))[..., None])
    return seen.sum(axis=-1), seen @ response, seen @ hides, seen[..., 0]


def by_piece(totals: Floats) -> Floats:
    """Return by how much totals grow in each piece."""
    return np.diff(totals, axis=-1, prepend=0.0)


def falling(parts: Floats, room: Floats) -> Floats:
    """Return parts over room, never rising."""
    return np.asarray(np.minimum.accumulate(_over(parts, room), axis=-1))


def rising(parts: Floats, room: Floats) -> Floats:
    """Return parts over room, never falling."""
    return np.asarray(np.maximum.accumulate(_over(parts, room), axis=-1))


def _over(parts: Floats, room: NDArray[np.float64]) -> Floats:
    return np.divide(parts, room, out=np.zeros_like(parts), where=room > _FEW)
