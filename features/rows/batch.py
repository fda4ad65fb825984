"""Aggregates of a whole spine at once: by row, or by row and scope.

The declarations are written in narwhals and run on DuckDB or Spark. Point in time holds in both times: an event
counts for a row only if it happened before the row's instant (or in the outcome window from it on) and had arrived
by the row's ``known_at``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.definitions import Aggregate
from features.errors import FeatureError
from features.expressions import Plan, passes
from features.joins import REQUIRED, Owners, in_scopes, join_events, relation_of
from features.scopes import Scopes
from features.spine import Spine

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
        A DuckDB relation, an Arrow table or a data frame of pandas or Spark with the canonical columns account,
        kind, event_time, arrived_at and day; of the other columns only those that the aggregates and scopes read,
        and where one is missing it counts as null in every row. Spark computes where its data lies, and the result
        comes here.
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
    owners = Owners(relation, spine, keys)
    for numbers in passes(aggregates):
        plan = Plan([aggregates[number] for number in numbers])
        joined = join_events(relation, spine, owners, plan, with_category=scopes is not None, keys=keys)
        for frame, scope in in_scopes(relation, joined, scopes):
            by = ["row"] if scope is not None else ["row", "scope"]
            table = _grouped(frame, plan, by)
            row = table["row"].to_numpy()
            cell = row * width + (table["scope"].to_numpy() if scope is None else scope)
            yield _Part(table, cell, tuple(numbers))


def _grouped(frame: nw.LazyFrame[Any], plan: Plan, by: list[str]) -> pa.Table:
    steps = frame.group_by(*by, plan.value or "step").agg(*plan.first())
    return steps.group_by(*by).agg(*plan.second()).collect("pyarrow").to_native()
