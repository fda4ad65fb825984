"""Who opens the content platform on a day, and what the slots of their sessions are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.days import DAY_SECONDS
from features.world.catalogue import CATEGORIES
from features.world.content import Notes
from features.world.draws import Flags, Floats, Ints, Keys, Stream, exponential, keys_of, uniform
from features.world.people import CARDS, People
from features.world.settings import WorldSettings

AD_SHARE: Final = 0.2
_SESSION: Final = 12
_SECONDS_A_SLOT: Final = 20
_MOST_VIEWS: Final = 300
_EXPLORE: Final = 0.12
# Share of sessions that began by each second of the day: peaks at noon and in the evening.
_CLOCK_SHARE: Final = np.array([0, 0.06, 0.14, 0.30, 0.45, 0.60, 0.90, 1.0])
_CLOCK_SECOND: Final = np.array([6.5, 8.5, 11.5, 13.5, 17.5, 19.5, 22.5, 23.5]) * 3_600


@dataclass(frozen=True)
class Feed:
    """The slots of a day, by person and then by time.

    Parameters
    ----------
    person, place
        Who, and the number of the slot in the person's day.
    keys
        What the slot's draws derive from.
    time, position
        Epoch seconds, and place in the session.
    ad
        Whether an ad goes there.
    """

    person: Ints
    place: Ints
    keys: Keys
    time: Ints
    position: Ints
    ad: Flags


def clock(share: Floats) -> Floats:
    """Return the second of the day by which a share of the sessions began."""
    second: Floats = np.interp(share, _CLOCK_SHARE, _CLOCK_SECOND)
    return second


def feed_of(settings: WorldSettings, people: People, day: int) -> Feed:
    """Draw a day's sessions."""
    keys = keys_of(settings.seed, Stream.FEED, day, people.number)
    person = np.flatnonzero(uniform(keys, 0) < people.active)
    keys = keys[person]
    views = 1 + np.minimum(people.views[person] * exponential(keys, 1), _MOST_VIEWS).astype(np.int64)
    sessions = 1 + views // _SESSION
    length = -(-views // sessions)
    place = np.arange(views.sum()) - np.repeat(np.cumsum(views) - views, views)
    row = np.repeat(np.arange(len(person)), views)
    session = place // length[row]
    position = place - session * length[row]
    first = position == 0
    opened, number = row[first], session[first]
    drawn = uniform(keys_of(settings.seed, Stream.SESSION, day, people.number[person[opened]], number), 0)
    began = clock((number + 0.8 * drawn) / sessions[opened]).astype(np.int64)
    slot_keys = keys_of(settings.seed, Stream.SLOT, day, people.number[person[row]], place)
    jitter = (slot_keys >> np.uint64(60)).astype(np.int64)
    time = settings.begin + day * DAY_SECONDS + began[np.cumsum(first) - 1] + position * _SECONDS_A_SLOT + jitter
    ad = (position > 0) & (uniform(slot_keys, 0) < AD_SHARE * 1.15)
    return Feed(person[row], place, slot_keys, time, position, ad)


def organic_notes(people: People, notes: Notes, person: Ints, keys: Keys, day: int) -> Ints:
    """Draw the notes that the platform itself shows: mostly of what the person reads about, newer ones first."""
    drawn = uniform(keys, 1)
    cards = (drawn / (1 - _EXPLORE) * CARDS).astype(np.int64)
    other = ((drawn - 1 + _EXPLORE) / _EXPLORE * len(CATEGORIES)).astype(np.int64)
    category = np.where(cards < CARDS, people.reads[person, np.minimum(cards, CARDS - 1)], other)
    return notes.organic(category, day, uniform(keys, 2))
