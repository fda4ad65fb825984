"""Who buys: desire for a brand makes it likelier, what is still there of the last purchase less likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from features.days import DAY_SECONDS
from features.world.catalogue import CATEGORIES, Catalogue
from features.world.draws import Flags, Floats, Ints, exponential, logit, sigmoid, uniform
from features.world.levels import HIGHEST, UNIT, Level
from features.world.visits import Visits

SOON_SECONDS: Final = 900.0
CART_IF_NOT_BOUGHT: Final = 0.16
STOCK_OF_A_PURCHASE: Final = UNIT

_LEVELS = np.arange(HIGHEST + 1) / UNIT
_BY_DESIRE: Final = 2.2 * _LEVELS / (_LEVELS + 1.5)
_BY_STOCK: Final = 2.5 * np.minimum(_LEVELS, 1.5)

LATE_SECONDS: Final = np.array([category.decide_days for category in CATEGORIES]) * DAY_SECONDS
_REFUNDS: Final = np.array([category.refunds for category in CATEGORIES])


def gained(desire: Level, stock: Level) -> Floats:
    """Return what desire and stock add to the logit of buying."""
    added: Floats = _BY_DESIRE[desire] - _BY_STOCK[stock]
    return added


def buying_chances(willing: Floats, desire: Level, stock: Level) -> Floats:
    """Return true probabilities of buying."""
    return sigmoid(willing + gained(desire, stock))


@dataclass(frozen=True)
class Decisions:
    """What visits lead to: fixed are the hurdle and the sale that there would be, whatever the levels are.

    Parameters
    ----------
    hurdle
        Who is willing beyond that buys [visits].
    paid_at, returned_at
        Moments at which the purchase would be paid and given back; 0 where it would be kept [visits].
    quantity, amount, discount
        Of the purchase that there would be, in minor units [visits].
    cart
        Whether the item is put into the cart even if it is not bought [visits].
    """

    hurdle: Floats
    paid_at: Ints
    returned_at: Ints
    quantity: Ints
    amount: Ints
    discount: Ints
    cart: Flags

    def bought(self, willing: Floats, desire: Level, stock: Level) -> Flags:
        """Return who buys at these levels."""
        return willing + gained(desire, stock) > self.hurdle


def decisions_of(visits: Visits, catalogue: Catalogue, off: float) -> Decisions:
    """Draw everything that a visit's outcome depends on beside the levels.

    Parameters
    ----------
    visits
        The visits.
    catalogue
        Prices.
    off
        Share that shops take off at this season.
    """
    category = catalogue.brand_category(visits.brand)
    keys = visits.keys
    mean = np.where(uniform(keys, 51) < visits.soon, SOON_SECONDS, LATE_SECONDS[category])
    paid_at = np.maximum(visits.since + (exponential(keys, 52) * mean).astype(np.int64), visits.time + 30)
    back = uniform(keys, 53) < _REFUNDS[category]
    later = ((2 + 8 * uniform(keys, 54)) * DAY_SECONDS).astype(np.int64)
    quantity = 1 + (uniform(keys, 55) < 0.15).astype(np.int64)
    full = catalogue.item_price[visits.item] * quantity
    discount = np.round(full * off * uniform(keys, 56) * 1.5).astype(np.int64)
    return Decisions(
        logit(uniform(keys, 50)), paid_at, np.where(back, paid_at + later, 0), quantity, full - discount, discount,
        uniform(keys, 57) < CART_IF_NOT_BOUGHT,
    )  # fmt: skip
