"""Aggregates of a whole spine at once: by row, or by row and scope.

The declarations are written in narwhals and run on DuckDB. Point in time holds in both times: an event counts for a
row only if it happened before the row's instant (or in the outcome window from it on) and had arrived by the row's
``known_at``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

import duckdb
import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.days import DAY_SECONDS
from features.definitions import Aggregate
from features.errors import FeatureError
from features.events import EVENTS
from features.expressions import CONDITION_COLUMNS, UNBOUNDED, Plan, decay_weights, group
from features.scopes import Scopes
from features.spine import Spine

EVERY_CATEGORY: Final = "*"
REQUIRED: Final = ("account", "kind", "event_time", "arrived_at", "day")
NULL_WITHOUT_EVENT: Final = frozenset({"recency", "tenure"})


def aggregate(
    events: Any,
    spine: Spine,
    aggregates: Sequence[Aggregate],
    scopes: Scopes | None = None,
    keys: Sequence[str] = (),
) -> pa.Table:
    """Compute aggregates for every spine row that has events.

    Parameters
    ----------
    events
        A DuckDB relation, an Arrow table or a data frame with the canonical columns account, kind, event_time,
        arrived_at and day; of the other columns only those that the aggregates and scopes read, and where one is
        missing it counts as null in every row.
    spine
        For whom and as of when.
    aggregates
        What to compute; each name once.
    scopes
        Compute inside each of these category sets; None computes over all events.
    keys
        Further columns of ``spine.rows`` that an event must share to count for a row, e.g. ``("brand",)``.

    Returns
    -------
    pa.Table
        ``row`` (and ``scope``, a number), then one int64 column per aggregate, ordered by row and scope. Counts and
        sums are 0 and recency and tenure null where no event fits; a row (and scope) with nothing else is absent.

    Raises
    ------
    FeatureError
        A required column is missing, an aggregate occurs twice, or a measure does not fit its window.
    """
    parts = list(_parts(events, spine, aggregates, scopes, keys))
    width = 1 if scopes is None else len(scopes.names)
    flat = np.unique(np.concatenate([np.zeros(0, np.int64), *(part.cell for part in parts)]))
    some = np.zeros(len(flat), bool)
    columns: dict[str, pa.Array] = {"row": pa.array(flat // max(width, 1))}
    if scopes is not None:
        columns["scope"] = pa.array(flat % max(width, 1), pa.int32())
    for number, a in enumerate(aggregates):
        values = np.zeros(len(flat), np.int64)
        missing = np.full(len(flat), a.measure in NULL_WITHOUT_EVENT)
        for part in parts:
            if number in part.numbers:
                column = part.table[a.name].combine_chunks()
                place = np.searchsorted(flat, part.cell)
                values[place] = column.fill_null(0).to_numpy(zero_copy_only=False)
                missing[place] = column.is_null().to_numpy(zero_copy_only=False)
        columns[a.name] = pa.array(values, mask=missing)
        some |= values != 0
    return pa.table(columns).filter(pa.array(some))


def aggregate_dense(
    events: Any,
    spine: Spine,
    aggregates: Sequence[Aggregate],
    scopes: Scopes | None = None,
    keys: Sequence[str] = (),
) -> npt.NDArray[np.float64]:
    """Compute aggregates as an array; parameters as in `aggregate`.

    Returns
    -------
    np.ndarray
        float64 of shape (rows, aggregates), or (rows, scopes, aggregates): 0 for counts and sums without an event,
        NaN for recency and tenure without one. It takes 8 bytes × rows × scopes × aggregates; pass
        `Spine.chunks` of a large spine.
    """
    width = 1 if scopes is None else len(scopes.names)
    dense = np.zeros((len(spine) * width, len(aggregates)))
    dense[:, [a.measure in NULL_WITHOUT_EVENT for a in aggregates]] = np.nan
    for part in _parts(events, spine, aggregates, scopes, keys):
        for number in part.numbers:
            values = part.table[aggregates[number].name].to_numpy()
            dense[part.cell, number] = values
    return dense if scopes is None else dense.reshape(len(spine), width, len(aggregates))


@dataclass(frozen=True)
class _Part:
    """Result of one pass: `cell` = row × scopes + scope; `numbers` of the aggregates that it holds."""

    table: pa.Table
    cell: npt.NDArray[np.int64]
    numbers: tuple[int, ...]


def _parts(
    events: Any, spine: Spine, aggregates: Sequence[Aggregate], scopes: Scopes | None, keys: Sequence[str]
) -> Iterator[_Part]:
    names = [a.name for a in aggregates]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FeatureError("an aggregate is declared twice", value=twice[0])
    relation = relation_of(events)
    missing = [column for column in REQUIRED if column not in relation.columns]
    if missing:
        raise FeatureError("the events lack a required column", value=missing[0], valid=REQUIRED)
    if not len(spine):
        return
    width = 1 if scopes is None else len(scopes.names)
    passes: dict[tuple[str, str | None], list[int]] = {}
    for number, a in enumerate(aggregates):
        passes.setdefault(group(a), []).append(number)
    for numbers in passes.values():
        plan = Plan([aggregates[number] for number in numbers])
        joined = _joined(relation, spine, plan, scopes is not None, keys)
        for frame, scope in _scoped(relation, joined, scopes):
            by = ["row"] if scope is not None else ["row", "scope"]
            table = _grouped(frame, plan, by)
            row = table["row"].to_numpy()
            cell = row * width + (table["scope"].to_numpy() if scope is None else scope)
            yield _Part(table, cell, tuple(numbers))


def _joined(relation: Any, spine: Spine, plan: Plan, with_category: bool, keys: Sequence[str]) -> nw.LazyFrame[Any]:
    """Events with the spine rows that they count for."""
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
    owners = spine.accounts.join(spine.rows.select(["row", "instant", "instant_day", "known_at", *keys]), "row")
    time, instant, longest = nw.col("event_time"), nw.col("instant"), plan.lengths[-1]
    exact = [nw.col("arrived_at") <= nw.col("known_at")]
    if plan.side == "outcome":
        exact += [time >= instant, time < instant + longest * DAY_SECONDS]
    else:
        exact.append(time < instant)
        if longest < UNBOUNDED:
            exact.append(nw.col("day") > nw.col("instant_day") - longest)
    joined: nw.LazyFrame[Any] = frame.join(beside(relation, owners), on=["account", *keys], how="inner")
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


def _scoped(
    relation: Any, joined: nw.LazyFrame[Any], scopes: Scopes | None
) -> Iterator[tuple[nw.LazyFrame[Any], int | None]]:
    """Frames to group: (all events, number of the scope they are for) or (with a scope column, None)."""
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


def _grouped(frame: nw.LazyFrame[Any], plan: Plan, by: list[str]) -> pa.Table:
    steps = frame.group_by(*by, plan.value or "step").agg(*plan.first())
    return steps.group_by(*by).agg(*plan.second()).collect("pyarrow").to_native()


_DTYPES: Final[dict[str, Any]] = {
    "text": nw.String, "integer": nw.Int64, "money": nw.Int64, "number": nw.Float64, "flag": nw.Boolean,
}  # fmt: skip


def relation_of(events: Any) -> Any:
    """Return the events as a DuckDB relation; frames and Arrow tables go to a connection of their own."""
    if isinstance(events, duckdb.DuckDBPyRelation):
        return events
    return duckdb.connect().from_arrow(nw.from_native(events, eager_only=True).to_arrow())


def beside(relation: Any, table: pa.Table) -> nw.LazyFrame[Any]:
    """Put a small table on the connection that the relation lives on."""
    here = table  # noqa: F841  (DuckDB finds it by its name)
    frame: nw.LazyFrame[Any] = nw.from_native(relation.query("events_", "select * from here"))
    return frame
