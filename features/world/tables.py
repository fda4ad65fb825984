"""The tables beside the events: what the log may know of notes, items, campaigns, accounts and arms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS
from features.events import TABLES
from features.world.catalogue import CATEGORIES, ITEMS_PER_BRAND, Catalogue
from features.world.content import Campaigns, Notes
from features.world.draws import Flags, Ints, Stream, keys_of, uniform
from features.world.names import numbered, person_text
from features.world.people import CONTENT_PLATFORMS, NEVER, PLATFORMS, SHOPS, People
from features.world.rows import CURRENCY, SOURCE, Vocabulary
from features.world.settings import WorldSettings

AGE_BANDS = ("18-24", "25-34", "35-44", "45-54", "55+")
_KNOWN_BEFORE = 40 * DAY_SECONDS


def held_out(settings: WorldSettings, campaign: int | Ints, person: Ints) -> Flags:
    """Return who is kept from a campaign; a person stays so as long as it runs."""
    drawn = uniform(keys_of(settings.seed, Stream.HOLD_OUT, 0, person, campaign), 0)
    held: Flags = drawn < settings.hold_out
    return held


def canonical(name: str, rows: int, /, **columns: Any) -> pa.Table:
    """Lay out columns as a canonical table; missing ones are null, dictionaries become text."""
    table = TABLES[name]
    columns["source"] = pa.repeat(SOURCE, rows)
    made = []
    for column in table.columns:
        values = columns.get(column.name)
        array = pa.nulls(rows, column.arrow) if values is None else values
        made.append(array if isinstance(array, pa.Array) else pa.array(array, column.arrow))
    return pa.table([array.cast(c.arrow) for array, c in zip(made, table.columns, strict=True)], table.schema)


def notes_table(words: Vocabulary, notes: Notes) -> pa.Table:
    """Return all notes, also those that are published later: `published_at` and `arrived_at` say when."""
    return canonical(
        "notes", len(notes.names), note=notes.names, arrived_at=notes.published_at,
        creator=words.coded("creator", notes.creator), topic=words.coded("topic", notes.topic),
        category=words.coded("category", notes.category), brand=words.coded("brand", notes.brand),
        item=words.coded("item", np.where(notes.linked, notes.item, -1)),
        campaign=words.coded("campaign", notes.campaign),
        media=np.where(notes.video, "video", "image"), paid=notes.paid, published_at=notes.published_at,
    )  # fmt: skip


def note_items_table(words: Vocabulary, notes: Notes) -> pa.Table:
    """Return the items that each note with a link leads to: the one that it names, and the others of the brand."""
    linked = np.flatnonzero(notes.linked)
    note = np.repeat(linked, ITEMS_PER_BRAND)
    item = np.repeat(notes.brand[linked] * ITEMS_PER_BRAND, ITEMS_PER_BRAND)
    item += np.tile(np.arange(ITEMS_PER_BRAND), len(linked))
    return canonical(
        "note_items", len(note), row_id=numbered(b"pair", np.arange(len(note))), note=words.coded("note", note),
        item=words.coded("item", item), arrived_at=notes.published_at[note],
    )  # fmt: skip


def items_table(settings: WorldSettings, words: Vocabulary, catalogue: Catalogue) -> pa.Table:
    """Return everything that is sold."""
    brand = catalogue.item_brand(np.arange(len(catalogue.item_names)))
    category = catalogue.brand_category(brand)
    return canonical(
        "items", len(brand), item=catalogue.item_names, name=catalogue.item_names,
        arrived_at=np.full(len(brand), settings.begin - _KNOWN_BEFORE), brand=words.coded("brand", brand),
        category=words.coded("category", category), department=[CATEGORIES[c].vertical for c in category],
        price=catalogue.item_price,
    )  # fmt: skip


def campaigns_table(settings: WorldSettings, words: Vocabulary, campaigns: Campaigns) -> pa.Table:
    """Return the campaigns with first and last moment of delivery."""
    starts = settings.begin + campaigns.first_day * DAY_SECONDS
    return canonical(
        "campaigns", len(campaigns.names), campaign=campaigns.names, name=campaigns.names, arrived_at=starts,
        brand=words.coded("brand", campaigns.brand), starts_at=starts,
        ends_at=settings.begin + (campaigns.last_day + 1) * DAY_SECONDS - 1,
    )  # fmt: skip


def identities_table(settings: WorldSettings, words: Vocabulary, people: People, person: Ints) -> pa.Table:
    """Return the accounts of some people: content accounts from the start, shop accounts once they are linked."""
    parts = [(people.content[person].astype(np.int64), person, np.full(len(person), settings.begin - 86_400))]
    for shop in range(len(SHOPS)):
        has = person[(people.shops[person] >> shop & 1).astype(bool) & (people.linked_from[person] != NEVER)]
        parts.append((np.full(len(has), len(CONTENT_PLATFORMS) + shop), has, people.linked_from[has]))
    platform, who, since = (np.concatenate([part[n] for part in parts]) for n in range(3))
    return canonical(
        "identities", len(who), row_id=numbered(b"link", people.number[who] * len(PLATFORMS) + platform),
        arrived_at=since, platform=words.coded("platform", platform), account=words.account(platform, who),
        person=person_text(people.number[who]), valid_from=since, consent=people.consent[who],
    )  # fmt: skip


def people_table(settings: WorldSettings, words: Vocabulary, people: People, person: Ints) -> pa.Table:
    """Return what the content platform states about some people: city tier and age band."""
    since = np.full(len(person), settings.begin - 86_400)
    platform = people.content[person].astype(np.int64)
    stated: list[tuple[str, npt.NDArray[Any]]] = [
        ("city_tier", people.tier[person].astype(str)), ("age_band", np.array(AGE_BANDS)[people.age[person]])
    ]  # fmt: skip
    return pa.concat_tables(
        canonical(
            "people", len(person), row_id=numbered(b"att" + str(n).encode(), people.number[person]),
            arrived_at=since, platform=words.coded("platform", platform), account=words.account(platform, person),
            attribute=pa.repeat(attribute, len(person)), value=values, valid_from=since,
        )
        for n, (attribute, values) in enumerate(stated)
    )  # fmt: skip


def assignments_tables(
    settings: WorldSettings, words: Vocabulary, campaigns: Campaigns, people: People
) -> Iterator[pa.Table]:
    """Yield the arms of each campaign: everybody, from its beginning."""
    if not settings.hold_out:
        return
    person = np.arange(len(people.number))
    platform = people.content.astype(np.int64)
    account = words.account(platform, person)
    for campaign, first_day in enumerate(campaigns.first_day):
        since = np.full(len(person), settings.begin + int(first_day) * DAY_SECONDS)
        arm = np.where(held_out(settings, campaign, people.number), "hold_out", "treated")
        yield canonical(
            "assignments", len(person), row_id=numbered(f"a{campaign:03d}".encode(), people.number),
            arrived_at=since, campaign=pa.repeat(campaigns.names[campaign], len(person)),
            platform=words.coded("platform", platform), account=account, arm=arm, valid_from=since,
        )  # fmt: skip


def spend_table(settings: WorldSettings, campaigns: Campaigns, micros: Ints) -> pa.Table:
    """Return what campaigns spent on each day [campaigns, days], in minor units."""
    campaign, day = np.nonzero(micros)
    spent = settings.begin + day * DAY_SECONDS
    return canonical(
        "spend", len(campaign), row_id=[f"spend-{c}-{d}" for c, d in zip(campaign, day, strict=True)],
        arrived_at=spent + DAY_SECONDS, campaign=[campaigns.names[c] for c in campaign], spent_at=spent,
        amount=np.round(micros[campaign, day] / 10_000).astype(np.int64),
        currency=pa.repeat(CURRENCY, len(campaign)),
    )  # fmt: skip
