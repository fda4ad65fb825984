"""Turns what was drawn into events: impressions, what follows them, visits, purchases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from features.days import DAY_SECONDS
from features.world.catalogue import ITEMS_PER_BRAND, Catalogue
from features.world.content import Notes
from features.world.draws import Flags, Ints, exponential, uniform
from features.world.people import CONTENT_PLATFORMS, People
from features.world.response import Acts, Shown
from features.world.rows import Block, Rows
from features.world.sales import Decisions
from features.world.visits import Visits, views_of

FIRST_SHOP: Final = len(CONTENT_PLATFORMS)
_FAVOURITES: Final = 0.1
_NEED_SEARCHES: Final = 0.3


@dataclass
class Later:
    """What is already certain to happen on later days.

    Parameters
    ----------
    begin, days
        First moment and length of the world; what would come later is dropped.
    by_day
        Day → blocks.
    """

    begin: int
    days: int
    by_day: dict[int, list[Block]] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        """Sort events into their days; a block's arrays are as long as its ``time``, other values hold for all."""
        day = (block["time"] - self.begin) // DAY_SECONDS
        order = np.argsort(day, kind="stable")
        edges = np.flatnonzero(np.diff(day[order], prepend=-1))
        for rows in np.split(order, edges[1:]):
            if len(rows) and day[rows[0]] < self.days:
                some = {
                    name: values[rows] if isinstance(values, np.ndarray) else values
                    for name, values in block.items()
                }
                self.by_day.setdefault(int(day[rows[0]]), []).append(some)

    def due(self, day: int) -> list[Block]:
        """Hand out what happens on a day."""
        return self.by_day.pop(day, [])


def add_impressions(rows: Rows, people: People, notes: Notes, shown: Shown, instead_of: Ints) -> None:
    """Add impressions; every one has the number of its row as prediction.

    `instead_of` is the campaign whose hold-out put a house ad there, -1 for all others.
    """
    paid = notes.paid[shown.note]
    rows.add(
        "impression", shown.time, **_about(people, notes, shown), position=shown.position,
        propensity=np.where(paid, shown.propensity, -1.0), cost=np.where(paid, shown.cost, -1),
        prediction=np.arange(len(shown.person)), instead_of=instead_of,
    )  # fmt: skip


def add_hides(rows: Rows, people: People, notes: Notes, hidden: Shown) -> None:
    """Add notes that were hidden."""
    rows.add("hide", hidden.time + 3, **_about(people, notes, hidden))


def add_acts(rows: Rows, people: People, notes: Notes, clicked: Shown, acts: Acts) -> None:
    """Add clicks and what came of them; opening a note is read for some moments at least."""
    about = _about(people, notes, clicked)
    video = notes.video[clicked.note]
    long = 5_000 + np.minimum(18_000 * exponential(clicked.keys, 60), 175_000)
    dwell = np.where(acts.deep, long, 500 + 4_400 * uniform(clicked.keys, 61)).astype(np.int64)
    percent = np.where(acts.deep, 50.0, 0.0) + 49.0 * uniform(clicked.keys, 62)
    rows.add("click", clicked.time + 2, **about)
    rows.add(
        "read", clicked.time + 3 + dwell // 1_000, **about, dwell=dwell, percent=np.where(video, percent, -1.0)
    )
    moments = {"like": 6, "save": 9, "comment": 30, "share": 14, "follow": 12}
    for kind, seconds in moments.items():
        done = getattr(acts, kind)
        rows.add(kind, clicked.time[done] + seconds, **{name: values[done] for name, values in about.items()})
    rows.add("link_click", clicked.time[acts.jump] + 13, **{name: v[acts.jump] for name, v in about.items()})


def add_searches(rows: Rows, people: People, notes: Notes, searched: Block) -> None:
    """Add searches for a brand that was seen in a note: on the content platform, or in a shop."""
    brand = notes.brand[searched["origin"]]
    shop = people.shop_of(searched["person"], brand)
    inside = (uniform(searched["keys"], 33) < 0.4) & (shop >= 0)
    rows.add(
        "search", searched["time"], person=searched["person"], brand=brand,
        category=notes.category[searched["origin"]],
        platform=np.where(inside, FIRST_SHOP + shop, people.content[searched["person"]]),
    )  # fmt: skip


def add_visits(rows: Rows, catalogue: Catalogue, visits: Visits, decisions: Decisions, bought: Flags) -> None:
    """Add visits to shops with the pages that were looked at, favourites and carts; purchases come by `sales`."""
    about = _in_shop(catalogue, visits)
    about.pop("item")
    needed = (visits.origin < 0) & (uniform(visits.keys, 42) < _NEED_SEARCHES)
    rows.add(
        "search", visits.time[needed] - 20, person=visits.person[needed], platform=about["platform"][needed],
        category=about["category"][needed],
    )  # fmt: skip
    rows.add("store_visit", visits.time, **about)
    views = views_of(visits)
    row = np.repeat(np.arange(len(views)), views)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(views) - views, views)
    item = visits.brand[row] * ITEMS_PER_BRAND + (visits.item[row] + nth) % ITEMS_PER_BRAND
    rows.add("item_view", visits.time[row] + 4 + 12 * nth, **{n: v[row] for n, v in about.items()}, item=item)
    for kind, done, seconds in (
        ("favourite", uniform(visits.keys, 41) < _FAVOURITES, 16),
        ("cart", bought | decisions.cart, 20),
    ):
        some = {name: values[done] for name, values in about.items()}
        rows.add(kind, visits.time[done] + seconds, **some, item=visits.item[done])


def sales(
    catalogue: Catalogue, visits: Visits, decisions: Decisions, bought: Flags, order: int
) -> tuple[Block, Block]:
    """Return the purchases and the refunds that follow from visits; orders are numbered from `order`."""
    rows = np.flatnonzero(bought)
    columns: Block = {name: values[rows] for name, values in _in_shop(catalogue, visits).items()}
    columns |= {
        "order": order + np.arange(len(rows)), "amount": decisions.amount[rows],
        "quantity": decisions.quantity[rows],
    }  # fmt: skip
    back = decisions.returned_at[rows] > 0
    refunds: Block = {name: values[back] for name, values in columns.items() if name != "note"}
    return (
        {"kind": "purchase", "time": decisions.paid_at[rows], **columns, "discount": decisions.discount[rows]},
        {"kind": "refund", "time": decisions.returned_at[rows][back], **refunds},
    )


def _about(people: People, notes: Notes, shown: Shown) -> dict[str, Any]:
    return {
        "person": shown.person, "platform": people.content[shown.person], "note": shown.note,
        "brand": notes.brand[shown.note], "category": notes.category[shown.note],
    }  # fmt: skip


def _in_shop(catalogue: Catalogue, visits: Visits) -> dict[str, Any]:
    return {
        "person": visits.person, "platform": FIRST_SHOP + visits.shop, "note": visits.note, "brand": visits.brand,
        "category": catalogue.brand_category(visits.brand), "item": visits.item,
    }  # fmt: skip


def search_moments(notes: Notes, late_days: Ints, clicked: Shown, searching: Flags) -> Block:
    """Return when those who were won search for the brand: after hours or days, sooner in quick categories."""
    found = clicked.take(np.flatnonzero(searching))
    mean = DAY_SECONDS * (0.2 + 0.5 * late_days[notes.category[found.note]])
    delay = 600 + (exponential(found.keys, 34) * mean).astype(np.int64)
    return {"time": found.time + delay, "person": found.person, "origin": found.note, "keys": found.keys}
