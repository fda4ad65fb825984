"""The part of the event log that new tags need: read in a second where the whole log takes many."""

from __future__ import annotations

from typing import Final

import duckdb

from features.definitions import Aggregate
from features.joins import EVERY_CATEGORY
from features.log.event_log import EventLog
from features.rows.layout import RowLayout
from features.settings import Settings
from features.taxonomy.rule_nodes import CATEGORY_SCOPE
from features.taxonomy.rules import quantile_measurements
from features.taxonomy.taxonomy import Taxonomy
from training.source import LogSource

# Of all other events one of each account, kind and delay of arrival is enough: the first. It tells who had an event
# before an instant, and since when, for whatever was known at the instant.
_NEEDED: Final = """
create table log_events as (
    select * from all_events where {needed}
    union all by name
    select account, kind, min(event_time) as event_time, arg_min(arrived_at, event_time) as arrived_at,
        arg_min(day, event_time) as day
    from all_events where not coalesce({needed}, false) group by account, kind, arrived_at - event_time
) order by account, event_time
"""


def open_part(settings: Settings, taxonomy: Taxonomy, layout: RowLayout, data_version: str) -> LogSource:
    """Read from the log's present version what the added tags and scopes of a taxonomy need.

    Parameters
    ----------
    settings
        Where the log lies.
    taxonomy, layout
        With the added tags and scopes.
    data_version
        Of the windows that are read beside it.

    Returns
    -------
    LogSource
        Outcomes, label histories and populations are those of the whole log; so are the features of added scopes.

    Raises
    ------
    EventLogError
        There is no log yet, or it holds no events.
    """
    log = EventLog.open(settings)
    con = log.connect()
    version = log.version
    _, last = log.span(con, version)
    events = keep_needed(con, log.events(con, version), taxonomy, layout)
    log.table(con, "identities").create("log_identities")
    identities = con.table("log_identities")
    return LogSource(con, events, identities, log.timezone, data_version, last)


def keep_needed(
    con: duckdb.DuckDBPyConnection, events: duckdb.DuckDBPyRelation, taxonomy: Taxonomy, layout: RowLayout
) -> duckdb.DuckDBPyRelation:
    """Copy what `open_part` keeps of some events into a table of their connection."""
    events.create_view("all_events")
    con.execute(_NEEDED.format(needed=_condition(needed(taxonomy, layout))))
    return con.table("log_events")


def needed(taxonomy: Taxonomy, layout: RowLayout) -> dict[tuple[str, ...], set[str]]:
    """Return the kinds of events that are measured, by the categories that they are measured in.

    Parameters
    ----------
    taxonomy, layout
        With the added tags and scopes.
    """
    members = dict(taxonomy.scopes.members)
    found: dict[tuple[str, ...], set[str]] = {}

    def count(scope: str, aggregate: Aggregate) -> None:
        categories = members.get(scope, (scope.removeprefix(CATEGORY_SCOPE),))
        found.setdefault(categories, set()).update(aggregate.kinds)

    for tag in taxonomy.added.tags:
        if tag.rule is not None:
            fitted = [leaf for quantile in tag.rule.quantiles for leaf in quantile_measurements(quantile)]
            for leaf in (*tag.rule.measurements, *fitted):
                count(leaf.within or tag.scope, leaf.aggregate(tag.horizon_days))
    for scope in layout.added.scopes.names:
        for aggregate in layout.aggregates[1]:
            count(scope, aggregate)
    return found


def _condition(wanted: dict[tuple[str, ...], set[str]]) -> str:
    parts = ["false"]
    for categories, kinds in wanted.items():
        part = f"kind in ({_listed(sorted(kinds))})"
        if EVERY_CATEGORY not in categories:
            part += f" and category in ({_listed(categories)})"
        parts.append(f"({part})")
    return " or ".join(parts)


def _listed(texts: tuple[str, ...] | list[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
