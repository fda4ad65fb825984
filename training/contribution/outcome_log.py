"""What experiments on campaigns are read from: ad slots, clicks, visits and sales by person, read once for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.events import ASSIGNMENTS, EARLIEST_TIME, ITEMS, NOTES
from features.joins import relation_of
from features.paths.conversions import GIVEN_BACK
from features.people.population import population
from features.small_tables import codes_of, columns_of

Ints = npt.NDArray[np.int64]

HOLD_OUT: Final = "hold_out"
"""Arm of those who are kept from a campaign."""

WITHHELD: Final = "hold_out:"
"""Before a campaign's name in an impression's policy: a house ad that its hold-out put in the campaign's place."""

PURCHASE, REFUND, VISIT = 0, 1, 2

# What an event does not say of itself, its item or its note says.
_KNOWN: Final = """
with known as (
    select a.row as person, coalesce(n.paid, false) as advertised, e.* replace (
        coalesce(e.brand, i.brand, n.brand) as brand, coalesce(e.category, i.category, n.category) as category,
        coalesce(e.campaign, case when n.paid then n.campaign end) as campaign)
    from events_ e join their_accounts a using (account)
        left join known_items i on i.item = e.item left join known_notes n on n.note = e.note
    where event_time < {known_at} and e.arrived_at <= {known_at}
)
"""
_SLOTS: Final = """
select person, event_time as time, day, campaign, propensity,
    case when starts_with(policy, '{withheld}') then substr(policy, {after}) end as withheld
from known where kind = 'impression' and event_time >= {since}
    and (campaign is not null or advertised or cost_micros > 0 or propensity is not null
        or starts_with(policy, '{withheld}'))
order by time, person
"""
_ACTS: Final = """
select person, day, true as click, brand, category, count(*) as number
from known where kind = 'click' and event_time >= {since} group by all
union all
select person, day, false, null, null, count(*)
from known where kind = 'impression' and event_time >= {since} group by all
order by all
"""
# A refund takes back what it names of an order, so it stands where that stood, whatever moment it names itself.
_SALES: Final = f"""
, lines as (
    select * replace (coalesce(amount, 0) as amount) from known where kind = 'purchase' and "order" is not null
), refunds as (
    select * replace (coalesce(amount, 0) as amount) from known where kind = 'refund'
), given_back as ({GIVEN_BACK})
select person, event_time as time, day, brand, category, case kind when 'purchase' then 0 else 2 end as what,
    case kind when 'purchase' then coalesce(amount, 0) else 0 end as amount
from known where kind in ('purchase', 'store_visit')
union all
select person, event_time, day, brand, category, 1, -refunded from given_back join lines using (event_id)
union all
select person, event_time, day, brand, category, 1, -amount from refunds
where event_id not in (select refund from given_back)
order by time, person, what, amount
"""  # noqa: S608


@dataclass(frozen=True)
class OutcomeLog:
    """The log as experiments need it; people are numbered, everything is ordered by time.

    Parameters
    ----------
    people
        Keys of the people who agree to be personalised, as the log knows their accounts at `known_at`.
    known_at
        Only what had happened and arrived by then is in here.
    slots
        Paid impressions: ``time, day, person``, and codes of ``campaign`` and ``withheld``, -1 for none.
    propensity
        Recorded probability of each slot's choice, NaN where there is none.
    acts
        Clicks and impressions, counted: ``person, day, click, brand, category, number``.
    sales
        ``time, day, person, brand, category, what, amount``: purchases, refunds (at their purchase, negative) and
        store visits.
    arms
        Per campaign: (person, 1 treated or 0 held out), people with accounts in both arms left out.
    campaigns, brands, categories
        Names of the codes.
    """

    people: pa.Array
    known_at: int
    timezone: str
    slots: dict[str, Ints]
    propensity: npt.NDArray[np.float64]
    acts: dict[str, Ints]
    sales: dict[str, Ints]
    arms: dict[str, tuple[Ints, Ints]]
    campaigns: tuple[str, ...]
    brands: tuple[str, ...]
    categories: tuple[str, ...]

    def code(self, kind: str, name: str | None) -> int:
        """Return the code of a campaign's, brand's or category's name, -2 for one that never occurs."""
        names: tuple[str, ...] = getattr(self, kind)
        return names.index(name) if name in names else -2


def read_outcome_log(
    events: Any,
    identities: Any | None,
    assignments: Any | None,
    *,
    known_at: int,
    timezone: str = "UTC",
    since: int = EARLIEST_TIME,
    notes: Any | None = None,
    items: Any | None = None,
) -> OutcomeLog:
    """Read what experiments on campaigns need, once for all campaigns.

    Parameters
    ----------
    events, identities, assignments
        Canonical tables: DuckDB relations, frames or Arrow tables.
    known_at
        Only what had happened and arrived by then counts. Whose account it is, is read as of then too: a shop
        account that was linked last week brings its earlier orders.
    timezone
        The log's time zone.
    since
        Ads and clicks before this moment are not read; sales are, because refunds name them.
    notes, items
        Canonical tables, or None. They say the brand, category and (of paid notes) campaign that an event does not.
    """
    relation = relation_of(events)
    spine = population(relation, identities, [known_at], timezone, known_at=known_at)
    ask = _Asked(
        relation,
        spine.accounts,
        columns_of(items, ITEMS, ["item", "brand", "category"]),
        columns_of(notes, NOTES, ["note", "brand", "category", "campaign", "paid"]),
        int(known_at),
    )
    slots = ask(_SLOTS, withheld=WITHHELD, after=len(WITHHELD) + 1, since=int(since))
    acts = ask(_ACTS, since=int(since))
    sales = ask(_SALES)
    campaigns, shown = _shared(slots, ("campaign", "withheld"))
    brands, branded = _shared_tables((acts, sales), "brand")
    categories, sorted_ = _shared_tables((acts, sales), "category")
    return OutcomeLog(
        people=spine.rows["person"].combine_chunks(),
        known_at=known_at,
        timezone=timezone,
        slots=_numbers(slots, ("time", "day", "person")) | shown,
        propensity=np.asarray(slots["propensity"].fill_null(float("nan"))),
        acts=_numbers(acts, ("person", "day", "click", "number")) | {"brand": branded[0], "category": sorted_[0]},
        sales=_numbers(sales, ("time", "day", "person", "what", "amount"))
        | {"brand": branded[1], "category": sorted_[1]},
        arms=_arms(assignments, spine.accounts, known_at),
        campaigns=campaigns,
        brands=brands,
        categories=categories,
    )


@dataclass(frozen=True)
class _Asked:
    """Events of people, with what items and notes say of them; DuckDB finds tables by the names of variables."""

    relation: duckdb.DuckDBPyRelation
    accounts: pa.Table
    items: pa.Table
    notes: pa.Table
    known_at: int

    def __call__(self, question: str, **values: int | str) -> pa.Table:
        their_accounts, known_items, known_notes = self.accounts, self.items, self.notes  # noqa: F841
        return self.relation.query(
            "events_", (_KNOWN + question).format(known_at=self.known_at, **values)
        ).to_arrow_table()


def _numbers(table: pa.Table, names: tuple[str, ...]) -> dict[str, Ints]:
    return {name: np.asarray(table[name].to_numpy()).astype(np.int64) for name in names}


def _shared(table: pa.Table, columns: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Ints]]:
    names, codes = _shared_tables([table.select([c]).rename_columns(["name"]) for c in columns], "name")
    return names, dict(zip(columns, codes, strict=True))


def _shared_tables(tables: Any, column: str) -> tuple[tuple[str, ...], list[Ints]]:
    """Code one column of several tables with the same names, sorted; null is -1."""
    joined = pa.concat_tables([table.select([column]).cast(pa.schema([(column, pa.string())])) for table in tables])
    codes, names = codes_of(joined, column)
    words = names.to_pylist()
    rank = np.append(np.argsort(np.argsort(words)), -1) if words else np.array([-1])
    ends = np.cumsum([table.num_rows for table in tables])[:-1]
    return tuple(sorted(words)), np.split(rank[codes].astype(np.int64), ends)


def _arms(
    assignments: Any | None,
    accounts: pa.Table,  # noqa: ARG001  (DuckDB finds it by its name)
    known_at: int,
) -> dict[str, tuple[Ints, Ints]]:
    said = columns_of(assignments, ASSIGNMENTS, ["campaign", "account", "arm", "valid_from", "arrived_at"])
    answer = (
        duckdb.connect()
        .sql(
            f"""
        select campaign, row as person, bool_and(arm <> '{HOLD_OUT}') as treated
        from said join accounts using (account) where greatest(valid_from, arrived_at) <= {int(known_at)}
        group by campaign, row having bool_and(arm <> '{HOLD_OUT}') = bool_or(arm <> '{HOLD_OUT}')
        order by campaign, row
        """  # noqa: S608
        )
        .to_arrow_table()
    )
    codes, names = codes_of(answer, "campaign")
    numbers = _numbers(answer, ("person", "treated"))
    nobody = np.empty(0, np.int64)
    found = dict.fromkeys(sorted(set(said["campaign"].to_pylist())), (nobody, nobody))
    return found | {
        name: (numbers["person"][codes == code], numbers["treated"][codes == code])
        for code, name in enumerate(names.to_pylist())
    }
