"""Visits to shops: after a jump from a note, after a search for a brand, or because somebody needs something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np

from features.days import DAY_SECONDS
from features.world.catalogue import ITEMS_PER_BRAND, Catalogue
from features.world.content import Notes
from features.world.draws import Floats, Ints, Keys, Stream, exponential, keys_of, uniform
from features.world.feed import clock
from features.world.people import CARDS, People
from features.world.response import Shown, interest_of
from features.world.settings import WorldSettings

_FAVOURITE: Final = 0.55
_SAME_ITEM: Final = 0.8

SOON_AFTER_JUMP: Final = 0.4
"""Share of direct purchases that are made at once; the others follow the category's time to decide."""

NO_EFFECT: Final = -60.0
"""Willingness, in logits, of those who come by a note that moves nobody."""


@dataclass(frozen=True)
class Visits:
    """Visits to shops.

    Parameters
    ----------
    person, brand, item, shop
        Who came for what, and the number of the shop.
    note
        Note that the visit came through by its link; -1 for others.
    origin
        Note without which the visit would not be: that of the link, or the one that was searched back; else -1.
    keys
        What the visit's draws derive from.
    time
        Moment of entering.
    since
        Moment that the delay of a purchase is counted from: the impression's, or that of entering.
    soon
        Share of purchases that are made at once.
    willing
        Logit of buying, before desire and stock count.
    """

    person: Ints
    brand: Ints
    item: Ints
    shop: Ints
    note: Ints
    origin: Ints
    keys: Keys
    time: Ints
    since: Ints
    soon: Floats
    willing: Floats

    def take(self, rows: Ints) -> Self:
        """Return some of them."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Visits]) -> Visits:
        """Return visits of several kinds one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def willingness_after_jump(
    people: People, notes: Notes, catalogue: Catalogue, shown: Shown, *, item: Ints, likelier: float
) -> Floats:
    """Return the logit of buying of those who jump from a note to the shop, before desire and stock count."""
    pull = notes.pull[shown.note]
    with np.errstate(divide="ignore"):
        moved = np.where(pull > 0, 0.5 * np.log(pull), NO_EFFECT)
    interest = interest_of(people, shown.person, notes.category[shown.note])
    return -2.3 + 0.3 * interest + moved + likelier + _by_price(people, catalogue, shown.person, item)


def item_after_jump(notes: Notes, shown: Shown) -> Ints:
    """Return the item that one who jumps looks at: mostly the linked one, else another of the brand."""
    other = (uniform(shown.keys, 21) * ITEMS_PER_BRAND).astype(np.int64)
    same = uniform(shown.keys, 22) < _SAME_ITEM
    item: Ints = np.where(same, notes.item[shown.note], notes.brand[shown.note] * ITEMS_PER_BRAND + other)
    return item


def after_jump(notes: Notes, shown: Shown, shop: Ints, item: Ints, willing: Floats) -> Visits:
    """Return the visits of those who jumped and came in."""
    time = shown.time + 15 + (uniform(shown.keys, 23) * 75).astype(np.int64)
    soon = np.full(len(time), SOON_AFTER_JUMP)
    return Visits(
        shown.person, notes.brand[shown.note], item, shop, shown.note, shown.note, shown.keys, time, shown.time,
        soon, willing,
    )  # fmt: skip


def after_search(
    people: People, notes: Notes, catalogue: Catalogue, searched: dict[str, Any], *, likelier: float
) -> Visits:
    """Return the visits of those who searched for the brand of a note that they saw earlier."""
    person, note, time = searched["person"], searched["origin"], searched["time"] + 40
    keys = searched["keys"]
    brand = notes.brand[note]
    item = brand * ITEMS_PER_BRAND + (uniform(keys, 31) * ITEMS_PER_BRAND).astype(np.int64)
    interest = interest_of(people, person, notes.category[note])
    willing = -1.9 + 0.3 * interest + likelier + _by_price(people, catalogue, person, item)
    none = np.full(len(person), -1)
    return Visits(
        person, brand, item, people.shop_of(person, brand), none, note, keys, time, time,
        np.full(len(person), 0.75), willing,
    )  # fmt: skip


def out_of_need(settings: WorldSettings, people: People, catalogue: Catalogue, day: int, likelier: float) -> Visits:
    """Return the visits that have nothing to do with notes."""
    keys = keys_of(settings.seed, Stream.OCCASION, day, people.number)
    busier = 1 + 0.5 * likelier
    person = np.flatnonzero(uniform(keys, 0) < people.shopping * busier)
    keys = keys[person]
    category = people.buys[person, (uniform(keys, 1) * CARDS).astype(np.int64)].astype(np.int64)
    each = catalogue.brands_per_category
    favourite = (people.number[person] * 31 + category * 17) % each
    other = (uniform(keys, 2) * each).astype(np.int64)
    brand = category * each + np.where(uniform(keys, 3) < _FAVOURITE, favourite, other)
    item = brand * ITEMS_PER_BRAND + (uniform(keys, 4) * ITEMS_PER_BRAND).astype(np.int64)
    willing = -2.75 + 0.25 * interest_of(people, person, category) + likelier
    willing += _by_price(people, catalogue, person, item)
    time = settings.begin + day * DAY_SECONDS + clock(uniform(keys, 5)).astype(np.int64)
    none = np.full(len(person), -1)
    return Visits(
        person, brand, item, people.shop_of(person, brand), none, none, keys, time, time,
        np.full(len(person), 0.75), willing,
    )  # fmt: skip


def _by_price(people: People, catalogue: Catalogue, person: Ints, item: Ints) -> Floats:
    averse = people.dearness[person]
    return -0.25 * averse - 0.5 * (1 + averse) * catalogue.item_dearness[item]


def views_of(visits: Visits) -> Ints:
    """Draw how many item pages are looked at in each visit."""
    return 1 + np.minimum(exponential(visits.keys, 40) * 2.6, 30).astype(np.int64)
