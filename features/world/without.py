"""What would have happened without one campaign or one note, for all of them in the same pass.

Removing a campaign (house ads stand in its slots) changes only what depends on two levels: the desire of those whom
it touched for its brand, and their stock in its category. Those two are kept a second time, for just these pairs of
person and campaign, and every purchase that depends on them is decided twice, with the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.world.draws import Flags, Ints
from features.world.levels import Level, after_a_day, summed
from features.world.sales import STOCK_OF_A_PURCHASE, Decisions, gained
from features.world.visits import Visits


@dataclass(frozen=True)
class Touches:
    """What raised desires on a day: who was touched by which note, and how much."""

    person: Ints
    note: Ints
    raised: Ints


@dataclass
class Caused:
    """What each campaign or note caused so far, by the day of paying or of giving back [tracks, days]."""

    purchases: Ints
    revenue: Ints
    returned: Ints
    category_purchases: Ints


@dataclass
class Without:
    """The worlds without each of some owners (campaigns, or notes).

    Parameters
    ----------
    owner
        Number of the owner of each note, -1 for none [notes].
    brand, category
        Of each owner [owners].
    begin, days
        First moment and length of the world; what happens later is in no log and counts for nothing.
    cells
        Pairs of person and owner that differ from what happened: person x owners + owner, ascending.
    desire, stock
        Their levels without the owner.
    """

    owner: Ints
    brand: Ints
    category: Ints
    begin: int
    days: int
    cells: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    desire: Level = field(default_factory=lambda: np.empty(0, np.int16))
    stock: Level = field(default_factory=lambda: np.empty(0, np.int16))
    caused: Caused = field(init=False)

    def __post_init__(self) -> None:
        self.caused = Caused(*(np.zeros((len(self.brand), self.days), np.int64) for _ in range(4)))

    def step(
        self,
        *,
        before: tuple[Level, Level],
        keep: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]],
        visits: Visits,
        decisions: Decisions,
        bought: Flags,
        touches: Touches,
        brand_of_note: Ints,
    ) -> None:
        """Decide a day's visits once more where they may differ; `forget` follows once the day is over.

        Parameters
        ----------
        before
            Desire [people, brands] and stock [people, categories] at the day's beginning.
        keep
            What a day leaves of desire, and of the stock in each category.
        visits, decisions, bought
            What happened.
        touches
            What raised desires.
        brand_of_note
            Brand of each note.
        """
        owners, brands, categories = len(self.brand), before[0].shape[1], before[1].shape[1]
        own, total = self._raised(touches, brand_of_note, brands)
        origin = np.where(visits.origin >= 0, self.owner[visits.origin], -1)
        came = visits.person * owners + origin
        self._follow(np.union1d(own[0], came[origin >= 0]), before)
        person, track = self.cells // owners, self.cells % owners
        row, visit = _pairs(
            person * categories + self.category[track],
            visits.person * categories + self._category(visits, brands, categories),
        )
        same_brand = visits.brand[visit] == self.brand[track[row]]
        desire = np.where(same_brand, self.desire[row], before[0][visits.person[visit], visits.brand[visit]])
        still = _would_buy(decisions, visits, visit, desire, self.stock[row])
        still &= origin[visit] != track[row]
        self._count(track[row], visit, bought[visit].astype(np.int64) - still, same_brand, decisions)

        kept = np.bincount(row[still], minlength=len(self.cells)) * STOCK_OF_A_PURCHASE
        self.stock = after_a_day(self.stock, keep[1][self.category[track]], kept)
        others = _looked_up(total, person * brands + self.brand[track]) - _looked_up(own, self.cells)
        self.desire = after_a_day(self.desire, keep[0], others)

    def forget(self, after: tuple[Level, Level]) -> None:
        """Keep only the pairs whose levels differ from what they are at the day's end."""
        person, track = self.cells // len(self.brand), self.cells % len(self.brand)
        differs = self.desire != after[0][person, self.brand[track]]
        differs |= self.stock != after[1][person, self.category[track]]
        self.cells, self.desire, self.stock = self.cells[differs], self.desire[differs], self.stock[differs]

    def _raised(
        self, touches: Touches, brand_of_note: Ints, brands: int
    ) -> tuple[tuple[Ints, Ints], tuple[Ints, Ints]]:
        owner = self.owner[touches.note]
        mine = owner >= 0
        own = summed(touches.person[mine] * len(self.brand) + owner[mine], touches.raised[mine])
        return own, summed(touches.person * brands + brand_of_note[touches.note], touches.raised)

    @staticmethod
    def _category(visits: Visits, brands: int, categories: int) -> Ints:
        return visits.brand // (brands // categories)

    def _follow(self, cells: Ints, before: tuple[Level, Level]) -> None:
        """Begin to keep the levels of pairs that so far were as they are."""
        new = np.setdiff1d(cells, self.cells, assume_unique=True)
        person, track = new // len(self.brand), new % len(self.brand)
        joined = np.concatenate([self.cells, new])
        order = np.argsort(joined, kind="stable")
        self.cells = joined[order]
        self.desire = np.concatenate([self.desire, before[0][person, self.brand[track]]])[order]
        self.stock = np.concatenate([self.stock, before[1][person, self.category[track]]])[order]

    def _count(self, track: Ints, visit: Ints, more: Ints, same_brand: Flags, decisions: Decisions) -> None:
        for rows, moments, found in (
            (visit, decisions.paid_at, (self.caused.purchases, self.caused.revenue)),
            (visit, decisions.returned_at, (None, self.caused.returned)),
        ):
            day = (moments[rows] - self.begin) // 86_400
            counts = (more != 0) & (moments[rows] > 0) & (day < self.days)
            ours = counts & same_brand
            if found[0] is not None:
                np.add.at(found[0], (track[ours], day[ours]), more[ours])
                np.add.at(self.caused.category_purchases, (track[counts], day[counts]), more[counts])
            np.add.at(found[1], (track[ours], day[ours]), more[ours] * decisions.amount[rows[ours]])


def _would_buy(decisions: Decisions, visits: Visits, visit: Ints, desire: Level, stock: Level) -> Flags:
    """Return who of some visits would buy at other levels."""
    return visits.willing[visit] + gained(desire, stock) > decisions.hurdle[visit]


def _pairs(keys: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of rows whose keys are equal."""
    order = np.argsort(wanted, kind="stable")
    ordered = wanted[order]
    first = np.searchsorted(ordered, keys, side="left")
    count = np.searchsorted(ordered, keys, side="right") - first
    row = np.repeat(np.arange(len(keys)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + first[row]
    return row, order[place]


def _looked_up(table: tuple[Ints, Ints], cells: Ints) -> Ints:
    """Return the values of cells in a table of ascending cells, 0 where it has none."""
    if not len(table[0]):
        return np.zeros(len(cells), np.int64)
    place = np.minimum(np.searchsorted(table[0], cells), len(table[0]) - 1)
    values: Ints = np.where(table[0][place] == cells, table[1][place], 0)
    return values
