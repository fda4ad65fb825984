"""Wide rows: every feature of everybody at an instant, in the fixed order of a layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from features.definitions import Aggregate
from features.errors import FeatureError
from features.joins import EVERY_CATEGORY
from features.rows.batch import aggregate_dense
from features.rows.derived import Derived, Feature
from features.rows.layout import RowLayout, Rows
from features.scopes import Scopes
from features.spine import Spine

__all__ = ["RowLayout", "build_rows", "people_at_once", "row_blocks"]

CELLS: Final = 16_000_000
"""Most aggregates that are held at once: 128 MB of float64."""


def build_rows(
    layout: RowLayout, events: Any, spine: Spine, history: npt.NDArray[np.float32] | None = None
) -> Rows:
    """Compute the wide row of every spine row.

    The result takes 4 bytes × rows × width, beside what `row_blocks` holds at a time.

    Parameters
    ----------
    layout
        Which columns.
    events
        As `features.rows.batch.aggregate` takes them.
    spine
        For whom and as of when.
    history
        The tag block, float32 of shape (rows, tags, tag names), from `features.rows.outcomes.label_history`; NaN
        where it is None.

    Returns
    -------
    np.ndarray
        float32 of shape (rows, width), C-contiguous; missing is NaN.

    Raises
    ------
    FeatureError
        The history has another shape.
    """
    rows = np.empty((len(spine), layout.width), np.float32)
    for numbers, block in row_blocks(layout, events, spine, history):
        rows[numbers] = block
    return rows


def row_blocks(
    layout: RowLayout, events: Any, spine: Spine, history: npt.NDArray[np.float32] | None = None
) -> Iterator[tuple[npt.NDArray[np.int64], Rows]]:
    """Compute the wide rows of some people at a time.

    Held at a time are the rows of `people_at_once` people, the aggregates behind them, `CELLS` × 8 bytes at most
    (one person's, if that is more), and what DuckDB needs to group their events, which it spills to disk beyond
    its memory limit.

    Parameters
    ----------
    layout, events, spine, history
        As for `build_rows`.

    Yields
    ------
    tuple
        Numbers of spine rows, ascending, and the wide rows of them. A spine of a single instant is gone through in
        its order.

    Raises
    ------
    FeatureError
        The history has another shape.
    """
    shape = (len(spine), len(layout.tags), len(layout.tag_names))
    if history is not None and history.shape != shape:
        raise FeatureError("the history has another shape", value=history.shape, valid=[shape])
    for numbers, part in spine.chunks(people_at_once(layout)):
        block = np.full((len(part), layout.width), np.nan, np.float32)
        _fill_part(layout, events, part, block)
        if history is not None:
            block[:, layout.tag_columns] = history[numbers]
        yield numbers, block


def people_at_once(layout: RowLayout) -> int:
    """Return how many rows are computed in one pass over the events."""
    of_person, of_scope = layout.aggregates
    return max(1, CELLS // max(1, len(of_person) + len(of_scope) * len(layout.scopes.names)))


def _fill_part(layout: RowLayout, events: Any, part: Spine, done: Rows) -> None:
    """Fill the person and scope blocks; scopes of every event share the pass of the person block."""
    of_person, of_scope = layout.aggregates
    members = layout.scopes.members
    open_scopes = [n for n, (_, categories) in enumerate(members) if EVERY_CATEGORY in categories]
    closed = [n for n in range(len(members)) if n not in open_scopes]
    everything = tuple(dict.fromkeys(of_person + (of_scope if open_scopes else ())))
    if everything:
        dense = aggregate_dense(events, part, everything)
        _fill(layout.person(done), layout.person_features, everything, dense)
        for number in open_scopes:
            alone = np.empty((len(part), len(layout.scope_features)), np.float32)
            _fill(alone, layout.scope_features, everything, dense)
            done[:, layout.scope_columns[number]] = alone
    if of_scope and closed:
        dense = aggregate_dense(events, part, of_scope, Scopes(tuple(members[n] for n in closed)))
        block = np.empty((len(part), len(closed), len(layout.scope_features)), np.float32)
        _fill(block, layout.scope_features, of_scope, dense)
        done[:, layout.scope_columns[closed]] = block


def _fill(
    block: Rows, features: Sequence[Feature], aggregates: Sequence[Aggregate], dense: npt.NDArray[np.float64]
) -> None:
    number = {a: n for n, a in enumerate(aggregates)}
    for column, feature in enumerate(features):
        if isinstance(feature, Derived):
            block[..., column] = feature.compute(*(dense[..., number[a]] for a in feature.inputs))
        else:
            block[..., column] = dense[..., number[feature]]
