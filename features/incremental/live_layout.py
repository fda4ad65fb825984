"""Live features: a person's events are folded into a state, and a row is read from it as of any instant.

The numbers are the batch's to the last bit: `features.rows.build` over the events that had happened before the
instant and had arrived by then. Events of which the instant does not know yet are in the state and wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.definitions import Aggregate
from features.errors import FeatureError
from features.incremental.columns import Block, Encoded, Kept
from features.incremental.labels import LabelHistory
from features.incremental.reading import RowColumns, TableColumns
from features.incremental.state import PersonState
from features.incremental.tally import Floats, Tally
from features.joins import EVERY_CATEGORY
from features.rows.derived import FUNCTIONS, Derived, Feature
from features.rows.layout import RowLayout, Rows
from features.spine import LATEST_INSTANT
from features.taxonomy.taxonomy import Taxonomy

Row = npt.NDArray[np.float32]
REQUIRED: Final = ("kind", "event_time", "arrived_at")


class LiveLayout:
    """Rows of a layout from states; made once per bundle and used for everybody.

    Parameters
    ----------
    layout
        Which columns.
    timezone
        The log's time zone.
    taxonomy
        Whose label history fills the tag block; None leaves it NaN.
    levels
        The population quantiles that the taxonomy's rules compare with, by key: `Thresholds.at` of one instant.

    Raises
    ------
    FeatureError
        The taxonomy has other tags than the layout, or a quantile is missing.

    Examples
    --------
    >>> from features.scopes import Scopes
    >>> live = LiveLayout(RowLayout((Aggregate(("click",)),), (), Scopes(()), (), ()), "UTC")
    >>> state = live.empty()
    >>> live.fold(state, [{"kind": "click", "event_time": 10, "arrived_at": 30}])
    >>> live.row(state, 20).tolist(), live.row(live.unpack(state.pack()), 30).tolist()
    ([0.0], [1.0])
    """

    def __init__(
        self,
        layout: RowLayout,
        timezone: str,
        taxonomy: Taxonomy | None = None,
        levels: Mapping[str, float] | None = None,
    ) -> None:
        self.layout, self.timezone = layout, timezone
        of_person, of_scope = layout.aggregates
        members = tuple(categories for _, categories in layout.scopes.members)
        blocks = [Block(((EVERY_CATEGORY,),), of_person), Block(members, of_scope)]
        self._history = LabelHistory(layout, taxonomy, levels or {}) if taxonomy else None
        if self._history:
            blocks += self._history.blocks
        self.kept = Kept.of(blocks, first_event=self._history is not None)
        self._tally = Tally(blocks, self.kept, timezone)
        if self._history:
            self._history.place([self._tally.cells(number) for number in range(2, len(blocks))])
        self._person = _Filler(layout.person_features, of_person)
        self._scope = _Filler(layout.scope_features, of_scope)

    @property
    def schema_hash(self) -> str:
        """Changes with what a state must hold: states of another hash are rebuilt from the log."""
        return self.kept.schema_hash

    def empty(self) -> PersonState:
        """Return the state of somebody without an event."""
        return PersonState(self.kept)

    def unpack(self, content: bytes) -> PersonState:
        """Read a packed state."""
        return PersonState.unpack(content, self.kept)

    def encode(self, events: pa.Table | pa.RecordBatch | Sequence[Mapping[str, Any]]) -> Encoded:
        """Turn canonical events of anybody into integers: best many at once, for `PersonState.fold`."""
        arrow = isinstance(events, pa.Table | pa.RecordBatch)
        return self.kept.encode(TableColumns(events) if arrow else RowColumns(events))

    def fold(self, state: PersonState, events: pa.Table | pa.RecordBatch | Sequence[Mapping[str, Any]]) -> None:
        """Take new events of the person in, each once, in any order."""
        state.fold(self.encode(events))

    def warm(self) -> None:
        """Compile what the first events would have to wait for."""
        state, two = self.empty(), np.zeros(2, np.int64)
        for one in list(self.kept.kinds.values())[:1]:
            names = [*(("coded", name) for name in one.coded), *(("summed", name) for name in one.summed)]
            events = Encoded(two + one.number, two, two, two, dict.fromkeys(names, two))
            events.kept[:] = True
            for event in (0, 1):
                state.fold(events, np.array([event]))
        self.row(state, 1)

    def row(self, state: PersonState, instant: int, known_at: int | None = None) -> Row:
        """Return the wide row as of an instant.

        Parameters
        ----------
        state
            The person's.
        instant
            Epoch seconds: only what happened before it counts.
        known_at
            Only what had arrived by then counts; the instant by default.

        Returns
        -------
        np.ndarray
            float32 [width]; missing is NaN.

        Raises
        ------
        FeatureError
            The state was settled at a later instant, or the instant is not in epoch seconds.
        """
        row: Row = self.rows([state], instant, known_at)[0]
        return row

    def rows(self, states: Sequence[PersonState], instant: int, known_at: int | None = None) -> Rows:
        """Return the wide rows of some persons as of an instant, float32 [persons, width], see `row`.

        Many at once take a third of the time each; held are 16 bytes for each number that is measured of each.
        """
        settled = max((state.settled for state in states), default=instant)
        if not settled <= instant < LATEST_INSTANT:
            raise FeatureError(
                "no row as of this instant can be read from the state",
                value=instant,
                valid=[settled, LATEST_INSTANT],
            )
        known = instant if known_at is None else known_at
        measured = np.empty((len(states), self._tally.size))
        for state, cells in zip(states, measured, strict=True):
            cells[:] = self._tally.measure(state, instant, known)
        rows = np.full((len(states), self.layout.width), np.nan, np.float32)
        self._person.fill(self._tally.block(measured, 0)[:, 0], rows[:, : len(self.layout.person_features)])
        block = np.empty((len(states), *self.layout.scope_columns.shape), np.float32)
        self._scope.fill(self._tally.block(measured, 1), block)
        rows[:, self.layout.scope_columns] = block
        if self._history:
            since = np.array([_since_first(state, instant, known) for state in states])
            rows[:, self.layout.tag_columns] = self._history.of(measured, since)
        return rows


def _since_first(state: PersonState, instant: int, known_at: int) -> float:
    times, arrivals = state.firsts
    seen = times[(times < instant) & (arrivals <= known_at)]
    return float(instant - seen.min()) if len(seen) else float("nan")


class _Filler:
    """Computes features from the aggregates that they are made of."""

    def __init__(self, features: Sequence[Feature], aggregates: Sequence[Aggregate]) -> None:
        number = {a: n for n, a in enumerate(aggregates)}
        plain = [(n, number[f]) for n, f in enumerate(features) if not isinstance(f, Derived)]
        self._columns, self._aggregates = np.array(plain, np.int64).reshape(-1, 2).T
        self._derived = []
        for function in dict.fromkeys(f.function for f in features if isinstance(f, Derived)):
            same = [(n, f) for n, f in enumerate(features) if isinstance(f, Derived) and f.function == function]
            inputs = np.array([[number[a] for a in f.inputs] for _, f in same]).T
            self._derived.append(([n for n, _ in same], FUNCTIONS[function][0], inputs))

    def fill(self, dense: Floats, block: npt.NDArray[np.float32]) -> None:
        """Write float32 [..., features] from float64 [..., aggregates]."""
        block[..., self._columns] = dense[..., self._aggregates]
        for columns, function, inputs in self._derived:
            block[..., columns] = function(*(dense[..., places] for places in inputs))
