"""Who is shown what in the loop: rules, models and oracles, all at the spend of broad delivery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.loop_learner import Learner, WorldLog
from features.days import DAY_SECONDS
from features.people.person_links import PersonLinks
from features.world.policy import Choice, Slots
from training.policy.allocation import Offers, allocate, draw

Values = NDArray[np.float64]
EXPLORE = 0.05
TEMPERATURE = 0.1
_BUYERS_DAYS = 60
_INTERESTED = 128
"""A click in the category within the last week, or more of them longer ago."""


def offers_of(slots: Slots) -> Offers:
    """Return a day's candidates with what they cost and their share in broad delivery."""
    found = slots.candidates
    _, campaign = np.unique(found.campaign, return_inverse=True)
    return Offers(campaign, found.bid.astype(float), found.bid / found.bid.sum())


def delivered(slots: Slots, values: Values, person: NDArray[np.int64], explore: float = EXPLORE) -> Choice:
    """Choose for the most value at the usual spend of every campaign."""
    weight = np.bincount(person, minlength=len(values)).astype(float)
    chances = allocate(values, offers_of(slots), weight, explore=explore, temperature=TEMPERATURE)
    return Choice(*draw(chances, person, slots.draw))


class RulePolicy:
    """Aims at those who lately bought in the ad's category or clicked notes of it, as rule-based audiences do.

    Parameters
    ----------
    log
        Tells purchases that had arrived, of accounts that were linked by then.
    """

    name = "rule"

    def __init__(self, log: WorldLog) -> None:
        self._log = log

    def choose(self, slots: Slots) -> Choice:
        """Choose among those whose audience the person is in, as often as campaigns can pay."""
        at = self._log.begin + slots.day * DAY_SECONDS
        _, first, person = np.unique(slots.person, return_index=True, return_inverse=True)
        found = slots.candidates
        interested = slots.recent[slots.person[first]][:, found.category] >= _INTERESTED
        values = (interested | self._bought(slots, first, at)).astype(float)
        return delivered(slots, values, person, explore=0.0)

    def _bought(self, slots: Slots, first: NDArray[np.int64], at: int) -> NDArray[np.bool_]:
        con = self._log.con
        links = PersonLinks(self._log.identities, at)
        buys = con.sql(
            f"select account, category from events where kind = 'purchase' and event_time < {at} "
            f"and arrived_at <= {at} and event_time >= {at - _BUYERS_DAYS * DAY_SECONDS} and category is not null"
        ).to_arrow_table()
        shop = links.persons(buys["account"].combine_chunks(), np.full(len(buys), at))
        bought = set(zip(shop.to_pylist(), buys["category"].to_pylist(), strict=True))
        accounts = slots.accounts().take(first)
        persons = links.persons(accounts, np.full(len(first), at)).to_pylist()
        notes = self._log.con.table("notes").project("note, category").to_arrow_table()
        of = dict(zip(notes["note"].to_pylist(), notes["category"].to_pylist(), strict=True))
        categories = [of[name] for name in slots.candidates.names]
        return np.array([[(who, category) in bought for category in categories] for who in persons], bool)


class LearnedPolicy:
    """Ours: expected purchases by a model that is trained on the first day, and again on each of the days given.

    Parameters
    ----------
    learner
        Model and features.
    again_days
        Days between trainings; 0 for never again.
    """

    def __init__(self, learner: Learner, name: str, again_days: int = 0) -> None:
        self.name, self._learner, self._again, self._next = name, learner, again_days, 0

    def choose(self, slots: Slots) -> Choice:
        """Train where it is due, then choose."""
        if self._learner.model is None or (self._again and slots.day >= self._next):
            self._learner.train(self._learner.log.begin + slots.day * DAY_SECONDS)
            self._next = slots.day + self._again
        rows, person = self._learner.rows(slots)
        return delivered(slots, self._learner.values(rows), person)


class ValuedPolicy:
    """Chooses by a function that values people and candidates, for oracles.

    Parameters
    ----------
    values
        Slots to values [persons, candidates] and the row of each slot's person [slots].
    """

    def __init__(self, name: str, values: Callable[[Slots], tuple[Values, NDArray[np.int64]]]) -> None:
        self.name, self._values = name, values

    def choose(self, slots: Slots) -> Choice:
        """Choose without exploring: an oracle has nothing to learn."""
        values, person = self._values(slots)
        return delivered(slots, values, person, explore=0.0)
