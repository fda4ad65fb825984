"""Who is in a feature table at an instant: people known by then, with the accounts that were theirs by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import narwhals as nw
import numpy as np
import pyarrow as pa
from narwhals.dependencies import is_pyspark_dataframe

from features.errors import FeatureError
from features.events import IDENTITIES, KINDS
from features.joins import relation_of
from features.spine import ACCOUNTS_SCHEMA, Spine, assemble

# A link or a consent counts from valid_from on, once it has arrived. The latest wins: by valid_from, then by
# arrival, then by key, so that no order of rows decides. A consent that is not said leaves the one said before it,
# and where yes and no are said for the same moment, no wins. DuckDB and Spark both understand this.
_OWNERS: Final = """
with seen as (
    select distinct account from {events}
    where event_time < {instant} and arrived_at <= {known_at} and kind in ({kinds})
), known as (
    select * from {links} where valid_from <= {instant} and arrived_at <= {known_at}
), latest as (
    select account, max_by(person, (valid_from, arrived_at, row_id)) as person from known group by account
), consents as (
    select person, max_by(consent, (valid_from, not consent)) as consent
    from known where consent is not null group by person
), owners as (
    select coalesce(latest.account, seen.account) as account, coalesce(latest.person, seen.account) as person,
        seen.account is not null as active
    from seen full join latest using (account)
), people as (
    select person from owners left join consents using (person) group by person
    having bool_or(active) and bool_and(coalesce(consent, true))
)
select person, account from owners join people using (person) order by person, account
"""
LINK_COLUMNS: Final = ("row_id", "account", "person", "valid_from", "arrived_at", "consent")


def population(
    events: Any,
    identities: Any | None,
    instants: Sequence[int],
    timezone: str,
    *,
    known_at: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Spine:
    """Everybody who had an event before each instant, person by person.

    The person of an account is the one of its latest link as of the instant; an account without a link is a person
    of its own under the account's key. A person whose latest word on consent is no is left out.

    Parameters
    ----------
    events
        As `features.rows.batch.aggregate` takes them.
    identities
        Links in the canonical columns of the identities table (relation, frame or Arrow table), or None where
        accounts were never linked. They are held in memory.
    instants
        Epoch seconds.
    timezone
        The log's time zone.
    known_at
        Only what had arrived by then counts; each instant itself by default.
    kinds
        Kinds of events that bring a person in; all by default.

    Returns
    -------
    Spine
        Instants in the given order; within each, people by key. A row's accounts are all those that were the
        person's by then, also those without an event so far.

    Raises
    ------
    FeatureError
        A kind is unknown.
    """
    relation = relation_of(events)
    links = _links(identities)
    people: list[pa.Array] = []
    moments: list[int] = []
    pairs: list[pa.Table] = []
    for instant in instants:
        owned = _ask(relation, owners_query(instant, known_at, kinds), links)
        names = owned["person"].combine_chunks()
        changes = np.ones(len(names), bool)
        if len(names) > 1:
            codes = names.dictionary_encode().indices.to_numpy(zero_copy_only=False)
            changes[1:] = codes[1:] != codes[:-1]
        rows = np.cumsum(changes) - 1 + len(moments)
        pairs.append(pa.table([rows, owned["account"]], schema=ACCOUNTS_SCHEMA))
        people.append(names.filter(pa.array(changes)))
        moments += [int(instant)] * int(changes.sum())
    accounts = pa.concat_tables(pairs) if pairs else ACCOUNTS_SCHEMA.empty_table()
    persons = pa.chunked_array(people, pa.string()).combine_chunks()
    return assemble(persons, np.array(moments, np.int64), accounts, timezone, known_at)


def owners_query(instant: int, known_at: int | None, kinds: Sequence[str] | None) -> str:
    """Return the question that `_OWNERS` asks, with the places ``{events}`` and ``{links}`` left open.

    Parameters
    ----------
    instant, known_at, kinds
        As for `population`.

    Raises
    ------
    FeatureError
        A kind is unknown.
    """
    unknown = [kind for kind in kinds or () if kind not in KINDS]
    if unknown:
        raise FeatureError("unknown event kind", value=unknown[0], valid=KINDS)
    return _OWNERS.format(
        instant=int(instant),
        known_at=int(instant if known_at is None else known_at),
        kinds=", ".join(f"'{kind}'" for kind in kinds or KINDS),
        events="{events}",
        links="{links}",
    )


def _links(identities: Any | None) -> pa.Table:
    schema = pa.schema([IDENTITIES.schema.field(name) for name in LINK_COLUMNS])
    if identities is None:
        return schema.empty_table()
    if isinstance(identities, duckdb.DuckDBPyRelation):
        identities = identities.select(*LINK_COLUMNS).to_arrow_table()
    return nw.from_native(identities, eager_only=True).select(*LINK_COLUMNS).to_arrow().cast(schema)


def _ask(relation: Any, question: str, links: pa.Table) -> pa.Table:
    if is_pyspark_dataframe(relation):
        session = relation.sparkSession
        return session.sql(question, events=relation, links=session.createDataFrame(links)).toArrow()
    return relation.query("events_", question.format(events="events_", links="links")).to_arrow_table()
