"""What people do with the notes they see: each step has a known probability, then a draw."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from features.world.catalogue import CATEGORIES
from features.world.content import TOPICS_PER_CATEGORY, Notes
from features.world.draws import Flags, Floats, Ints, Keys, Stream, keys_of, sigmoid, uniform
from features.world.levels import UNIT
from features.world.people import INTEREST_UNIT, People
from features.world.settings import WorldSettings

VISITS_GIVEN_JUMP: Final = 0.85
_NOTICED: Final = 0.06
# What raises the desire for a note's brand: seen in passing, opened, read deeply, and dealt with beyond that.
_RAISES: Final = {"noticed": 0.2, "clicked": 0.35, "deep": 0.65, "active": 0.6}


@dataclass(frozen=True)
class Shown:
    """Impressions.

    Parameters
    ----------
    person, note
        Who saw what.
    place, keys
        Number of the slot in the person's day, and what its draws derive from.
    time, position
        Epoch seconds and place in the session.
    propensity
        Probability of the choice; NaN for organic impressions.
    cost
        Millionths of a currency unit, 0 for organic impressions.
    repeats
        How often the person lately saw the same ad.
    """

    person: Ints
    note: Ints
    place: Ints
    keys: Keys
    time: Ints
    position: Ints
    propensity: Floats
    cost: Ints
    repeats: Ints

    def take(self, rows: Ints) -> Self:
        """Return some of them."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Chances:
    """True probabilities of what may follow a click, each given the step before it.

    Parameters
    ----------
    deep
        Read deeply, given the click.
    jump
        Link click, given the click.
    visit
        Store visit, given the jump; 0 for those who have no account in a shop.
    """

    deep: Floats
    jump: Floats
    visit: Floats


@dataclass(frozen=True)
class Acts:
    """What was done, as row numbers of clicked impressions or as flags over them."""

    deep: Flags
    like: Flags
    save: Flags
    comment: Flags
    share: Flags
    follow: Flags
    jump: Flags
    visit: Flags
    search: Flags


def interest_of(people: People, person: Ints, category: Ints) -> Floats:
    """Return the latent interest of people in categories, 0 where there is none."""
    interest: Floats = np.where(category >= 0, people.interest[person, category], np.int8(0)) * (1 / INTEREST_UNIT)
    return interest


def topic_trends(settings: WorldSettings, day: int) -> Floats:
    """Return how popular topics are on a day: slow waves, each with its own period."""
    keys = keys_of(settings.seed, Stream.TOPIC, 0, np.arange(len(CATEGORIES) * TOPICS_PER_CATEGORY))
    trend: Floats = 0.25 * np.sin(2 * np.pi * (day / (20 + 60 * uniform(keys, 0)) + uniform(keys, 1)))
    return trend


def click_chances(people: People, notes: Notes, trends: Floats, shown: Shown, pressure: Floats) -> Floats:
    """Return the true probability of a click for every impression.

    Parameters
    ----------
    people, notes, shown
        Who sees what.
    trends
        Popularity of topics.
    pressure
        Fading count of the ads that a person saw [people].
    """
    interest = interest_of(people, shown.person, notes.category[shown.note])
    topic = notes.topic[shown.note]
    logits = -2.6 + 0.55 * interest + notes.quality[shown.note] - 0.03 * shown.position
    logits += np.where(topic >= 0, trends[topic], -0.5)
    tired = people.intolerance[shown.person] * pressure[shown.person]
    logits -= np.where(notes.paid[shown.note], 0.05 + 0.02 * tired + 0.5 * shown.repeats, 0.0)
    return sigmoid(logits)


def hide_chances(people: People, notes: Notes, shown: Shown, pressure: Floats) -> Floats:
    """Return the true probability that a note is hidden."""
    tired = people.intolerance[shown.person] * (1 + 0.1 * pressure[shown.person])
    chances: Floats = np.minimum(np.where(notes.paid[shown.note], 0.002 * tired, 0.0005), 0.2)
    return chances


def chances_after_click(people: People, notes: Notes, shown: Shown, shop: Ints) -> Chances:
    """Return the true probabilities of the steps after a click."""
    interest = interest_of(people, shown.person, notes.category[shown.note])
    deep = sigmoid(0.1 + 0.4 * interest + notes.depth[shown.note])
    jump = sigmoid(-1.45 + 0.3 * interest + 0.25 * notes.depth[shown.note] - 0.3 * people.dearness[shown.person])
    return Chances(deep, jump * notes.linked[shown.note], np.where(shop >= 0, VISITS_GIVEN_JUMP, 0.0))


def acts_of(people: People, notes: Notes, clicked: Shown, chances: Chances, effect: float) -> Acts:
    """Draw what is done after each click."""

    def happens(chance: Floats, purpose: int) -> Flags:
        return uniform(clicked.keys, purpose) < chance

    deep = happens(chances.deep, 10)
    warmth = np.exp(0.25 * interest_of(people, clicked.person, notes.category[clicked.note]))
    keen = np.minimum(warmth, 3.0) * deep
    jump = happens(chances.jump, 16)
    wants = np.minimum(0.22 * effect * notes.pull[clicked.note], 0.6)
    return Acts(
        deep,
        like=happens(0.16 * keen + 0.03 * ~deep, 11),
        save=happens(0.11 * keen, 12),
        comment=happens(0.025 * keen, 13),
        share=happens(0.03 * keen, 14),
        follow=happens(0.025 * keen, 15),
        jump=jump,
        visit=jump & happens(chances.visit, 17),
        # Who is won but does not jump may search for the brand later.
        search=deep & ~jump & happens(wants, 18),
    )


def raised_by(notes: Notes, clicked: Shown, acts: Acts, effect: float) -> Ints:
    """Return how much each click raises the desire for the note's brand."""
    active = acts.save | acts.comment | acts.share
    raised = _RAISES["clicked"] + _RAISES["deep"] * acts.deep + _RAISES["active"] * active
    return np.round(UNIT * effect * notes.pull[clicked.note] * raised).astype(np.int64)


def noticed(notes: Notes, shown: Shown, effect: float) -> tuple[Flags, Ints]:
    """Draw which impressions stay in mind without a click, and return how much each would raise the desire."""
    seen = (uniform(shown.keys, 5) < _NOTICED) & (notes.brand[shown.note] >= 0)
    return seen, np.round(UNIT * effect * notes.pull[shown.note] * _RAISES["noticed"]).astype(np.int64)
