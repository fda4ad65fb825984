"""Ads of a day: who may be shown what, hold-outs, house ads, and how tired of ads people are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.errors import SettingsError
from features.world.content import Campaigns, Notes, numbers_of
from features.world.draws import Floats, Ints, uniform
from features.world.feed import Feed
from features.world.people import People
from features.world.policy import Candidates, Choice, Policy, Slots
from features.world.settings import WorldSettings
from features.world.tables import held_out

_REMEMBERED: Final = 16
_FADES: Final = 0.8


@dataclass(frozen=True)
class Placed:
    """Ads in a day's ad slots.

    Parameters
    ----------
    note, propensity, cost
        Note that was shown, probability of the policy's choice, cost in millionths [slots].
    instead_of
        Campaign that the policy chose where its hold-out got a house ad; else -1 [slots].
    repeats
        How often the person lately saw the same ad [slots].
    """

    note: Ints
    propensity: Floats
    cost: Ints
    instead_of: Ints
    repeats: Ints


class Ads:
    """Places ads and remembers who saw them.

    Parameters
    ----------
    settings, people, notes, campaigns
        The world.

    Raises
    ------
    SettingsError
        A campaign or note to leave out does not exist.
    """

    def __init__(self, settings: WorldSettings, people: People, notes: Notes, campaigns: Campaigns) -> None:
        self._settings, self._people, self._notes, self._campaigns = settings, people, notes, campaigns
        removed = numbers_of(settings.without_campaigns, campaigns.names, "campaign")
        self._removed = np.isin(notes.campaign, removed)
        self._removed[numbers_of(settings.without_notes, notes.names, "note")] = True
        self.pressure = np.zeros(len(people.number))
        self.seen = np.full((len(people.number), _REMEMBERED), -1, np.int32)
        self.next = np.zeros(len(people.number), np.int64)

    def candidates(self, day: int) -> Candidates:
        """Return the notes of campaigns that run on a day, as far as they are published."""
        notes, campaigns = self._notes, self._campaigns
        paid = np.flatnonzero(notes.campaign >= 0)
        owner = notes.campaign[paid]
        runs = (notes.day[paid] <= day) & (campaigns.first_day[owner] <= day) & (campaigns.last_day[owner] >= day)
        note = paid[runs]
        owner = owner[runs]
        return Candidates(
            note, owner, notes.brand[note], notes.category[note], notes.creator[note], notes.topic[note],
            campaigns.bid[owner], notes.published_at[note], notes.video[note],
            [notes.names[n] for n in note], [campaigns.names[c] for c in owner],
        )  # fmt: skip

    def place(
        self, policy: Policy, feed: Feed, rows: Ints, recent: np.typing.NDArray[np.int16], day: int
    ) -> Placed:
        """Fill the ad slots, which are some rows of the feed.

        Raises
        ------
        SettingsError
            The policy broke its contract.
        """
        person, keys = feed.person[rows], feed.keys[rows]
        house = self._notes.house[(uniform(keys, 30) * len(self._notes.house)).astype(np.int64)]
        found = self.candidates(day)
        if not len(found.note) or not len(rows):
            nothing = np.full(len(rows), -1)
            return Placed(
                house, np.ones(len(rows)), np.zeros(len(rows), np.int64), nothing, self._seen(person, house)
            )
        platform = self._people.content[person].astype(np.int64)
        slots = Slots(
            day, person, platform, feed.time[rows], feed.position[rows], uniform(keys, 31), recent, found,
            self._people.number,
        )  # fmt: skip
        choice = policy.choose(slots)
        _require_sound(policy, choice, slots)
        note, campaign = found.note[choice.candidate], found.campaign[choice.candidate]
        held = held_out(self._settings, campaign, self._people.number[person])
        spared = held | self._removed[note]
        cost = (found.bid[choice.candidate] * (0.6 + 0.4 * uniform(keys, 32))).astype(np.int64)
        shown = np.where(spared, house, note)
        return Placed(
            shown, choice.propensity, np.where(spared, 0, cost), np.where(held, campaign, -1),
            self._seen(person, shown),
        )  # fmt: skip

    def _seen(self, person: Ints, note: Ints) -> Ints:
        repeats: Ints = (self.seen[person] == note[:, None]).sum(axis=1)
        return repeats

    def remember(self, person: Ints, note: Ints) -> None:
        """Note who saw which ads on a day, in the order of the feed: people ascending, each in order of time."""
        self.pressure *= _FADES
        if not len(person):
            return
        begins = np.flatnonzero(np.diff(person, prepend=-1))
        counts = np.diff(np.append(begins, len(person)))
        nth = np.arange(len(person)) - np.repeat(begins, counts)
        latest = nth >= np.repeat(counts, counts) - _REMEMBERED
        place = (self.next[person] + nth) % _REMEMBERED
        self.seen[person[latest], place[latest]] = note[latest]
        self.next[person[begins]] += counts
        self.pressure[person[begins]] += counts


def _require_sound(policy: Policy, choice: Choice, slots: Slots) -> None:
    if len(choice.candidate) != len(slots) or len(choice.propensity) != len(slots):
        raise SettingsError(
            f"policy {policy.name} must choose for each of {len(slots)} slots", value=len(choice.candidate)
        )
    if choice.candidate.min() < 0 or choice.candidate.max() >= len(slots.candidates.note):
        raise SettingsError(
            f"policy {policy.name} chose what is no candidate", value=int(choice.candidate.max()),
            valid=[f"0 to {len(slots.candidates.note) - 1}"],
        )  # fmt: skip
    if not (choice.propensity > 0).all() or choice.propensity.max() > 1 + 1e-9:
        raise SettingsError(
            f"policy {policy.name} gave a probability that is none", value=float(choice.propensity.min()),
            valid=["above 0, up to 1"],
        )  # fmt: skip
