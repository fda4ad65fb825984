"""Events joined with the spine rows that they count for: where point in time is kept, in both times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

import duckdb
import narwhals as nw
import pyarrow as pa
from narwhals.dependencies import is_pyspark_dataframe

from features.days import DAY_SECONDS
from features.events import EVENTS
from features.expressions import CONDITION_COLUMNS, UNBOUNDED, Plan, decay_weights
from features.scopes import Scopes
from features.spine import Spine

EVERY_CATEGORY: Final = "*"
REQUIRED: Final = ("account", "kind", "event_time", "arrived_at", "day")
_DTYPES: Final[dict[str, Any]] = {
    "text": nw.String, "integer": nw.Int64, "money": nw.Int64, "number": nw.Float64, "flag": nw.Boolean,
}  # fmt: skip


def relation_of(events: Any) -> Any:
    """Return the events where they can be asked lazily: DuckDB relations and Spark data frames stay what they are.

    Other frames and Arrow tables go to a DuckDB connection of their own.
    """
    if isinstance(events, duckdb.DuckDBPyRelation) or is_pyspark_dataframe(events):
        return events
    return duckdb.connect().from_arrow(nw.from_native(events, eager_only=True).to_arrow())


def beside(relation: Any, table: pa.Table) -> nw.LazyFrame[Any]:
    """Put a small table on the connection or the Spark session that the relation lives on."""
    if is_pyspark_dataframe(relation):
        there: nw.LazyFrame[Any] = nw.from_native(relation.sparkSession.createDataFrame(table))
        return there
    here = table  # noqa: F841  (DuckDB finds it by its name)
    frame: nw.LazyFrame[Any] = nw.from_native(relation.query("events_", "select * from here"))
    return frame


class Owners:
    """Whose events count for which row, on the connection of the events.

    Accounts get numbers first, so that their long keys are compared once per event and not once per row.
    """

    def __init__(self, relation: Any, spine: Spine, keys: Sequence[str]) -> None:
        encoded = spine.accounts["account"].combine_chunks().dictionary_encode()
        numbers = pa.array(range(len(encoded.dictionary)), pa.int32())
        rows = spine.rows.select(["row", "instant", "instant_day", "known_at", *keys]).take(spine.accounts["row"])
        self.accounts = beside(relation, pa.table({"account": encoded.dictionary, "number": numbers}))
        self.rows = beside(relation, rows.append_column("number", encoded.indices))


def join_events(
    relation: Any, spine: Spine, owners: Owners, plan: Plan, *, with_category: bool, keys: Sequence[str]
) -> nw.LazyFrame[Any]:
    """Return events joined with the spine rows that they count for.

    Parameters
    ----------
    relation
        The events.
    spine
        At least one row.
    owners
        Of that spine and keys.
    plan
        What is going to be computed: kinds, columns and windows that nothing needs are not read.
    with_category
        Whether the category is needed.
    keys
        Columns of the spine's rows that an event must share.

    Returns
    -------
    nw.LazyFrame
        ``row``, the plan's masks and columns, and per event its ``step``, how many seconds ``ago`` it happened and
        its weight per half-life.
    """
    conditions = [c for _, name in plan.masks if name for c in CONDITION_COLUMNS[name]]
    optional = dict.fromkeys([*plan.columns, *conditions, *keys, *(["category"] if with_category else [])])
    frame = nw.from_native(relation)
    absent = [
        nw.lit(None, dtype=_DTYPES[EVENTS.column(c).type]).alias(c) for c in optional if c not in frame.columns
    ]
    if absent:
        frame = frame.with_columns(*absent)
    kept = dict.fromkeys([*REQUIRED, *plan.columns, *keys, *(["category"] if with_category else [])])
    del kept["kind"]
    flags = list(plan.masks.values())
    frame = frame.filter(*_bounds(spine, plan)).with_columns(*plan.flags(int(spine.days.min())))
    frame = frame.select(*kept, *flags).filter(reduce(or_, [nw.col(flag) for flag in flags]))
    time, instant, longest = nw.col("event_time"), nw.col("instant"), plan.lengths[-1]
    # Always 0, which no optimizer knows: by bounds between events and rows alone DuckDB may join those two first,
    # before the accounts say which event is whose, and then takes the product of both in time and disk.
    nothing = nw.col("number") - nw.col("number")
    exact = [nw.col("arrived_at") <= nw.col("known_at") + nothing]
    if plan.side == "outcome":
        exact += [time >= instant + nothing, time < instant + nothing + longest * DAY_SECONDS]
    else:
        exact.append(time < instant + nothing)
        if longest < UNBOUNDED:
            exact.append(nw.col("day") > nw.col("instant_day") + nothing - longest)
    frame = frame.join(owners.accounts, on="account", how="inner").drop("account")
    joined: nw.LazyFrame[Any] = frame.join(owners.rows, on=["number", *keys], how="inner")
    joined = joined.filter(*exact).with_columns(plan.step().alias("step"), (instant - time).alias("ago"))
    needed = plan.needed()
    if needed is not None:
        joined = joined.filter(needed)
    if plan.half_lives:
        joined = joined.with_columns((nw.col("instant_day") - nw.col("day")).alias("age"))
        joined = joined.join(beside(relation, _weights(plan.half_lives)), on="age", how="left")
    return joined


def _bounds(spine: Spine, plan: Plan) -> list[nw.Expr]:
    """Return what an event must fulfil whatever the row: it is pushed down into the reading of the events."""
    time = nw.col("event_time")
    bounds = [nw.col("kind").is_in(plan.kinds), nw.col("arrived_at") <= int(spine.known_at.max())]
    longest = plan.lengths[-1]
    if plan.side == "outcome":
        bounds += [time >= int(spine.instants.min()), time < int(spine.instants.max()) + longest * DAY_SECONDS]
    else:
        bounds.append(time < int(spine.instants.max()))
        if longest < UNBOUNDED:
            bounds.append(nw.col("day") > int(spine.days.min()) - longest)
    if plan.value is not None:
        bounds.append(~nw.col(plan.value).is_null())
    return bounds


def _weights(half_lives: Sequence[int]) -> pa.Table:
    """Weights by age; an age that is not in the table weighs nothing."""
    columns = [decay_weights(half_life) for half_life in half_lives]
    longest = max(len(column) for column in columns)
    padded = [pa.array(column + [0] * (longest - len(column))) for column in columns]
    return pa.table(
        [pa.array(range(longest), pa.int32()), *padded], names=["age", *(f"weight{days}" for days in half_lives)]
    )


def in_scopes(
    relation: Any, joined: nw.LazyFrame[Any], scopes: Scopes | None
) -> Iterator[tuple[nw.LazyFrame[Any], int | None]]:
    """Yield frames to group: (all events, number of the scope they are for) or (with a scope column, None)."""
    if scopes is None:
        yield joined, 0
        return
    everything = [n for n, (_, categories) in enumerate(scopes.members) if EVERY_CATEGORY in categories]
    for number in everything:
        yield joined, number
    pairs = {
        (category, number)
        for number, (_, categories) in enumerate(scopes.members)
        for category in categories
        if number not in everything
    }
    if pairs:
        ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
        table = pa.table(
            {"category": [c for c, _ in ordered], "scope": pa.array([s for _, s in ordered], pa.int32())}
        )
        yield joined.join(beside(relation, table), on="category", how="inner"), None
