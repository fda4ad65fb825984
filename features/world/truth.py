"""What only the world knows: true probabilities, what campaigns and notes caused, who people are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.world.catalogue import CATEGORIES, VERTICALS, Catalogue
from features.world.content import Notes
from features.world.draws import Floats, Ints, sigmoid
from features.world.levels import Level
from features.world.names import person_text
from features.world.people import INTEREST_UNIT, NEVER, PLATFORMS, SHOPS, People
from features.world.response import Chances, Shown
from features.world.rows import Vocabulary
from features.world.sales import CART_IF_NOT_BOUGHT, LATE_SECONDS, SOON_SECONDS, buying_chances
from features.world.visits import SOON_AFTER_JUMP
from features.world.without import Caused


def impressions_truth(
    people: People, notes: Notes, shown: Shown, *, number: Ints, click: Floats, chances: Chances, buying: Floats,
    instead_of: Ints, day: int, words: Vocabulary,
) -> pa.Table:  # fmt: skip
    """Return true probabilities of impressions: of a click, ... of a direct purchase ever, all unconditional.

    ``linked_from`` is the moment from which the person's shop accounts are known to be theirs (null: never), since
    what is bought by a stranger cannot be seen in the log; ``soon``, ``soon_seconds`` and ``late_seconds`` are the
    mixture of delays that `purchase_within` reads; ``held_out_of`` is the campaign whose ad a house ad stands for.
    """
    jump = click * chances.jump
    visit = jump * chances.visit
    since = people.linked_from[shown.person]
    category = np.maximum(notes.category[shown.note], 0)
    return pa.table({
        "prediction_id": words.prediction(day, number),
        "p_click": click,
        "p_true_interest": click * chances.deep,
        "p_link_click": jump,
        "p_store_visit": visit,
        "p_cart": visit * (buying + (1 - buying) * CART_IF_NOT_BOUGHT),
        "p_purchase": visit * buying,
        "soon": np.full(len(click), SOON_AFTER_JUMP, np.float32),
        "soon_seconds": np.full(len(click), SOON_SECONDS, np.float32),
        "late_seconds": LATE_SECONDS[category].astype(np.float32),
        "linked_from": pa.array(since, mask=since == NEVER),
        "held_out_of": words.coded("campaign", instead_of),
    })  # fmt: skip


def purchase_within(truth: pa.Table, days: float) -> Floats:
    """Return the true probability of a direct purchase within some days of each impression.

    Parameters
    ----------
    truth
        Table of `impressions_truth`.
    days
        Any length above some minutes, which the way to the shop takes.
    """
    seconds = days * 86_400
    share, soon, late = (
        truth[name].to_numpy().astype(np.float64) for name in ("soon", "soon_seconds", "late_seconds")
    )
    paid = share * -np.expm1(-seconds / soon) + (1 - share) * -np.expm1(-seconds / late)
    chances: Floats = truth["p_purchase"].to_numpy() * paid
    return chances


def caused_table(caused: Caused, names: list[str], key: str) -> pa.Table:
    """Return what each campaign or note caused: net purchases and revenue in the log, refunds taken back."""
    return pa.table({
        key: pa.array(names, pa.string()),
        "purchases": caused.purchases.sum(axis=1),
        "revenue": caused.revenue.sum(axis=1) - caused.returned.sum(axis=1),
        "returned": caused.returned.sum(axis=1),
        "category_purchases": caused.category_purchases.sum(axis=1),
    })  # fmt: skip


def caused_by_day(caused: Caused, names: list[str], key: str, first_day: int) -> pa.Table:
    """Return the same by the day of paying and of giving back, as days since 1970-01-01, without rows of zeros."""
    owner, day = np.nonzero(caused.purchases | caused.revenue | caused.returned | caused.category_purchases)
    return pa.table({
        key: pa.array([names[n] for n in owner], pa.string()),
        "day": (first_day + day).astype(np.int32),
        "purchases": caused.purchases[owner, day],
        "revenue": caused.revenue[owner, day] - caused.returned[owner, day],
        "returned": caused.returned[owner, day],
        "category_purchases": caused.category_purchases[owner, day],
    })  # fmt: skip


def people_truth(
    people: People, catalogue: Catalogue, *, desire: Level, stock: Level, person: Ints,
    words: Vocabulary,
) -> pa.Table:  # fmt: skip
    """Return who some people are at the world's end: accounts, tastes, and by category interest and chance to buy.

    ``vertical`` is the one that a person likes best, ``interest_CATEGORY`` the latent interest in logits,
    ``clicks_CATEGORY`` is the true probability of a click on an ordinary ad of the category in the first place of
    the feed by one who is not tired of ads; ``buys_CATEGORY`` that of at least one purchase out of need within 30
    days, as desire and stock are.
    """
    columns: dict[str, pa.Array | npt.NDArray[np.generic]] = {
        "person": person_text(people.number[person]),
        "platform": words.coded("platform", people.content[person].astype(np.int64)),
        "account": words.account(people.content[person].astype(np.int64), person),
    }
    for number, shop in enumerate(SHOPS):
        has = (people.shops[person] >> number & 1).astype(bool)
        text = words.account(np.full(len(person), PLATFORMS.index(shop)), person)
        columns[shop] = pa.array(text.to_numpy(zero_copy_only=False), pa.string(), mask=~has)
    since = people.linked_from[person]
    vertical = np.array([VERTICALS.index(category.vertical) for category in CATEGORIES])
    liked = np.stack(
        [people.interest[person][:, vertical == v].mean(axis=1) for v in range(len(VERTICALS))], axis=1
    )
    columns |= {
        "vertical": np.array(VERTICALS)[liked.argmax(axis=1)],
        "linked_from": pa.array(since, mask=since == NEVER), "consent": people.consent[person],
        "active": people.active[person], "views": people.views[person], "shopping": people.shopping[person],
        "price_aversion": people.dearness[person], "ad_aversion": people.intolerance[person],
    }  # fmt: skip
    each = catalogue.brands_per_category
    for number, category in enumerate(CATEGORIES):
        interest = people.interest[person, number] / INTEREST_UNIT
        share = (people.buys[person] == number).mean(axis=1)
        brands = slice(number * each, (number + 1) * each)
        chance = buying_chances(
            (-2.75 + 0.25 * interest - 0.25 * people.dearness[person])[:, None],
            desire[person, brands], np.repeat(stock[person, number][:, None], each, axis=1),
        ).mean(axis=1)  # fmt: skip
        columns[f"interest_{category.name}"] = interest.astype(np.float32)
        columns[f"clicks_{category.name}"] = sigmoid(-2.65 + 0.55 * interest).astype(np.float32)
        bought = -np.expm1(30 * np.log1p(-people.shopping[person] * share * chance))
        columns[f"buys_{category.name}"] = bought.astype(np.float32)
    return pa.table(columns)
