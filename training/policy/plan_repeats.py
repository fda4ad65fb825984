"""What delivery so far says of ad slots, costs, and how people bear to see the same note again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.days import DAY_SECONDS
from features.errors import OverlapError
from features.joins import relation_of
from training.quality.metrics import Floats

SPAN_DAYS: Final = 28
LEVELS: Final = 6
_FEWEST_CLICKS: Final = 20.0
_LEAST: Final = 0.05
_DRAWN_TO: Final = 20.0
_WITHIN: Final = DAY_SECONDS
_READ: Final = f"""
with shown as (
    select event_id, event_time, account, note, platform, campaign, cost_micros,
        least(row_number() over (partition by account, note order by event_time, event_id), {LEVELS}) - 1 as before
    from events_ where kind = 'impression' and (campaign is not null or starts_with(policy, 'hold_out:'))
        and note is not null and event_time >= $since and event_time < $until and arrived_at <= $until
), acts as (
    select kind, account, note, event_time from events_ where kind in ('click', 'hide') and note is not null
        and event_time >= $since and event_time < $until and arrived_at <= $until
), followed as (
    select distinct acts.kind, shown.event_id from acts asof join shown
        on acts.account = shown.account and acts.note = shown.note and acts.event_time >= shown.event_time
    where acts.event_time < shown.event_time + {_WITHIN}
)
select shown.account, shown.note, platform, any_value(campaign) as campaign, before::int as before,
    count(*) as impressions, count(clicked.event_id) as clicks, count(hidden.event_id) as hides,
    coalesce(sum(cost_micros), 0)::bigint as cost, count(nullif(cost_micros, 0)) as priced
from shown
left join (from followed where kind = 'click') clicked using (event_id)
left join (from followed where kind = 'hide') hidden using (event_id)
group by shown.account, shown.note, platform, before order by all
"""  # noqa: S608


@dataclass(frozen=True)
class Repeats:
    """How people respond to a note that they have seen before, by how often they have.

    Parameters
    ----------
    response
        Clicks beside those on the first impression; falls from 1 [levels].
    hides
        Hides beside those of all impressions as they were; never falls [levels].
    """

    response: Floats
    hides: Floats


def read_delivered(events: Any, until: int) -> pa.Table:
    """Read paid impressions of the last weeks, and house ads in the place of such.

    Parameters
    ----------
    events
        Canonical events.
    until
        Only what had happened and arrived by then counts.

    Returns
    -------
    pyarrow.Table
        A row per ``account``, ``note``, ``platform`` and how often the account had seen the note ``before`` (the
        last number stands for more): ``campaign``, ``impressions``, ``clicks`` and ``hides`` within a day, ``cost``
        in millionths and how many impressions were ``priced``.

    Raises
    ------
    OverlapError
        There are none.
    """
    relation = relation_of(events)
    span = {"since": until - SPAN_DAYS * DAY_SECONDS, "until": until}
    text = _READ
    for name, value in span.items():
        text = text.replace(f"${name}", str(int(value)))
    found: duckdb.DuckDBPyRelation = relation.query("events_", text)
    table = found.to_arrow_table()
    if not table.num_rows:
        raise OverlapError(
            f"no paid impression of the last {SPAN_DAYS} days is in the log, so nothing tells what slots there are",
            next_step="deliver something first, or plan as of an earlier day",
        )
    return table


def repeats_of(delivered: pa.Table) -> Repeats:
    """Estimate how response falls and hides rise with every repeat.

    Parameters
    ----------
    delivered
        As `read_delivered` returns it.

    Notes
    -----
    Response is the rate ratio of Mantel and Haenszel (1959; for sparse strata Greenland and Robins 1985) with every
    account and note as a stratum: who sees a note often differs from who sees it once, but not from oneself. A
    level of fewer than 20 clicks takes the ratio of the one before.
    """
    before = np.asarray(delivered["before"])
    seen, clicked, hidden = (
        np.asarray(delivered[name]).astype(np.float64) for name in ("impressions", "clicks", "hides")
    )
    stratum = _strata(delivered)
    first = before == 0
    n0, c0 = (np.bincount(stratum[first], v[first], minlength=stratum.max() + 1) for v in (seen, clicked))
    response = np.ones(LEVELS)
    for level in range(1, LEVELS):
        rows = before == level
        own = stratum[rows]
        both = n0[own] + seen[rows]
        more, less = clicked[rows] @ (n0[own] / both), c0[own] @ (seen[rows] / both)
        enough = clicked[rows].sum() + c0[own].sum() >= _FEWEST_CLICKS and less > 0
        response[level] = min(response[level - 1], max(more / less, _LEAST)) if enough else response[level - 1]
    rate = hidden.sum() / seen.sum()
    hides = np.ones(LEVELS)
    if rate > 0:
        many, of = (np.bincount(before, v, minlength=LEVELS) for v in (hidden, seen))
        hides = np.maximum.accumulate((many + _DRAWN_TO) / (of * rate + _DRAWN_TO))
        hides = hides / (hides @ of / of.sum())
    return Repeats(response, hides)


def drawn_rates(events: Floats, exposure: Floats) -> Floats:
    """Return rates of groups, drawn towards the rate of all of them as if each had 20 events of it more.

    Examples
    --------
    >>> drawn_rates(np.array([0.0, 20.0]), np.array([1_000.0, 1_000.0])).round(4).tolist()
    [0.0067, 0.0133]
    """
    rate = events.sum() / exposure.sum() if exposure.sum() else 0.0
    if rate == 0:
        return np.zeros(len(events))
    return np.asarray((events + _DRAWN_TO) / (exposure + _DRAWN_TO / rate))


def _strata(delivered: pa.Table) -> NDArray[np.int64]:
    account, note = (
        np.asarray(delivered[name].combine_chunks().dictionary_encode().indices).astype(np.int64)
        for name in ("account", "note")
    )
    _, stratum = np.unique(account * (note.max() + 1) + note, return_inverse=True)
    return stratum.astype(np.int64)
