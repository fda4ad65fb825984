"""The delivery-policy contract: which ad goes into a slot, and with which probability that was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.world.draws import Floats, Ints
from features.world.names import account_text

_CHUNK = 100_000


@dataclass(frozen=True)
class Candidates:
    """Paid notes that may be shown on a day.

    Parameters
    ----------
    note, campaign, brand, category, creator, topic
        Numbers; `names` of the notes are the ids in the log.
    bid
        Offer for an impression, in millionths of a currency unit.
    published_at
        Epoch seconds.
    video
        Media.
    names, campaign_names
        Ids [candidates].
    """

    note: Ints
    campaign: Ints
    brand: Ints
    category: Ints
    creator: Ints
    topic: Ints
    bid: Ints
    published_at: Ints
    video: npt.NDArray[np.bool_]
    names: list[str]
    campaign_names: list[str]


@dataclass(frozen=True)
class Slots:
    """The ad slots of a day, all of them at once; nothing in here is hidden from an ad server.

    Parameters
    ----------
    day
        Days from the world's first.
    person
        Row that stands for the person's content account [slots]; the same every day.
    platform
        Number of the content platform [slots].
    time, position
        Epoch seconds and place in the session [slots].
    draw
        A uniform random number for each slot, so that a policy needs no randomness of its own [slots].
    recent
        Clicks of every person in each category, fading with a half-life of seven days [people, categories], as of
        the day's beginning.
    candidates
        What may be shown, the same for all slots.
    numbers
        What accounts are named after [people].
    """

    day: int
    person: Ints
    platform: Ints
    time: Ints
    position: Ints
    draw: Floats
    recent: npt.NDArray[np.int16]
    candidates: Candidates
    numbers: Ints

    def __len__(self) -> int:
        return len(self.person)

    def accounts(self) -> pa.StringArray:
        """Return the slots' content accounts as the log names them."""
        return account_text(self.platform, self.numbers[self.person])


@dataclass(frozen=True)
class Choice:
    """What a policy chose.

    Parameters
    ----------
    candidate
        Place among the candidates [slots].
    propensity
        Probability with which just that candidate was chosen in that slot [slots].
    """

    candidate: Ints
    propensity: Floats


class Policy(Protocol):
    """Chooses ads; `name` goes into the log."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    def choose(self, slots: Slots) -> Choice:
        """Choose one candidate for each slot; there is at least one candidate and one slot."""
        ...


class BroadPolicy:
    """Shows ads by their bids, to all people alike."""

    name = "broad"

    def choose(self, slots: Slots) -> Choice:
        """Choose with probabilities proportional to bids."""
        weights = slots.candidates.bid / slots.candidates.bid.sum()
        candidate = np.minimum(np.searchsorted(np.cumsum(weights), slots.draw, side="right"), len(weights) - 1)
        return Choice(candidate, weights[candidate])


class InterestPolicy:
    """Shows ads by their bids, more often to those who lately clicked notes of the ad's category.

    Parameters
    ----------
    tilt
        How much: the bid counts exp(tilt x level) times, the level being at most 3 clicks.
    """

    name = "interest"

    def __init__(self, tilt: float = 0.7) -> None:
        self.tilt = tilt

    def choose(self, slots: Slots) -> Choice:
        """Choose with probabilities proportional to tilted bids."""
        chosen = np.empty(len(slots), np.int64)
        propensity = np.empty(len(slots))
        found = slots.candidates
        factors = np.exp(self.tilt * np.minimum(np.arange(16 * 256 + 1) / 256, 3.0))
        for first in range(0, len(slots), _CHUNK):
            rows = slice(first, first + _CHUNK)
            weights = factors[slots.recent[slots.person[rows][:, None], found.category]] * found.bid
            edges = np.cumsum(weights, axis=1)
            target = slots.draw[rows] * edges[:, -1]
            picked = np.minimum((edges <= target[:, None]).sum(axis=1), len(found.note) - 1)
            chosen[rows] = picked
            propensity[rows] = weights[np.arange(len(picked)), picked] / edges[:, -1]
        return Choice(chosen, propensity)
