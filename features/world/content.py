"""Notes and campaigns of a world, all made at the start: who made a note, what it is about, how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.errors import SettingsError
from features.world.catalogue import CATEGORIES, ITEMS_PER_BRAND, Catalogue
from features.world.draws import Flags, Floats, Ints, Stream, exponential, keys_of, normal, uniform
from features.world.settings import WorldSettings

TOPICS_PER_CATEGORY: Final = 3
CREATORS: Final = 600
HOUSE_NOTES: Final = 3
ORGANIC_DAYS: Final = 30
"""Days for which the feed shows an organic note."""

_SHORTEST, _LONGEST = 14, 28


@dataclass(frozen=True)
class Campaigns:
    """Campaigns, numbered from 0; days are counted from the world's first.

    Parameters
    ----------
    brand, first_day, last_day
        Who pays and when it is delivered, both days included.
    bid
        Offer for an impression in millionths of a currency unit.
    pull
        Strength of its notes' effect on desire and purchases; 0 has no effect at all.
    linked
        Whether its notes have a link to jump by.
    names
        Ids.
    """

    brand: Ints
    first_day: Ints
    last_day: Ints
    bid: Ints
    pull: Floats
    linked: Flags
    names: list[str]


@dataclass(frozen=True)
class Notes:
    """Notes, numbered from 0: organic ones by category and age, then those of campaigns, then house ads.

    Parameters
    ----------
    category, brand, item, campaign, creator, topic
        What a note is about and who made it; -1 where it has none.
    day, published_at
        Day from the world's first (before it: negative), and the moment in epoch seconds.
    paid, video, linked
        Flags.
    quality, depth, pull
        Logit of being clicked, logit of being read deeply, and strength of the effect on desire.
    organic_each
        Organic notes of each category.
    organic_per_day
        New organic notes of a category a day.
    names
        Ids.
    """

    category: Ints
    brand: Ints
    item: Ints
    campaign: Ints
    creator: Ints
    topic: Ints
    day: Ints
    published_at: Ints
    paid: Flags
    video: Flags
    linked: Flags
    quality: Floats
    depth: Floats
    pull: Floats
    organic_each: int
    organic_per_day: int
    names: list[str]

    @property
    def house(self) -> Ints:
        """The house ads."""
        return np.arange(len(self.names) - HOUSE_NOTES, len(self.names))

    def organic(self, category: Ints, day: int, chance: Floats) -> Ints:
        """Return one organic note of each category that the feed shows on a day; newer ones are likelier."""
        newest = (day + ORGANIC_DAYS + 1) * self.organic_per_day - 1
        shown = ORGANIC_DAYS * self.organic_per_day
        return category * self.organic_each + newest - (shown * chance * chance).astype(np.int64)


def campaigns_of(settings: WorldSettings, catalogue: Catalogue) -> Campaigns:
    """Make the campaigns: of different brands as long as there are enough."""
    number = settings.campaigns
    keys = keys_of(settings.seed, Stream.CAMPAIGN, 0, np.arange(max(number, 1)))[:number]
    order = np.argsort(keys_of(settings.seed, Stream.CAMPAIGN, 1, np.arange(catalogue.brands)), kind="stable")
    length = np.minimum(_SHORTEST + (uniform(keys, 0) * (_LONGEST - _SHORTEST + 1)).astype(np.int64), settings.days)
    first = (uniform(keys, 1) * (settings.days - length + 1)).astype(np.int64)
    pull = np.exp(0.35 * normal(keys, 2) - 0.06)
    pull[number - settings.no_effect :] = 0.0
    linked = np.ones(number, bool)
    linked[number - settings.no_effect - settings.prepares : number - settings.no_effect] = False
    bid = (30_000 * np.exp(0.4 * normal(keys, 3))).astype(np.int64)
    names = [f"campaign-{n:03d}" for n in range(number)]
    return Campaigns(order[np.arange(number) % len(order)], first, first + length - 1, bid, pull, linked, names)


def notes_of(settings: WorldSettings, catalogue: Catalogue, campaigns: Campaigns) -> Notes:
    """Make all notes that are published until the last day."""
    each = (settings.days + ORGANIC_DAYS) * settings.organic_per_day
    organic = len(CATEGORIES) * each
    per_campaign = settings.notes_per_campaign
    paid = len(campaigns.names) * per_campaign
    total = organic + paid + HOUSE_NOTES
    keys = keys_of(settings.seed, Stream.NOTE, 0, np.arange(total))
    ads, house = slice(organic, organic + paid), slice(organic + paid, total)

    category = np.repeat(np.arange(len(CATEGORIES)), each)
    campaign = np.full(total, -1)
    campaign[ads] = np.repeat(np.arange(len(campaigns.names)), per_campaign)
    brand = np.full(total, -1)
    branded = uniform(keys[:organic], 0) < 0.4
    chosen = (uniform(keys[:organic], 1) * catalogue.brands_per_category).astype(np.int64)
    brand[:organic] = np.where(branded, category * catalogue.brands_per_category + chosen, -1)
    brand[ads] = campaigns.brand[campaign[ads]]
    category = np.concatenate([category, catalogue.brand_category(brand[ads]), np.full(HOUSE_NOTES, -1)])
    linked = uniform(keys, 2) < 0.35
    linked[ads] = campaigns.linked[campaign[ads]]
    linked &= brand >= 0
    item = brand * ITEMS_PER_BRAND + (uniform(keys, 3) * ITEMS_PER_BRAND).astype(np.int64)
    item[brand < 0] = -1

    day = np.arange(total) % each // settings.organic_per_day - ORGANIC_DAYS
    # Half of a campaign's notes are there from its first day, the others come while it runs.
    place = np.maximum(np.arange(paid) % per_campaign - (per_campaign - 1) // 2, 0) / per_campaign
    lasts = campaigns.last_day - campaigns.first_day + 1
    day[ads] = campaigns.first_day[campaign[ads]] + (place * lasts[campaign[ads]]).astype(np.int64)
    day[house] = -ORGANIC_DAYS
    creator = (uniform(keys, 4) ** 2 * CREATORS).astype(np.int64)
    creator[house] = -1
    skill = 0.25 * normal(keys_of(settings.seed, Stream.CREATOR, 0, np.arange(CREATORS)), 0)
    quality = 0.35 * normal(keys, 5) + np.where(creator >= 0, skill[creator], 0.0)
    pull = np.exp(0.4 * normal(keys, 6) - 0.08)
    pull[ads] *= campaigns.pull[campaign[ads]]
    pull[brand < 0] = 0.0
    topic = np.where(
        category >= 0,
        category * TOPICS_PER_CATEGORY + (uniform(keys, 7) * TOPICS_PER_CATEGORY).astype(np.int64),
        -1,
    )
    published = settings.begin + day * 86_400 + np.minimum(exponential(keys, 8) * 7_200, 18_000).astype(np.int64)
    is_paid = np.arange(total) >= organic
    names = [f"note-{n:06d}" for n in range(organic)] + [f"ad-{n:06d}" for n in range(paid)]
    names += [f"house-{n}" for n in range(HOUSE_NOTES)]
    return Notes(
        category, brand, item, campaign, creator, topic, day, published, is_paid, uniform(keys, 9) < 0.45, linked,
        quality, 0.4 * normal(keys, 10), pull, each, settings.organic_per_day, names,
    )  # fmt: skip


def numbers_of(names: tuple[str, ...], known: list[str], what: str) -> Ints:
    """Return the numbers of named campaigns or notes.

    Raises
    ------
    SettingsError
        There is none of that name.
    """
    for name in names:
        if name not in known:
            raise SettingsError(f"the world has no such {what}", value=name, valid=known)
    return np.array([known.index(name) for name in names], np.int64)
