"""The people of a world: what they like, how active they are, which accounts they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from features.world.catalogue import CATEGORIES, VERTICALS
from features.world.draws import Flags, Floats, Ints, Stream, keys_of, normal, uniform
from features.world.settings import WorldSettings

CONTENT_PLATFORMS: Final = ("xiaohongshu", "douyin")
SHOPS: Final = ("taobao", "tmall", "jd", "pdd")
PLATFORMS: Final = CONTENT_PLATFORMS + SHOPS
CARDS: Final = 24
"""Cards of a deck: a person's interests as a short list to draw from."""

INTEREST_UNIT: Final = 32
NEVER: Final = np.int64(2**62)
_CHUNK: Final = 50_000
_SHARE_OF_SHOP = np.array([0.75, 0.45, 0.4, 0.5])
# _PICK[accounts, k]: the shop of the k-th account of a set of accounts, written as bits; k runs around.
_PICK: Final = np.array([
    [([shop for shop in range(4) if bits >> shop & 1] or [-1])[k % max(bits.bit_count(), 1)] for k in range(12)]
    for bits in range(16)
])  # fmt: skip


@dataclass(frozen=True)
class People:
    """People, in rows from 0.

    Parameters
    ----------
    number
        Number of the person in the whole world, of which these may be a part [people].
    content
        Number of the content platform [people].
    shops
        Shops in which the person has an account, as bits [people].
    linked_from
        Moment from which the shop accounts are known to be the person's, `NEVER` for never [people].
    consent
        Whether the person agrees to be personalised [people].
    active, views
        Chance of being on the content platform on a day, and mean impressions of such a day [people].
    shopping
        Chance of an occasion to shop on a day [people].
    dearness
        Aversion to prices, 0 is usual [people].
    intolerance
        Aversion to ads, 1 is usual [people].
    tier, age
        City tier 1 to 5 and age band 0 to 4 [people].
    interest
        Latent interest in each category in 1/32 logits [people, categories]; drifts.
    reads, buys
        Categories that the person reads about and shops in, as decks to draw from [people, cards]; drift.
    """

    number: Ints
    content: npt.NDArray[np.int8]
    shops: npt.NDArray[np.int8]
    linked_from: Ints
    consent: Flags
    active: Floats
    views: Floats
    shopping: Floats
    dearness: Floats
    intolerance: Floats
    tier: npt.NDArray[np.int8]
    age: npt.NDArray[np.int8]
    interest: npt.NDArray[np.int8]
    reads: npt.NDArray[np.int8]
    buys: npt.NDArray[np.int8]

    def shop_of(self, person: Ints, brand: Ints) -> Ints:
        """Return the shop in which a person buys a brand, -1 for those without an account."""
        shop: Ints = _PICK[self.shops[person], (self.number[person] * 7 + brand * 5) % 12]
        return shop

    def drift(self, seed: int, day: int) -> None:
        """Let some people's interests move: two categories change places."""
        keys = keys_of(seed, Stream.DRIFT, day, self.number)
        moved = np.flatnonzero(uniform(keys, 0) < 1 / 90)
        keys = keys[moved]
        one = (uniform(keys, 1) * len(CATEGORIES)).astype(np.int64)
        other = (uniform(keys, 2) * len(CATEGORIES)).astype(np.int64)
        before = self.interest[moved, one]
        self.interest[moved, one] = self.interest[moved, other]
        self.interest[moved, other] = before
        for deck in (self.reads, self.buys):
            cards = deck[moved]
            first, second = cards == one[:, None], cards == other[:, None]
            deck[moved] = np.where(first, other[:, None], np.where(second, one[:, None], cards))


def people_of(settings: WorldSettings, number: Ints) -> People:
    """Make the people of some numbers, some thousand at a time."""
    parts = [_some(settings, number[first : first + _CHUNK]) for first in range(0, len(number), _CHUNK)]
    return People(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _some(settings: WorldSettings, person: Ints) -> dict[str, npt.NDArray[np.generic]]:
    keys = keys_of(settings.seed, Stream.PERSON, 0, person)
    shops = sum((uniform(keys, 10 + s) < share).astype(np.int8) << s for s, share in enumerate(_SHARE_OF_SHOP))
    link = uniform(keys, 1)
    later = settings.begin + (uniform(keys, 2) * (settings.end - settings.begin)).astype(np.int64)
    linked_from = np.where(link < 0.72, settings.begin - 86_400, np.where(link < 0.88, later, NEVER))
    if settings.all_linked:
        linked_from[:] = settings.begin - 86_400
    liveliness = normal(keys, 3)
    tier = np.searchsorted([0.12, 0.35, 0.6, 0.82], uniform(keys, 4)).astype(np.int8) + 1
    age = np.searchsorted([0.2, 0.5, 0.75, 0.92], uniform(keys, 5)).astype(np.int8)
    interest = _interest(settings.seed, person, age)
    return {
        "number": person,
        "content": (uniform(keys, 6) < 0.35).astype(np.int8),
        "shops": np.asarray(shops, np.int8),
        "linked_from": linked_from,
        "consent": uniform(keys, 7) >= 0.02,
        "active": 1 / (1 + np.exp(0.5 - 1.3 * liveliness)),
        # Lognormal: a tenth of the people see about half of the impressions.
        "views": 7.0 * np.exp(0.35 * liveliness + 0.65 * normal(keys, 8)),
        "shopping": np.minimum(0.3 * np.exp(0.7 * normal(keys, 9) - 0.25), 0.95) * (shops != 0),
        "dearness": 0.5 * normal(keys, 20) + 0.15 * (tier - 3),
        "intolerance": np.exp(0.5 * normal(keys, 21)),
        "tier": tier,
        "age": age,
        "interest": np.clip(np.round(interest * INTEREST_UNIT), -127, 127).astype(np.int8),
        "reads": _deck(settings.seed, person, interest * 1.2, 0),
        "buys": _deck(settings.seed, person, interest * 0.8, 1),
    }


def _interest(seed: int, person: Ints, age: npt.NDArray[np.int8]) -> Floats:
    """Latent interest: a part for the vertical, a part for the category, a little by age."""
    vertical = np.array([VERTICALS.index(category.vertical) for category in CATEGORIES])
    broad = normal(keys_of(seed, Stream.INTEREST, 0, person[:, None], np.arange(len(VERTICALS))), 0)
    narrow = normal(keys_of(seed, Stream.INTEREST, 1, person[:, None], np.arange(len(CATEGORIES))), 0)
    by_age = normal(keys_of(seed, Stream.TASTE, 0, np.arange(5)[:, None], np.arange(len(VERTICALS))), 0)
    return 0.75 * broad[:, vertical] + 0.6 * narrow + 0.3 * by_age[age][:, vertical]


def _deck(seed: int, person: Ints, interest: Floats, which: int) -> npt.NDArray[np.int8]:
    weights = np.exp(interest)
    edges = np.cumsum(weights, axis=1)
    edges /= edges[:, -1:]
    drawn = uniform(keys_of(seed, Stream.DECK, which, person[:, None], np.arange(CARDS)), 0)
    deck = np.zeros((len(person), CARDS), np.int8)
    for edge in edges[:, :-1].T:
        deck += drawn >= edge[:, None]
    return deck
