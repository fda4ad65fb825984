"""Who desires which brands, what people still have, and what they buy; with and without each campaign and note."""

from __future__ import annotations

import numpy as np

from features.world import happenings
from features.world.catalogue import CATEGORIES, Catalogue
from features.world.content import Campaigns, Notes
from features.world.draws import Floats, Ints
from features.world.happenings import Later
from features.world.levels import fade, keeping, lift, summed
from features.world.rows import Block, Rows
from features.world.sales import STOCK_OF_A_PURCHASE, buying_chances, decisions_of
from features.world.settings import WorldSettings
from features.world.visits import Visits
from features.world.without import Caused, Touches, Without

_DESIRE_HALF_LIFE = 12.0


class Market:
    """Levels of desire and stock, and the sales that follow from them.

    Parameters
    ----------
    settings, catalogue, notes, campaigns
        The world.
    people
        How many people.
    """

    def __init__(
        self, settings: WorldSettings, catalogue: Catalogue, notes: Notes, campaigns: Campaigns, *, people: int
    ) -> None:
        self.desire = np.zeros((people, catalogue.brands), np.int16)
        self.stock = np.zeros((people, len(CATEGORIES)), np.int16)
        self._catalogue, self._brand_of_note = catalogue, notes.brand
        self._keep_desire = keeping(_DESIRE_HALF_LIFE)
        self._keep_stock = keeping([category.cycle_days for category in CATEGORIES])
        self._later = Later(settings.begin, settings.days)
        self._orders = 0
        paid = np.flatnonzero(notes.campaign >= 0)
        note_owner = np.full(len(notes.brand), -1)
        note_owner[paid] = np.arange(len(paid))
        owners = (
            ("campaign", notes.campaign, campaigns.brand, campaigns.names),
            ("note", note_owner, notes.brand[paid], [notes.names[n] for n in paid]),
        )
        self._without = {
            key: (Without(owner, brand, catalogue.brand_category(brand), settings.begin, settings.days), names)
            for key, owner, brand, names in owners
            if names
        }

    @property
    def caused(self) -> dict[str, tuple[Caused, list[str]]]:
        """What campaigns and notes caused until now, with their names."""
        return {key: (without.caused, names) for key, (without, names) in self._without.items()}

    def chances(self, person: Ints, brand: Ints, category: Ints, willing: Floats) -> Floats:
        """Return the true probabilities with which people buy who are willing to some degree."""
        return buying_chances(willing, self.desire[person, brand], self.stock[person, category])

    def sell(self, rows: Rows, visits: Visits, touches: Touches, off: float) -> None:
        """Decide who buys, here and without each campaign and note, and move the levels on by a day.

        Parameters
        ----------
        rows
            Where the visits' events go; purchases wait until they are `due`.
        visits, touches
            The day's visits, and what raised desires.
        off
            Share that shops take off prices.
        """
        decisions = decisions_of(visits, self._catalogue, off)
        category = self._catalogue.brand_category(visits.brand)
        levels = self.desire, self.stock
        bought = decisions.bought(
            visits.willing, self.desire[visits.person, visits.brand], self.stock[visits.person, category]
        )
        for without, _ in self._without.values():
            without.step(
                before=levels, keep=(self._keep_desire, self._keep_stock), visits=visits, decisions=decisions,
                bought=bought, touches=touches, brand_of_note=self._brand_of_note,
            )  # fmt: skip
        happenings.add_visits(rows, self._catalogue, visits, decisions, bought)
        for block in happenings.sales(self._catalogue, visits, decisions, bought, self._orders):
            self._later.add(block)
        self._orders += int(bought.sum())
        fade(self.desire, self._keep_desire)
        fade(self.stock, self._keep_stock)
        cells = touches.person * self._catalogue.brands + self._brand_of_note[touches.note]
        lift(self.desire, *summed(cells, touches.raised))
        cells = visits.person[bought] * len(CATEGORIES) + category[bought]
        lift(self.stock, *summed(cells, np.full(len(cells), STOCK_OF_A_PURCHASE)))
        for without, _ in self._without.values():
            without.forget(levels)

    def due(self, day: int) -> list[Block]:
        """Hand out the purchases and refunds of a day."""
        return self._later.due(day)
