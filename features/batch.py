"""Aggregates of a whole spine at once: by row, or by row and scope.

The declarations are written in narwhals and run on DuckDB. Point in time holds in both times: an event counts for a
row only if it happened before the row's instant (or in the outcome window from it on) and had arrived by the row's
``known_at``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from features.expressions import CONDITION_COLUMNS, Plan, decay_weights, group
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
            table = _grouped(relation, frame, plan, by)
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
    instants, known, days = spine.instants, spine.rows["known_at"].to_numpy(), spine.rows["instant_day"].to_numpy()
    longest = plan.lengths[-1]
    time, arrived = nw.col("event_time"), nw.col("arrived_at")
    bounds = [nw.col("kind").is_in(plan.kinds), arrived <= int(known.max())]
    exact = [arrived <= nw.col("known_at")]
    if plan.side == "past":
        bounds.append(time < int(instants.max()))
        exact.append(time < nw.col("instant"))
        if longest is not None:
            bounds.append(nw.col("day") > int(days.min()) - longest)
            exact.append(nw.col("day") > nw.col("instant_day") - longest)
    else:
        span = (longest or 0) * DAY_SECONDS
        bounds += [time >= int(instants.min()), time < int(instants.max()) + span]
        exact += [time >= nw.col("instant"), time < nw.col("instant") + span]
    if plan.value is not None:
        bounds.append(~nw.col(plan.value).is_null())
    kept = dict.fromkeys([*REQUIRED, *plan.columns, *keys, *(["category"] if with_category else [])])
    flags = list(plan.masks.values())
    frame = frame.filter(*bounds).with_columns(*plan.flags()).select(*[c for c in kept if c != "kind"], *flags)
    if len(flags) > 1:
        frame = frame.filter(nw.any_horizontal(*flags, ignore_nulls=True))
    else:
        frame = frame.filter(nw.col(flags[0]))
    owners = spine.accounts.join(spine.rows.select(["row", "instant", "instant_day", "known_at", *keys]), "row")
    joined = frame.join(beside(relation, owners), on=["account", *keys], how="inner").filter(*exact)
    stepped: nw.LazyFrame[Any] = joined.with_columns(plan.step().alias("step"))
    return stepped


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


def _grouped(relation: Any, frame: nw.LazyFrame[Any], plan: Plan, by: list[str]) -> pa.Table:
    if plan.value is not None:
        steps = frame.group_by(*by, plan.value).agg(*plan.first())
    else:
        steps = frame.group_by(*by, "instant", "step").agg(*plan.first())
    for half_life in plan.half_lives:
        weights = decay_weights(half_life)
        table = pa.table({"step": pa.array(range(1, len(weights) + 1), pa.int32()), f"weight{half_life}": weights})
        steps = steps.join(beside(relation, table), on="step", how="left")
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
