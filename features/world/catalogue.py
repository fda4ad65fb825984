"""What can be bought in the world: verticals, categories, brands and items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from features.world.draws import Floats, Ints, Stream, keys_of, normal
from features.world.settings import WorldSettings

ITEMS_PER_BRAND: Final = 4


@dataclass(frozen=True)
class Category:
    """A kind of goods.

    Parameters
    ----------
    vertical, name
        Where it belongs and its code.
    price
        Median list price in minor units.
    cycle_days
        Days after which half of what was bought is used up.
    decide_days
        Mean days that those take who do not buy at once.
    refunds
        Share of purchases that are given back.
    """

    vertical: str
    name: str
    price: int
    cycle_days: float
    decide_days: float
    refunds: float


CATEGORIES: Final = tuple(
    Category(*row)
    for row in (
        ("beauty", "serum", 19_900, 45, 6, 0.05), ("beauty", "lipstick", 12_900, 30, 3, 0.05),
        ("beauty", "sunscreen", 8_900, 40, 3, 0.04), ("beauty", "face-mask", 6_900, 20, 2, 0.03),
        ("fashion", "dress", 25_900, 20, 4, 0.22), ("fashion", "sneakers", 39_900, 60, 6, 0.15),
        ("fashion", "handbag", 39_900, 90, 9, 0.14), ("fashion", "t-shirt", 7_900, 15, 2, 0.18),
        ("food", "snacks", 2_900, 5, 0.5, 0.01), ("food", "coffee", 4_900, 14, 1, 0.01),
        ("food", "milk", 5_900, 7, 0.5, 0.01), ("food", "instant-noodles", 2_500, 10, 0.5, 0.01),
        ("home", "bedding", 29_900, 90, 8, 0.09), ("home", "cookware", 19_900, 90, 7, 0.07),
        ("home", "lamp", 12_900, 60, 5, 0.08), ("home", "storage-box", 3_900, 30, 2, 0.04),
        ("baby", "diapers", 11_900, 12, 1, 0.02), ("baby", "baby-formula", 26_900, 15, 3, 0.01),
        ("baby", "toys", 8_900, 20, 3, 0.06),
        ("digital", "earphones", 29_900, 90, 8, 0.07), ("digital", "keyboard", 24_900, 180, 12, 0.04),
        ("digital", "smartwatch", 59_900, 150, 14, 0.06),
        ("sports", "yoga-mat", 9_900, 60, 4, 0.06), ("sports", "tent", 39_900, 120, 9, 0.08),
        ("sports", "protein-powder", 22_900, 30, 4, 0.03),
        ("pets", "cat-food", 13_900, 14, 1.5, 0.01), ("pets", "dog-toys", 3_900, 20, 2, 0.04),
        ("pets", "cat-litter", 5_900, 14, 1, 0.01),
    )
)  # fmt: skip
"""Categories of all verticals, those of a vertical beside each other."""

VERTICALS: Final = tuple(dict.fromkeys(category.vertical for category in CATEGORIES))


@dataclass(frozen=True)
class Catalogue:
    """Brands and items, numbered from 0; brands of a category lie beside each other, as do items of a brand.

    Parameters
    ----------
    brands_per_category
        How many.
    item_price
        List price in minor units [items].
    item_dearness
        Natural logarithm of the price over the category's median [items].
    """

    brands_per_category: int
    item_price: Ints
    item_dearness: Floats
    brand_names: list[str] = field(repr=False)
    item_names: list[str] = field(repr=False)

    @property
    def brands(self) -> int:
        """Number of brands."""
        return len(self.brand_names)

    def brand_category(self, brand: Ints) -> Ints:
        """Return the categories of brands; -1 stays -1."""
        return brand // self.brands_per_category

    def item_brand(self, item: Ints) -> Ints:
        """Return the brands of items; -1 stays -1."""
        return item // ITEMS_PER_BRAND


def catalogue_of(settings: WorldSettings) -> Catalogue:
    """Make brands and items."""
    each = settings.brands_per_category
    names = [f"{category.name}-{chr(97 + n % 26)}{n // 26 or ''}" for category in CATEGORIES for n in range(each)]
    brand_keys = keys_of(settings.seed, Stream.BRAND, 0, np.arange(len(names)))
    keys = keys_of(settings.seed, Stream.ITEM, 0, np.arange(len(names) * ITEMS_PER_BRAND))
    dearness = np.repeat(0.25 * normal(brand_keys, 0), ITEMS_PER_BRAND) + 0.2 * normal(keys, 0)
    median = np.repeat([category.price for category in CATEGORIES], each * ITEMS_PER_BRAND)
    # Shops like prices that end in 9.
    price = np.maximum(np.round(median * np.exp(dearness) / 100), 2).astype(np.int64) * 100 - 10
    items = [f"{name}-{n + 1}" for name in names for n in range(ITEMS_PER_BRAND)]
    return Catalogue(each, price, dearness, names, items)
