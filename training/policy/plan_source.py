"""Reads what a plan needs from a log: whom ads can reach, what models expect of them, and what hold-outs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import OverlapError
from features.events import ASSIGNMENTS
from features.people.population import population
from features.small_tables import columns_of
from features.spine import Spine
from training.conversion.tag_scorer import PeopleScorer
from training.policy.plan_caused import stratum_of
from training.policy.plan_people import Reachable
from training.policy.plan_repeats import SPAN_DAYS, read_delivered
from training.quality.metrics import Floats
from training.tags.bundle import Bundle
from training.tags.windows import wide_rows

_BOUGHT_DAYS: Final = 28


@dataclass(frozen=True)
class PlanTables:
    """The log as of the plan's instant.

    Parameters
    ----------
    con
        Connection that the relations live on.
    events
        What had happened and arrived by then.
    identities, notes, items, note_items, campaigns, assignments
        Canonical tables.
    timezone
        The log's.
    at
        The instant.
    """

    con: duckdb.DuckDBPyConnection
    events: duckdb.DuckDBPyRelation
    identities: Any
    notes: pa.Table
    items: pa.Table
    note_items: Any
    campaigns: pa.Table
    assignments: Any
    timezone: str
    at: int


@dataclass(frozen=True)
class Delivered:
    """What was delivered in the weeks before, and to whom more can be.

    Parameters
    ----------
    table
        See `training.policy.plan_repeats.read_delivered`; with a number of the ``person``, -1 for who cannot be
        reached.
    persons
        Keys of those who can [people].
    everybody
        All who agree to be personalised, as of the instant.
    per_person
        People who can be reached for each of these.
    """

    table: pa.Table
    persons: pa.Array
    everybody: Spine
    per_person: float


def read_reachable(tables: PlanTables, campaign: str, *, most: int, seed: int) -> Delivered:
    """Read who has seen paid impressions, agrees to be personalised and is not held out of the campaign.

    Parameters
    ----------
    tables
        The log.
    campaign
        Whose hold-out is left alone.
    most
        People at most; of more, so many by lot.
    seed
        Of the lot.

    Raises
    ------
    OverlapError
        Nobody can be reached.
    """
    table = read_delivered(tables.events, tables.at)
    everybody = population(tables.events, tables.identities, [tables.at], tables.timezone)
    accounts = everybody.accounts
    owner = accounts["row"].combine_chunks().take(pc.index_in(table["account"].combine_chunks(),
                                                               accounts["account"].combine_chunks()))  # fmt: skip
    row = np.asarray(pc.fill_null(owner, -1))
    said = columns_of(tables.assignments, ASSIGNMENTS, ["campaign", "account", "arm"])
    kept = said.filter(pc.and_(pc.equal(said["campaign"], campaign), pc.equal(said["arm"], "hold_out")))
    held = pc.is_in(accounts["account"], kept["account"].combine_chunks().cast(pa.string()))
    out = np.asarray(accounts["row"].filter(held))
    rows = np.setdiff1d(np.unique(row[row >= 0]), out)
    if not len(rows):
        raise OverlapError(
            f"nobody who saw a paid impression in the last {SPAN_DAYS} days can be reached",
            next_step="deliver something first, or look whether their accounts agree to be personalised",
        )
    drawn = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    number = np.full(len(everybody), -1, np.int64)
    number[drawn] = np.arange(len(drawn))
    mine = np.where(row >= 0, number[row], -1)
    persons = everybody.rows["person"].combine_chunks().take(pa.array(drawn))
    return Delivered(table.append_column("person", pa.array(mine)), persons, everybody, len(rows) / len(drawn))


def members(tables: PlanTables, who: Delivered, bundle: Bundle, deleted: Mapping[str, AbstractSet[str]]
) -> NDArray[np.bool_]:  # fmt: skip
    """Return who has which tag of a bundle [people, tags]; nobody has one that the person deleted."""
    assign_at = np.asarray(bundle.model.assign_at, np.float64)
    thresholds = PeopleScorer(bundle).thresholds(tables.events, who.everybody)
    there = pc.is_in(who.everybody.rows["person"], who.persons)
    spine = who.everybody.take(np.flatnonzero(np.asarray(there)))
    found = [
        bundle.model.predict(rows) >= assign_at
        for rows in wide_rows(bundle.taxonomy, bundle.layout, tables.events, spine, thresholds)
    ]
    member = np.concatenate(found)
    ids = [tag.id for tag in bundle.taxonomy.tags]
    for row, person in enumerate(spine.persons):
        for tag in deleted.get(person, ()):
            if tag in ids:
                member[row, ids.index(tag)] = False
    return np.asarray(member, bool)


def reachable(
    tables: PlanTables,
    who: Delivered,
    predicted: tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...], Floats],
    member: NDArray[np.bool_],
    *,
    brand: str,
    categories: Sequence[str],
    days: int,
) -> Reachable:
    """Put together what is known of the people."""
    person, platform, names, chance = predicted
    delivered = who.table.filter(pc.greater_equal(who.table["person"], 0))
    of = np.asarray(delivered["person"]).astype(np.int64)
    on = np.asarray(pc.index_in(delivered["platform"], pa.array(names, pa.string()))).astype(np.int64)
    seen, hidden = (np.asarray(delivered[name], np.float64) for name in ("impressions", "hides"))
    many, key = len(who.persons), person * len(names) + platform
    slots = np.bincount(of * len(names) + on, seen, many * len(names))[key] * days / SPAN_DAYS
    paid = np.asarray(pc.is_valid(delivered["campaign"]))
    return Reachable(
        person, platform, slots, chance, _stratum(tables, who, brand, categories), member,
        _sums(of[paid], seen[paid], many), _sums(of[paid], hidden[paid], many), who.per_person,
    )  # fmt: skip


def _stratum(tables: PlanTables, who: Delivered, brand: str, categories: Sequence[str]) -> NDArray[np.int64]:
    since = tables.at - _BOUGHT_DAYS * DAY_SECONDS
    sold = tables.events.filter(f"kind = 'purchase' and event_time >= {since}").project(
        "account, item, brand, category"
    )
    sales = sold.to_arrow_table()
    place = pc.index_in(sales["item"].combine_chunks(), tables.items["item"].combine_chunks())
    of_brand, of_category = (
        pc.coalesce(sales[name].combine_chunks(), tables.items[name].combine_chunks().take(place))
        for name in ("brand", "category")
    )
    accounts = who.everybody.accounts
    row = pc.index_in(sales["account"].combine_chunks(), accounts["account"].combine_chunks())
    owner = who.everybody.rows["person"].combine_chunks().take(accounts["row"].combine_chunks().take(row))
    person = np.asarray(pc.fill_null(pc.index_in(owner, who.persons), -1))
    flags = []
    for found in (pc.equal(of_brand, brand), pc.is_in(of_category, pa.array(categories, pa.string()))):
        bought = np.zeros(len(who.persons), bool)
        rows = person[np.asarray(pc.fill_null(found, False))]
        bought[rows[rows >= 0]] = True
        flags.append(bought)
    return stratum_of(*flags)


def _sums(of: NDArray[np.int64], values: Floats, many: int) -> Floats:
    return np.bincount(of, values, many).astype(np.float64)
